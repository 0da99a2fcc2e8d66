"""The listening side of a link, with a few plain HTTP answers on the same port."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from google.protobuf.message import DecodeError, Message
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from offload.wire.link import frames
from offload.wire.link.flow import Credit, Gate, Inbox
from offload.wire.link.frames import HEADER_BYTES, Kind
from offload.wire.rpc import Handler, RequestContext
from offload.wire.services import METHODS, Method
from offload.wire.status import LinkClosedError, Status, WireError
from offload.wire.version import PROTOCOL_VERSION

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

_log = logging.getLogger("offload.link")


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """The whole answer to a plain GET."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Where to listen and whom to let in."""

    host: str
    port: int  # 0: any free one
    check_token: Callable[[str], bool]
    answer_http: Callable[[str], HttpAnswer | None]  # by path; None: not found
    tls: ssl.SSLContext | None = None


class LinkServer:
    """Listens until closed."""

    def __init__(self, server: asyncio.Server, connections: set[_Connection]) -> None:
        self._server = server
        self._connections = connections
        self.port: int = server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, end every connection and its handlers. Idempotent."""
        self._server.close()
        for connection in tuple(self._connections):
            await connection.close()
        await self._server.wait_closed()


class _Request:
    """One request under way."""

    __slots__ = ("credit", "inbox", "method", "task")

    def __init__(self, method: Method, inbox: Inbox[Message]) -> None:
        self.method = method
        self.inbox = inbox
        self.credit = Credit()
        self.task: asyncio.Task[None] | None = None


class _Connection(WSListener):
    def __init__(self, handlers: Mapping[str, Handler], connections: set[_Connection]) -> None:
        self._handlers = handlers
        self._connections = connections
        self._requests: dict[int, _Request] = {}
        self._gate = Gate()
        self._loop = asyncio.get_running_loop()
        self._transport: WSTransport | None = None
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._context = RequestContext("", "link")

    async def close(self) -> None:
        if self._transport is not None and not self._closed.done():
            self._transport.send_close()
            self._transport.disconnect()
            await self._closed
        tasks = [request.task for request in self._requests.values() if request.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        peer = transport.underlying_transport.get_extra_info("peername")
        self._context = RequestContext(":".join(map(str, peer[:2])) if peer else "", "link")
        self._connections.add(self)

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002  # picows' signature
        self._connections.discard(self)
        if not self._closed.done():
            self._closed.set_result(None)
        self._gate.open()
        gone = LinkClosedError("the caller went away")
        for request in tuple(self._requests.values()):
            request.credit.fail(gone)
            if request.task is not None:
                request.task.cancel()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        if frame.msg_type != WSMsgType.BINARY:
            return
        try:
            self._take(frame.get_payload_as_bytes())
        except frames.FrameError as error:
            _log.warning(
                "link_frame_refused", extra={"peer": self._context.peer, "why": str(error)}
            )
            transport.disconnect(graceful=False)

    def pause_writing(self) -> None:
        self._gate.close()

    def resume_writing(self) -> None:
        self._gate.open()

    def _take(self, data: bytes) -> None:
        kind, number = frames.parse(data)
        if kind in (Kind.REQUEST, Kind.OPEN):
            self._open(kind, number, data)
            return
        request = self._requests.get(number)
        if request is None:
            return  # the request ended while this was on its way
        if kind == Kind.DATA and not request.inbox.is_ended:
            _receive(request, data[HEADER_BYTES:])
        elif kind == Kind.END:
            request.inbox.end()
        elif kind == Kind.CREDIT:
            request.credit.grant(frames.parse_credit(data))
        elif kind == Kind.CANCEL:
            if request.task is not None:
                request.task.cancel()
        else:
            raise frames.FrameError(f"a client does not send frames of kind {kind} here")

    def _open(self, kind: int, number: int, data: bytes) -> None:
        name, start = frames.parse_method(data)
        if number in self._requests:
            raise frames.FrameError(f"request {number} is open already")
        method, handler = METHODS.get(name), self._handlers.get(name)
        if method is None or handler is None:
            error = WireError(Status.UNIMPLEMENTED, f"this server has no method {name}")
            self._post(frames.pack_error(number, error))
            return
        request = _Request(method, Inbox(lambda n: self._post(frames.pack_credit(number, n))))
        if kind == Kind.REQUEST:
            _receive(request, data[start:])
            request.inbox.end()
        self._requests[number] = request
        request.task = self._loop.create_task(self._run(handler, number, request))

    async def _run(self, handler: Handler, number: int, request: _Request) -> None:
        method = request.method
        try:
            argument = _all(request.inbox) if method.client_streams else await _only(request)
            answer = handler(argument, self._context)
            if method.server_streams:
                await self._stream(number, request.credit, cast("AsyncIterator[Message]", answer))
            else:
                reply = await cast("Awaitable[Message]", answer)
                await self._send(frames.pack(Kind.REPLY, number, reply.SerializeToString()))
        except WireError as error:
            self._post(frames.pack_error(number, error))
        except asyncio.CancelledError:
            # The caller went away or the server ends. This task is the handler's alone: it may end quietly.
            self._post(frames.pack_error(number, WireError(Status.CANCELLED, "cancelled")))
        except Exception:  # noqa: BLE001  # a bug in a handler must not take the connection with it
            _log.exception("handler_failed", extra={"method": method.name})
            problem = WireError(Status.INTERNAL, f"{method.name} failed; see the server's log")
            self._post(frames.pack_error(number, problem))
        finally:
            del self._requests[number]

    async def _stream(self, number: int, credit: Credit, replies: AsyncIterator[Message]) -> None:
        async for reply in replies:
            await credit.take()
            await self._send(frames.pack(Kind.DATA, number, reply.SerializeToString()))
        self._post(frames.pack(Kind.END, number))

    async def _send(self, frame: bytes) -> None:
        if not self._gate.is_open:
            await self._gate.wait()
        self._post(frame)

    def _post(self, frame: bytes) -> None:
        if self._transport is not None and not self._closed.done():
            self._transport.send(WSMsgType.BINARY, frame)


def _receive(request: _Request, body: bytes) -> None:
    try:
        request.inbox.put(request.method.request.FromString(body))
    except DecodeError:
        what = f"that is not a {request.method.request.__name__}"
        request.inbox.end(WireError(Status.INVALID_ARGUMENT, what))


async def _only(request: _Request) -> Message:
    message = await request.inbox.get()
    if message is None:
        raise WireError(Status.INVALID_ARGUMENT, f"{request.method.name} needs a request message")
    return message


async def _all(inbox: Inbox[Message]) -> AsyncIterator[Message]:
    while (message := await inbox.get()) is not None:
        yield message


async def serve(handlers: Mapping[str, Handler], options: ServeOptions) -> LinkServer:
    """Listen for links. Raises OSError where the port cannot be had."""
    connections: set[_Connection] = set()

    def admit(request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener | None:
        path = request.path.decode(errors="replace").partition("?")[0]
        if path != frames.LINK_PATH:
            answer = options.answer_http(path)
            return None if answer is None else _plain(answer)
        refusal = _refusal(request, options)
        if refusal is not None:
            return _plain(refusal)
        return _Connection(handlers, connections)

    server = await ws_create_server(
        admit,
        options.host,
        options.port,
        ssl=options.tls,
        max_frame_size=frames.MAX_FRAME_BYTES,
        enable_auto_ping=True,
        auto_ping_idle_timeout=frames.PING_SECONDS,
        auto_ping_reply_timeout=frames.PING_SECONDS,
    )
    return LinkServer(server, connections)


def _refusal(request: WSUpgradeRequest, options: ServeOptions) -> HttpAnswer | None:
    scheme, _, token = str(request.headers.get("Authorization", "")).partition(" ")
    if scheme.lower() != "bearer" or not options.check_token(token):
        text = "the server does not know this token: use the one in the server's data directory (file `token`)"
        return HttpAnswer(401, "text/plain; charset=utf-8", text.encode())
    theirs = str(request.headers.get(frames.PROTOCOL_HEADER, "none"))
    if theirs != str(PROTOCOL_VERSION):
        text = (
            f"the server speaks protocol version {PROTOCOL_VERSION} and you version {theirs}: "
            "install the same release of offload on both sides"
        )
        return HttpAnswer(426, "text/plain; charset=utf-8", text.encode())
    return None


def _plain(answer: HttpAnswer) -> WSUpgradeResponseWithListener:
    headers = {"Content-Type": answer.content_type}
    if answer.status == 200:
        response = WSUpgradeResponse.create_ok_response(answer.body, headers)
    else:
        response = WSUpgradeResponse.create_error_response(answer.status, answer.body, headers)
    return WSUpgradeResponseWithListener(response, None)
