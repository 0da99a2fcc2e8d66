"""A request that asks for a WebSocket: the container says whether it becomes one, and then messages go both ways in pieces."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from websockets.exceptions import ProtocolError
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request as WsRequest
from websockets.protocol import State
from websockets.server import ServerProtocol

from offload.control.frontends.web.heads import BadRequestError
from offload.control.frontends.web.visit import PART_BYTES, Visit
from offload.wire.guest import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offload.control.frontends.web.connection import HttpConnection
    from offload.control.frontends.web.routes import Route
    from offload.wire.guest.web import Headers

# Beyond so much that the container has not taken, the connection is not read.
HIGH_BYTES = 256 * 1024
LINGER_SECONDS = 5.0  # for the app, after both sides have said that it ends
_GONE, _BROKEN = 1001, 1011


class Socket:
    """One open WebSocket on a connection."""

    def __init__(self, connection: HttpConnection, headers: Headers, ping_seconds: float) -> None:
        self._connection = connection
        self._ping_seconds = ping_seconds
        self._protocol = ServerProtocol(max_size=web.MAX_MESSAGE_BYTES)
        head = b"".join(b"%b: %b\r\n" % pair for pair in headers)
        self._protocol.receive_data(b"GET / HTTP/1.1\r\n" + head + b"\r\n")
        (request,) = self._protocol.events_received() or (None,)
        if not isinstance(request, WsRequest):
            raise BadRequestError(400, "This is no valid request for a WebSocket.")
        self._response = self._protocol.accept(request)
        if self._response.status_code != 101:
            why = (self._response.body or b"").decode().strip()
            raise BadRequestError(self._response.status_code, f"{why}")
        self._kind = Opcode.TEXT  # of the message that is coming in
        self._is_sending = False  # a message whose last piece is to come
        self._arrived: deque[web.Part] = deque()
        self._arrived_bytes = 0
        self._is_paused = False
        self._is_heard = True
        self._timer: asyncio.TimerHandle | None = None
        self.changed = asyncio.Event()
        self.is_open = False
        self.is_over = False  # nothing comes from the client any more

    @property
    def has_ended_well(self) -> bool:
        """Whether both sides have said that it ends."""
        return self._protocol.close_rcvd is not None and self._protocol.close_sent is not None

    def accept(self, subprotocol: str, headers: Headers) -> None:
        """Open it."""
        if subprotocol:
            self._response.headers["Sec-WebSocket-Protocol"] = subprotocol
        for name, value in headers:
            if not name.startswith(b"sec-websocket-"):
                self._response.headers[name.decode("latin-1")] = value.decode("latin-1")
        self._protocol.send_response(self._response)
        self.is_open = True
        rest = self._connection.switch(self)
        self._flush()
        self._watch()
        if rest:
            self.take(rest)

    def take(self, data: bytes) -> None:
        """See `Switched`."""
        self._is_heard = True
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._hear(event)
        self._flush()
        if self._protocol.state is State.CLOSED or self._protocol.close_expected():
            self._end(self._protocol.close_rcvd or self._protocol.close_sent)
        self.changed.set()

    def send(self, part: web.Text | web.Binary) -> None:
        """Send a piece of a message."""
        if self._protocol.state is not State.OPEN:
            return
        try:
            if self._is_sending:
                self._protocol.send_continuation(part.data, part.last)
            elif isinstance(part, web.Text):
                self._protocol.send_text(part.data, part.last)
            else:
                self._protocol.send_binary(part.data, part.last)
        except ProtocolError:
            self.close(_BROKEN, "")
            return
        self._is_sending = not part.last
        self._flush()

    def close(self, code: int, reason: str) -> None:
        """Say that it ends. Idempotent."""
        if self._protocol.state is State.OPEN:
            try:
                self._protocol.send_close(code, reason[:100])
            except (ProtocolError, ValueError):
                self._protocol.send_close(_BROKEN)
            self._flush()
        if self._timer is not None:
            self._timer.cancel()
        # The client has this long to say the same; then the connection goes.
        self._timer = asyncio.get_running_loop().call_later(10.0, self._connection.close)

    def next_part(self) -> web.Part | None:
        """Return what came from the client next; None where nothing has."""
        if not self._arrived:
            return None
        part = self._arrived.popleft()
        if isinstance(part, web.Text | web.Binary):
            self._arrived_bytes -= len(part.data)
        if self._is_paused and self._arrived_bytes <= HIGH_BYTES // 2:
            self._is_paused = False
            self._connection.resume()
        return part

    def leave(self) -> None:
        """Take note that the client has gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._end(None)
        self.changed.set()

    def _hear(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._kind = frame.opcode
        elif frame.opcode is not Opcode.CONT:
            return
        kind = web.Text if self._kind is Opcode.TEXT else web.Binary
        data = bytes(frame.data)
        for start in range(0, max(len(data), 1), PART_BYTES):
            piece = data[start : start + PART_BYTES]
            self._arrived.append(kind(piece, frame.fin and start + PART_BYTES >= len(data)))
        self._arrived_bytes += len(data)
        if self._arrived_bytes > HIGH_BYTES and not self._is_paused:
            self._is_paused = True
            self._connection.pause()

    def _end(self, close: Close | None) -> None:
        if not self.is_over:
            self.is_over = True
            part = web.Close(close.code, close.reason) if close is not None else web.Disconnect()
            self._arrived.append(part)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._connection.write(data)
            else:
                self._connection.close()

    def _watch(self) -> None:
        if not self._is_heard:
            self._connection.abort()
            return
        self._is_heard = False
        if self._protocol.state is State.OPEN:
            self._protocol.send_ping(b"")
            self._flush()
            self._timer = asyncio.get_running_loop().call_later(self._ping_seconds, self._watch)


class SocketVisit(Visit):
    """See `Visit`."""

    _socket: Socket | None = None

    def leave(self) -> None:
        """See `Visitor`. One that ended in good order has a moment for what it does after that."""
        socket = self._socket
        if socket is not None:
            socket.leave()
            if socket.is_open and socket.has_ended_well:
                asyncio.get_running_loop().call_later(LINGER_SECONDS, super().leave)
                return
        super().leave()

    def _await_body(self) -> None:
        head = self._request.head
        self._socket = Socket(self._connection, tuple(head.headers), self._ingress.ping_seconds)
        self._dispatch()

    def _head(self, route: Route, body: bytes, is_whole: bool) -> web.RequestHead:
        names = self._request.head.first(b"sec-websocket-protocol").decode("latin-1")
        return (
            super()
            ._head(route, body, is_whole)
            ._replace(
                scheme="wss" if self._connection.is_tls else "ws",
                is_websocket=True,
                subprotocols=tuple(name.strip() for name in names.split(",") if name.strip()),
            )
        )

    def _take(self, part: web.Part) -> None:
        socket = self._socket
        if socket is None or isinstance(part, web.ResponseHead | web.Body):
            super()._take(part)
        elif isinstance(part, web.Accept) and not self._is_answered:
            self._stop_timer()
            self._is_answered = True
            socket.accept(part.subprotocol, part.headers)
        elif isinstance(part, web.Close) and not self._is_answered:
            self._fail(BadRequestError(403, "The endpoint refuses this WebSocket."))
        elif isinstance(part, web.Text | web.Binary) and socket.is_open:
            socket.send(part)
        elif isinstance(part, web.Close):
            socket.close(part.code, part.reason)
        else:
            super()._take(part)

    async def parts(self) -> AsyncIterator[bytes]:
        """See `Party`."""
        socket = self._socket
        while socket is not None:
            part = socket.next_part()
            if part is not None:
                yield web.encode_part(part)
            elif socket.is_over:
                return
            else:
                socket.changed.clear()
                await socket.changed.wait()

    def _fail(self, error: BadRequestError) -> None:
        if self._socket is not None and self._socket.is_open:
            self._stop_timer()
            self._socket.close(_BROKEN, error.message)
        else:
            super()._fail(error)

    def _settle(self) -> None:
        if self._socket is not None and self._socket.is_open:
            self._stop_timer()
            self._socket.close(_GONE if self._is_gone else 1000, "")
            self._forget()
        else:
            super()._settle()
