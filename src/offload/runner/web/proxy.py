"""A program in this container that listens at a port: requests go to it as they came, and so do WebSockets."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import quote

from offload.runner.web import asgi
from offload.runner.web.frames import WebSocketClient
from offload.wire.guest import web

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from offload.runner.bodies import Prepared
    from offload.runner.web.asgi import Message

    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

_POLL_SECONDS = 0.02
_HOST = "127.0.0.1"
_MAX_HEAD_BYTES = web.MAX_HEAD_BYTES
# Of one connection alone (RFC 9110, 7.6.1); what they say holds between the program and us.
_OF_CONNECTIONS = frozenset(
    (
        b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    )
)  # fmt: skip
_OF_WEBSOCKETS = frozenset(
    (
        b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-extensions", b"sec-websocket-accept",
        b"sec-websocket-protocol",
    )
)  # fmt: skip


class BadAnswerError(RuntimeError):
    """The program does not speak HTTP/1.1 as it should."""


async def wait_until_open(port: int, timeout_seconds: float) -> None:
    """Return when something listens at the port. Raises `TimeoutError` where nothing does in time."""
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout_seconds
    while not await _is_open(port):
        if loop.time() >= until:
            raise TimeoutError(
                f"nothing listens at port {port} of the container after {timeout_seconds:g} s: let the program listen at "
                "127.0.0.1 or 0.0.0.0, or give it more time with startup_timeout="
            )
        await asyncio.sleep(_POLL_SECONDS)


async def _is_open(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(_HOST, port)
    except OSError:
        return False
    await _close(writer)
    return True


async def answer(port: int, head: web.RequestHead) -> Prepared:
    """Have the program answer a request; return the input's result."""

    async def app(_: Message, receive: Receive, send: Send) -> None:
        try:
            reader, writer = await asyncio.open_connection(_HOST, port, limit=_MAX_HEAD_BYTES)
        except OSError as error:
            raise ConnectionRefusedError(
                f"nothing listens at port {port} of the container any more ({error}): has the program ended?"
            ) from error
        try:
            if head.is_websocket:
                await _websocket(head, WebSocketClient(reader, writer), receive, send)
            else:
                await _http(head, reader, writer, receive, send)
        finally:
            await _close(writer)

    return await asgi.answer(app, head, {})


async def _http(
    head: web.RequestHead,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    receive: Receive,
    send: Send,
) -> None:
    is_chunked = not head.is_whole and not any(n == b"content-length" for n, _ in head.headers)
    extra = [(b"connection", b"close")]
    if is_chunked:
        extra.append((b"transfer-encoding", b"chunked"))
    elif head.is_whole and head.body and not any(n == b"content-length" for n, _ in head.headers):
        extra.append((b"content-length", b"%d" % len(head.body)))
    writer.write(request_bytes(head, extra))
    upload = asyncio.ensure_future(_upload(writer, receive, is_chunked=is_chunked))
    try:
        status, headers = await _read_head(reader)
        shown = [pair for pair in headers if pair[0] not in _OF_CONNECTIONS]
        await send({"type": "http.response.start", "status": status, "headers": shown})
        if head.method != "HEAD" and status not in (204, 304):
            async for piece in _body(reader, headers):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        upload.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await upload


def request_bytes(head: web.RequestHead, extra: list[tuple[bytes, bytes]]) -> bytes:
    """Return the head of the request for the program, which knows nothing of the path to its endpoint."""
    raw = head.raw_path
    prefix = quote(head.root_path).encode()
    if head.root_path and raw.startswith(prefix):
        raw = raw[len(prefix) :]
    target = (raw or b"/") + (b"?" + head.query if head.query else b"")
    lines = [b"%s %s HTTP/1.1" % (head.method.encode(), target)]
    for name, value in head.headers:
        if name not in _OF_CONNECTIONS and not (head.is_websocket and name in _OF_WEBSOCKETS):
            lines.append(b"%s: %s" % (name, value))
    if head.root_path:
        lines.append(b"x-forwarded-prefix: " + prefix)
    lines += [b"%s: %s" % pair for pair in extra]
    return b"\r\n".join([*lines, b"", b""])


