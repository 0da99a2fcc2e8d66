"""The client's side of a WebSocket, over streams that are open already. See RFC 6455."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import struct

from offload.wire.guest import web

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUED, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_FINAL, _MASKED = 0x80, 0x80
_NO_STATUS, _GONE, _TOO_LARGE = 1005, 1006, 1009


class WebSocketClient:
    """One WebSocket to a program in this container."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._key = base64.b64encode(os.urandom(16))
        self._is_closed = False
        self.closing = (_GONE, "")  # how the program closed it

    def upgrade(self, subprotocols: tuple[str, ...]) -> list[tuple[bytes, bytes]]:
        """Return the headers that ask for it."""
        headers = [
            (b"connection", b"Upgrade"),
            (b"upgrade", b"websocket"),
            (b"sec-websocket-version", b"13"),
            (b"sec-websocket-key", self._key),
        ]
        if subprotocols:
            headers.append((b"sec-websocket-protocol", ", ".join(subprotocols).encode()))
        return headers

    def check(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Refuse an answer that is to another request. Raises `ConnectionError`."""
        wanted = base64.b64encode(hashlib.sha1(self._key + _GUID, usedforsecurity=False).digest())
        if dict(headers).get(b"sec-websocket-accept") != wanted:
            raise ConnectionAbortedError(
                "the program has accepted another WebSocket than it was asked for"
            )

    async def messages(self) -> AsyncIterator[tuple[str, object]]:
        """Yield each message: its kind ("text" or "bytes") and what it says, until the program closes."""
        kind, pieces, size = _CONTINUED, [], 0
        while True:
            try:
                opcode, is_final, data = await self._frame()
            except asyncio.IncompleteReadError:
                return
            if opcode == _CLOSE:
                code = struct.unpack(">H", data[:2])[0] if len(data) >= 2 else _NO_STATUS
                self.closing = (code, data[2:].decode("utf-8", "replace"))
                await self.close(*self.closing)
                return
            if opcode == _PING:
                await self._send(_PONG, data)
            elif opcode in (_CONTINUED, _TEXT, _BINARY):
                kind = opcode or kind
                pieces.append(data)
                size += len(data)
                if size > web.MAX_MESSAGE_BYTES:
                    await self.close(_TOO_LARGE, "")
                    return
                if is_final:
                    whole = b"".join(pieces)
                    pieces, size = [], 0
                    if kind == _TEXT:
                        yield "text", whole.decode("utf-8", "replace")
                    else:
                        yield "bytes", whole

    async def send(self, text: object, data: object) -> None:
        """Send a message, of text where there is any."""
        if isinstance(text, str):
            await self._send(_TEXT, text.encode())
        elif isinstance(data, bytes):
            await self._send(_BINARY, data)

    async def close(self, code: int, reason: str) -> None:
        """Say that it ends. Idempotent."""
        if not self._is_closed:
            said = b"" if code in (_NO_STATUS, _GONE) else struct.pack(">H", code) + reason.encode()
            await self._send(_CLOSE, said[:125])
            self._is_closed = True

    async def _frame(self) -> tuple[int, bool, bytes]:
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", await self.reader.readexactly(8))
        if size > web.MAX_MESSAGE_BYTES:
            raise asyncio.IncompleteReadError(b"", size)
        return first & 0x0F, first & _FINAL != 0, await self.reader.readexactly(size)

    async def _send(self, opcode: int, data: bytes) -> None:
        if self._is_closed:
            return
        size = len(data)
        if size < 126:
            head = struct.pack(">BB", _FINAL | opcode, _MASKED | size)
        elif size < 1 << 16:
            head = struct.pack(">BBH", _FINAL | opcode, _MASKED | 126, size)
        else:
            head = struct.pack(">BBQ", _FINAL | opcode, _MASKED | 127, size)
        # Clients mask what they send against proxies that mistake it for requests; between two processes of one container there
        # is none, and a mask of zeros leaves it as it is.
        self.writer.write(head + b"\0\0\0\0" + data)
        await self.writer.drain()
