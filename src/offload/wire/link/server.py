"""The listening side of a link, with a few plain HTTP answers on the same port."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, cast

import aiofastnet
from google.protobuf.message import DecodeError, Message
from picows import (
    WSAutoPingStrategy,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its stubs

from offload.wire.link import frames
from offload.wire.link.flow import Credit, Gate, Inbox
from offload.wire.link.frames import HEADER_BYTES, Kind
from offload.wire.link.front import FirstBytes
from offload.wire.rpc import Handler, Promise, RequestContext
from offload.wire.services import METHODS, Method
from offload.wire.status import Status, WireError
from offload.wire.version import PROTOCOL_VERSION

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping

_log = logging.getLogger("offload.link")
HANDSHAKE_SECONDS = 5.0
READ_BUFFER_BYTES = 16 * 1024  # to begin with


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
    # Speaks with clients that do not ask for a link; None: they get what `answer_http` has for them.
    other: Callable[[], asyncio.BaseProtocol] | None = None
    tls: ssl.SSLContext | None = None


class LinkServer:
    """Listens until closed."""

    def __init__(
        self,
        server: asyncio.Server,
        connections: set[_Connection],
        undecided: set[FirstBytes],
    ) -> None:
        self._server = server
        self._connections = connections
        self._undecided = undecided
        self.port: int = server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, end every connection and its handlers. Idempotent."""
        self._server.close()
        for stranger in tuple(self._undecided):
            stranger.close()
        for connection in tuple(self._connections):
            await connection.close()
        await self._server.wait_closed()


class _Request:
    """One request under way; to a handler that streams both ways, its `Shortcut`."""

    __slots__ = ("_post", "credit", "gate", "inbox", "is_waiting", "method", "number", "task")

    def __init__(
        self, number: int, method: Method, gate: Gate, post: Callable[[bytes], None]
    ) -> None:
        self.number = number
        self.method = method
        self.gate = gate
        self._post = post
        self.inbox: Inbox[Message] = Inbox(lambda n: post(frames.pack_credit(number, n)))
        self.credit = Credit()
        self.is_waiting = False  # for the handler's next reply; all before are sent
        self.task: asyncio.Task[None] | None = None

    def offer(self, reply: Message) -> bool:
        """See `Shortcut`."""
        if not (self.is_waiting and self.gate.is_open and self.credit.is_left):
            return False
        self.credit.spend()
        self._post(frames.pack(Kind.DATA, self.number, reply.SerializeToString()))
        return True

    def intercept(self, take: Callable[[Message], bool]) -> None:
        """See `Shortcut`."""
        self.inbox.intercept(take)


