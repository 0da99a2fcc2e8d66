"""An ASGI app, driven by requests that are inputs. See https://asgi.readthedocs.io/en/latest/specs/www.html."""

from __future__ import annotations

import asyncio

from offload.runner.bodies import Prepared
from offload.runner.crowd import current_job
from offload.runner.web.exchange import AsyncExchange
from offload.runner.web.failures import show_error
from offload.wire.guest import web
from offload.wire.limits import INLINE_PAYLOAD_BYTES

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Union

    Message = dict[str, object]
    App = Callable[
        [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
        Awaitable[object],
    ]
    Event = Union[web.ToContainer, None]

# What an app says within this time of its first word goes out together, most often as the input's result.
_GATHER_SECONDS = 0.002
# An app that hears of its client's disconnect has so long to end by itself.
DISCONNECT_GRACE_SECONDS = 1.0

_NORMAL_CLOSURE = 1000
_GONE = 1006
_ERROR = 1011


def scope_of(head: web.RequestHead, state: dict[str, object]) -> Message:
    """Return what an app is told of a request, or of a WebSocket."""
    scope: Message = {
        "type": "websocket" if head.is_websocket else "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": head.http_version,
        "scheme": head.scheme,
        "path": head.root_path + head.path,
        "raw_path": head.raw_path,
        "query_string": head.query,
        "root_path": head.root_path,
        "headers": list(head.headers),
        "client": head.client,
        "server": head.server,
        "state": dict(state),
        "extensions": {},
    }
    if head.is_websocket:
        scope["subprotocols"] = list(head.subprotocols)
        scope["extensions"] = {"websocket.http.response": {}}
    else:
        scope["method"] = head.method
    return scope


class Connection:
    """One request or WebSocket, as long as its input runs."""

    def __init__(self, head: web.RequestHead) -> None:
        self.head = head
        self._loop = asyncio.get_running_loop()
        self._exchange: AsyncExchange | None = None
        self._receiving: asyncio.Task[Event] | None = None
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._task = asyncio.current_task()
        job = current_job()
        if job is not None:
            job.cancel_task = self._cancel

    @property
    def is_gone(self) -> bool:
        """Whether the client is known to have gone."""
        return self._gone.done() or (self._exchange is not None and self._exchange.is_broken)

    @property
    def has_exchange(self) -> bool:
        """Whether something of it goes through an exchange; then the response does."""
        return self._exchange is not None

    @property
    def exchange(self) -> AsyncExchange:
        """The way of what does not fit the input."""
        if self._exchange is None:
            self._exchange = AsyncExchange(self._loop)
        return self._exchange

    async def next_event(self) -> Event:
        """Return the next part of the request; None where the client has gone."""
        if self.is_gone:
            return None
        if self.head.is_whole and self._exchange is None and not self.head.is_websocket:
            await asyncio.shield(self._gone)
            return None
        if self._receiving is None:
            # Kept where whoever waits is cancelled: what it has taken by then is the next event.
            self._receiving = self._loop.create_task(self.exchange.receive())
        receiving = self._receiving
        await asyncio.wait((receiving, self._gone), return_when=asyncio.FIRST_COMPLETED)
        if not receiving.done():
            return None
        self._receiving = None
        return receiving.result()

    async def finish(self) -> None:
        """Wait until the server has what went out."""
        if self._exchange is not None and not self.is_gone:
            await self._exchange.close()

    def leave(self) -> None:
        """Give up what is still open, if anything is."""
        if self._receiving is not None:
            self._receiving.cancel()
        if self._exchange is not None:
            self._exchange.give_up()

    def _cancel(self) -> None:
        if not self._gone.done():
            self._gone.set_result(None)
        if self._task is not None:
            self._loop.call_later(DISCONNECT_GRACE_SECONDS, self._task.cancel)


class HttpCycle:
    """One request and its response."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._has_body = False  # the app has what came with the request's head
        self._is_heard = False  # and all of the request
        self._head: web.ResponseHead | None = None
        self._is_head_sent = False
        self._gathered: list[bytes] = []
        self._size = 0
        self._is_complete = False
        self._is_streamed = False
        self._flushing = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._flush_task: asyncio.Task[None] | None = None

    async def receive(self) -> Message:
        """See the specification."""
        if not self._has_body:
            head = self._connection.head
            self._has_body, self._is_heard = True, head.is_whole
            return {"type": "http.request", "body": head.body, "more_body": not head.is_whole}
        if self._is_complete:
            return {"type": "http.disconnect"}
        event = await self._connection.next_event()
        if isinstance(event, web.Body) and not self._is_heard:
            self._is_heard = event.last
            return {"type": "http.request", "body": event.data, "more_body": not event.last}
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """See the specification."""
        kind = message["type"]
        if kind == "http.response.start" and self._head is None:
            self._head = _response_head(message)
        elif kind == "http.response.body" and self._head is not None and not self._is_complete:
            await self._add(bytes(message.get("body", b"")), last=not message.get("more_body"))  # type: ignore[call-overload]
        else:
            raise RuntimeError(
                f"an app sends http.response.start once and then http.response.body until the last; not {kind!r} here"
            )

    async def _add(self, data: bytes, *, last: bool) -> None:
        if self._connection.head.method == "HEAD":
            data = b""
        self._gathered.append(data)
        self._size += len(data)
        self._is_complete = last
        is_much = self._size > (INLINE_PAYLOAD_BYTES if last else INLINE_PAYLOAD_BYTES // 2)
        if self._is_streamed or is_much:
            await self._flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(_GATHER_SECONDS, self._start_flush)

    def _start_flush(self) -> None:
        self._is_streamed = True  # from here on nothing more can go out as the input's result
        self._flush_task = self._loop.create_task(self._flush())

    async def _flush(self) -> None:
        self._is_streamed = True
        if self._connection.is_gone:
            self._gathered.clear()
            return
        async with self._flushing:
            exchange = self._connection.exchange
            if not self._is_head_sent and self._head is not None:
                self._is_head_sent = True
                await exchange.send(self._head)
            data, self._gathered, self._size = b"".join(self._gathered), [], 0
            last = self._is_complete
            for at in range(0, max(len(data), 1), web.MAX_PART_BYTES):
                end = at + web.MAX_PART_BYTES
                piece = data[at:end]
                is_last = last and end >= len(data)
                if piece or is_last:
                    await exchange.send(web.Body(piece, is_last))

    async def fail(self) -> None:
        """Pass the error on that is being handled, unless the app has answered with it."""
        if not self._is_complete:
            raise  # noqa: PLE0704 - see above

    async def finish(self) -> Prepared:
        """Return the input's result, once the app has returned and everything is on its way."""
        self._stop_timer()
        if self._head is None or (not self._is_complete and not self._is_streamed):
            if self._connection.is_gone:
                return Prepared(web.ENCODING, b"")
            raise RuntimeError("the app has returned without a whole response")
        if not self._is_streamed:
            whole = web.encode_response(self._head, b"".join(self._gathered))
            if len(whole) <= INLINE_PAYLOAD_BYTES and not self._connection.has_exchange:
                return Prepared(web.ENCODING, whole)
            await self._flush()
        if self._flush_task is not None:
            await self._flush_task
        await self._connection.finish()
        return Prepared(web.ENCODING, b"")

    def leave(self) -> None:
        """Give up what is still open, if anything is."""
        self._stop_timer()
        if self._flush_task is not None:
            self._flush_task.cancel()
        self._connection.leave()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class WebSocketCycle:
    """One WebSocket."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_opened = False
        self._is_accepted = False
        self._is_closed = False
        self._pieces: list[bytes] = []  # of a message that is not whole yet, whoever waited for it
        self._size = 0

    async def receive(self) -> Message:
        """See the specification."""
        if not self._is_opened:
            self._is_opened = True
            return {"type": "websocket.connect"}
        while not self._is_closed:
            event = await self._connection.next_event()
            if isinstance(event, web.Close):
                self._is_closed = True
                return _disconnect(event.code, event.reason)
            if not isinstance(event, (web.Text, web.Binary)):
                break
            self._pieces.append(event.data)
            self._size += len(event.data)
            if self._size > web.MAX_MESSAGE_BYTES:
                break
            if event.last:
                data, self._pieces, self._size = b"".join(self._pieces), [], 0
                if isinstance(event, web.Text):
                    return {"type": "websocket.receive", "text": data.decode("utf-8", "replace")}
                return {"type": "websocket.receive", "bytes": data}
        return _disconnect(_NORMAL_CLOSURE if self._is_closed else _GONE, "")

    async def send(self, message: Message) -> None:
        """See the specification."""
        kind = message["type"]
        if self._is_closed:
            raise RuntimeError(f"the app has closed this WebSocket, and sends {kind!r}")
        if self._connection.is_gone:
            # As servers do it: the app is told, and need not look before each message whether somebody is there.
            raise OSError("the client of this WebSocket has gone")
        if kind == "websocket.accept" and not self._is_accepted:
            self._is_accepted = True
            accept = web.Accept(str(message.get("subprotocol") or ""), _headers(message))
            await self._connection.exchange.send(accept)
        elif kind == "websocket.close":
            await self.close(
                int(message.get("code") or _NORMAL_CLOSURE),  # type: ignore[call-overload]
                str(message.get("reason") or ""),
            )
        elif kind == "websocket.send" and self._is_accepted:
            await self._send(message)
        elif kind.__class__ is str and str(kind).startswith("websocket.http.response."):
            await self._refuse(message)
        else:
            raise RuntimeError(f"a WebSocket is accepted or closed first, and not sent {kind!r}")

    async def _send(self, message: Message) -> None:
        text = message.get("text")
        data = str(text).encode() if text is not None else bytes(message.get("bytes") or b"")  # type: ignore[call-overload]
        kind = web.Binary if text is None else web.Text
        for at in range(0, max(len(data), 1), web.MAX_PART_BYTES):
            end = at + web.MAX_PART_BYTES
            await self._connection.exchange.send(kind(data[at:end], end >= len(data)))

    async def _refuse(self, message: Message) -> None:
        if message["type"] == "websocket.http.response.start":
            await self._connection.exchange.send(_response_head(message))
            return
        last = not message.get("more_body")
        data = bytes(message.get("body", b""))  # type: ignore[call-overload]
        for at in range(0, max(len(data), 1), web.MAX_PART_BYTES):
            end = at + web.MAX_PART_BYTES
            piece = web.Body(data[at:end], last and end >= len(data))
            await self._connection.exchange.send(piece)
        self._is_closed = last

    async def close(self, code: int, reason: str) -> None:
        """End it, where that is not done. Before it is accepted that refuses it."""
        if not self._is_closed and not self._connection.is_gone:
            self._is_closed = True
            await self._connection.exchange.send(web.Close(code, reason))

    async def fail(self) -> None:
        """Say that it ends because of an error."""
        await self.close(_ERROR, "")

    async def finish(self) -> Prepared:
        """Return the input's result, once the app has returned."""
        await self.close(_NORMAL_CLOSURE, "")
        await self._connection.finish()
        return Prepared(web.ENCODING, b"")

    def leave(self) -> None:
        """Give up what is still open, if anything is."""
        self._connection.leave()


def _disconnect(code: int, reason: str) -> Message:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


def _headers(message: Message) -> web.Headers:
    given: object = message.get("headers") or ()
    headers = tuple((bytes(name).lower(), bytes(value)) for name, value in given)  # type: ignore[attr-defined]
    web.check_headers(headers)
    return headers


def _response_head(message: Message) -> web.ResponseHead:
    return web.ResponseHead(int(message["status"]), _headers(message))  # type: ignore[call-overload]


async def answer(
    app: App, head: web.RequestHead, state: dict[str, object], *, method: str = ""
) -> Prepared:
    """Have the app answer a request; return the input's result. What the app raises passes through, and is shown.

    With `method` the app takes it for a request of that one.
    """
    connection = Connection(head)
    cycle: HttpCycle | WebSocketCycle
    cycle = WebSocketCycle(connection) if head.is_websocket else HttpCycle(connection)
    try:
        try:
            scope = scope_of(head if not method else head._replace(method=method), state)
            await app(scope, cycle.receive, cycle.send)
        except Exception:  # noqa: BLE001 - whatever it is, it is the app's, and shown
            if connection.is_gone:
                return Prepared(web.ENCODING, b"")
            show_error()
            await cycle.fail()
        return await cycle.finish()
    finally:
        cycle.leave()