async def _upload(writer: asyncio.StreamWriter, receive: Receive, *, is_chunked: bool) -> None:
    more = True
    while more:
        event = await receive()
        if event["type"] != "http.request":
            writer.close()  # the client has gone before the end of its request
            return
        data: bytes = event["body"]  # type: ignore[assignment]  # by the specification
        more = bool(event["more_body"])
        if is_chunked and data:
            data = b"%x\r\n%s\r\n" % (len(data), data)
        if is_chunked and not more:
            data += b"0\r\n\r\n"
        writer.write(data)
        await writer.drain()


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, list[tuple[bytes, bytes]]]:
    while True:
        try:
            data = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise BadAnswerError(f"the program has sent no head of a response: {error}") from error
        first, *lines = data[:-4].split(b"\r\n")
        version, _, rest = first.partition(b" ")
        status = rest[:3]
        if not version.startswith(b"HTTP/1.") or not status.isdigit():
            raise BadAnswerError(f"the program has not answered in HTTP/1.1, but {first[:100]!r}")
        if not 100 <= int(status) <= 199 or int(status) == 101:
            pairs = [line.partition(b":") for line in lines]
            return int(status), [(name.strip().lower(), value.strip()) for name, _, value in pairs]


async def _body(
    reader: asyncio.StreamReader, headers: list[tuple[bytes, bytes]]
) -> AsyncIterator[bytes]:
    known = dict(headers)
    if known.get(b"transfer-encoding", b"").lower().endswith(b"chunked"):
        async for piece in _chunks(reader):
            yield piece
        return
    length = known.get(b"content-length")
    left = int(length) if length is not None and length.isdigit() else None
    while left is None or left > 0:
        piece = await reader.read(
            web.MAX_PART_BYTES if left is None else min(left, web.MAX_PART_BYTES)
        )
        if not piece:
            if left is not None:
                raise BadAnswerError(f"the program has ended its response {left} bytes early")
            return
        left = None if left is None else left - len(piece)
        yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    try:
        while True:
            line = await reader.readuntil(b"\r\n")
            left = int(line.partition(b";")[0].strip(), 16)
            if not left:
                return
            while left:
                piece = await reader.readexactly(min(left, web.MAX_PART_BYTES))
                left -= len(piece)
                yield piece
            await reader.readexactly(2)
    except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise BadAnswerError(f"the program has broken off its response: {error}") from error


async def _websocket(
    head: web.RequestHead, client: WebSocketClient, receive: Receive, send: Send
) -> None:
    await receive()
    client.writer.write(
        request_bytes(head._replace(method="GET"), client.upgrade(head.subprotocols))
    )
    status, headers = await _read_head(client.reader)
    if status != 101:
        await _refuse(client, status, headers, send)
        return
    client.check(headers)
    subprotocol = dict(headers).get(b"sec-websocket-protocol", b"").decode("latin-1")
    shown = [p for p in headers if p[0] not in _OF_CONNECTIONS and p[0] not in _OF_WEBSOCKETS]
    await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": shown})
    up = asyncio.ensure_future(_up(client, receive))
    try:
        async for kind, data in client.messages():
            message: Message = {"type": "websocket.send"}
            message["text" if kind == "text" else "bytes"] = data
            await send(message)
        if not up.done():
            code, reason = client.closing
            await send({"type": "websocket.close", "code": code, "reason": reason})
    finally:
        up.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await up


async def _refuse(
    client: WebSocketClient, status: int, headers: list[tuple[bytes, bytes]], send: Send
) -> None:
    shown = [pair for pair in headers if pair[0] not in _OF_CONNECTIONS]
    await send({"type": "websocket.http.response.start", "status": status, "headers": shown})
    async for piece in _body(client.reader, headers):
        await send({"type": "websocket.http.response.body", "body": piece, "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b""})


async def _up(client: WebSocketClient, receive: Receive) -> None:
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            await client.close(int(event["code"]), str(event.get("reason") or ""))  # type: ignore[call-overload]
            return
        await client.send(event.get("text"), event.get("bytes"))


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