class _Connection(WSListener):
    def __init__(self, handlers: Mapping[str, Handler], connections: set[_Connection]) -> None:
        self._handlers = handlers
        self._connections = connections
        self._requests: dict[int, _Request] = {}
        self._promises: set[int] = set()  # requests that nothing but their reply is left of
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
        await asyncio.gather(*tasks, return_exceptions=True)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        peer = transport.underlying_transport.get_extra_info("peername")
        self._context = RequestContext(":".join(map(str, peer[:2])) if peer else "", "link")
        self._connections.add(self)

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002  # picows' signature
        if not self._closed.done():
            self._closed.set_result(None)
        self._gate.close()
        self._forget_if_over()
        for request in self._requests.values():
            self._cancel(request)

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
            if kind == Kind.CANCEL:
                self._promises.discard(number)
            return  # the request ended while this was on its way
        if kind == Kind.DATA and not request.inbox.is_ended:
            _receive(request, memoryview(data)[HEADER_BYTES:])
        elif kind == Kind.END:
            request.inbox.end()
        elif kind == Kind.CREDIT:
            request.credit.grant(frames.parse_credit(data))
        elif kind == Kind.CANCEL:
            self._cancel(request)
        else:
            raise frames.FrameError(f"a client does not send frames of kind {kind} here")

    def _open(self, kind: int, number: int, data: bytes) -> None:
        name, start = frames.parse_method(data)
        if number in self._requests or number in self._promises:
            raise frames.FrameError(f"request {number} is open already")
        method, handler = METHODS.get(name), self._handlers.get(name)
        if method is None or handler is None:
            error = WireError(Status.UNIMPLEMENTED, f"this server has no method {name}")
            self._post(frames.pack_error(number, error))
            return
        if kind == Kind.REQUEST and not (method.client_streams or method.server_streams):
            self._answer(method, handler, number, data[start:])
            return
        request = _Request(number, method, self._gate, self._post)
        if kind == Kind.REQUEST:
            _receive(request, data[start:])
            request.inbox.end()
        self._start(number, request, self._run(handler, number, request))

    def _answer(self, method: Method, handler: Handler, number: int, body: bytes) -> None:
        """Call a handler that takes and returns one message; only one that waits for something gets a task."""
        try:
            answer = handler(_parse(method, body), self._context)
        except Exception as error:  # noqa: BLE001  # whatever it is, it fails this request alone
            self._fail(number, method, error)
            return
        if isinstance(answer, Promise):
            self._promises.add(number)
            answer.when_settled(partial(self._keep, number, method, answer))
        else:
            request = _Request(number, method, self._gate, self._post)
            request.inbox.end()
            self._start(number, request, self._reply(number, cast("Awaitable[Message]", answer)))

    def _keep(self, number: int, method: Method, promise: Promise[object]) -> None:
        if number not in self._promises:
            return  # the caller has given up
        self._promises.remove(number)
        try:
            self._post(frames.pack(Kind.REPLY, number, promise.reply().SerializeToString()))
        except Exception as error:  # noqa: BLE001  # whoever settled it is no part of this request
            self._fail(number, method, error)

    def _start(self, number: int, request: _Request, work: Coroutine[object, object, None]) -> None:
        self._requests[number] = request
        request.task = self._loop.create_task(self._finish(number, request.method, work))

    def _cancel(self, request: _Request) -> None:
        # After its first step: what has never run could not clean up behind itself.
        if request.task is not None:
            self._loop.call_soon(request.task.cancel)

    async def _finish(
        self, number: int, method: Method, work: Coroutine[object, object, None]
    ) -> None:
        try:
            await work
        except asyncio.CancelledError:
            # The caller went away or the server ends. This task is the handler's alone: it may end quietly.
            self._post(frames.pack_error(number, WireError(Status.CANCELLED, "cancelled")))
        except Exception as error:  # noqa: BLE001  # a bug in a handler must not take the connection with it
            self._fail(number, method, error)
        finally:
            del self._requests[number]
            self._forget_if_over()

    def _forget_if_over(self) -> None:
        # Whoever closes the server waits for the handlers of callers who have gone, too.
        if self._closed.done() and not self._requests:
            self._connections.discard(self)

    async def _run(self, handler: Handler, number: int, request: _Request) -> None:
        method = request.method
        context = self._context
        if method.client_streams and method.server_streams:
            context = replace(context, shortcut=request)
        argument = request.inbox if method.client_streams else await _only(request)
        answer = handler(argument, context)
        if method.server_streams:
            # A caller who goes away while a reply is on its way to him leaves the handler in the middle.
            async with aclosing(cast("AsyncGenerator[Message, None]", answer)) as replies:
                await self._stream(request, replies)
        else:
            await self._reply(number, cast("Awaitable[Message]", answer))

    async def _reply(self, number: int, answer: Awaitable[Message]) -> None:
        reply = await answer
        await self._send(frames.pack(Kind.REPLY, number, reply.SerializeToString()))

    def _fail(self, number: int, method: Method, error: Exception) -> None:
        if not isinstance(error, WireError):
            _log.error("handler_failed", exc_info=error, extra={"method": method.name})
            error = WireError(Status.INTERNAL, f"{method.name} failed; see the server's log")
        self._post(frames.pack_error(number, error))

    async def _stream(self, request: _Request, replies: AsyncGenerator[Message, None]) -> None:
        number = request.number
        try:
            request.is_waiting = True
            async for reply in replies:
                request.is_waiting = False
                await request.credit.take()
                await self._send(frames.pack(Kind.DATA, number, reply.SerializeToString()))
                request.is_waiting = True
        finally:
            request.is_waiting = False
        self._post(frames.pack(Kind.END, number))

    async def _send(self, frame: bytes) -> None:
        if not self._gate.is_open:
            await self._gate.wait()
        self._post(frame)

    def _post(self, frame: bytes) -> None:
        if self._transport is not None and not self._closed.done():
            self._transport.send(WSMsgType.BINARY, frame)


def _receive(request: _Request, body: bytes | memoryview) -> None:
    try:
        request.inbox.put(_parse(request.method, body))
    except WireError as error:
        request.inbox.end(error)


def _parse(method: Method, body: bytes | memoryview) -> Message:
    try:
        return method.request.FromString(body)  # type: ignore[arg-type]  # it takes views, too
    except DecodeError:
        what = f"that is not a {method.request.__name__}"
        raise WireError(Status.INVALID_ARGUMENT, what) from None


async def _only(request: _Request) -> Message:
    message = await request.inbox.get()
    if message is None:
        raise WireError(Status.INVALID_ARGUMENT, f"{request.method.name} needs a request message")
    return message


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

    undecided: set[FirstBytes] = set()
    link = partial(_link_protocol, admit)
    server = await aiofastnet.create_server(
        asyncio.get_running_loop(),
        lambda: FirstBytes(link, options.other or link, undecided),
        host=options.host,
        port=options.port,
        ssl=options.tls,
    )
    return LinkServer(server, connections, undecided)


def _link_protocol(admit: Callable[[WSUpgradeRequest], object]) -> asyncio.BaseProtocol:
    # What `ws_create_server` makes for each connection that it accepts itself; no public name leads to it.
    protocol: asyncio.BaseProtocol = WSProtocol(
        None, None, False, admit, logging.getLogger("picows.server"), True, HANDSHAKE_SECONDS,
        True, frames.PING_SECONDS, frames.PING_SECONDS, WSAutoPingStrategy.PING_WHEN_IDLE, True,
        frames.MAX_FRAME_BYTES, None, READ_BUFFER_BYTES,
    )  # fmt: skip
    return protocol


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
