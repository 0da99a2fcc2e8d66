"""The connection inside a container: the runner's socket, and behind it the worker, which knows who asks.

It looks to the rest of the client like a link to the server. There is no credential, no address and nothing to dial.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from google.protobuf.message import Message

from offload.sdk.client.refusals import from_wire
from offload.wire.guest import asks
from offload.wire.inside import STREAMED
from offload.wire.status import LinkClosedError, Status, WireError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from offload.wire.guest import Platform

M = TypeVar("M", bound=Message)
T = TypeVar("T")

_PAUSE_SECONDS = 0.05  # before a request is made again whose worker has lost its server; it waits there for the next link
_WINDOW = 16  # answers of a stream that may be on their way
_OK = int(Status.OK)


class InsideConnection:
    """See `Connection`."""

    is_inside = True

    def __init__(self, find: Callable[[], Platform]) -> None:
        self._link = InsideLink(find)

    async def link(self) -> InsideLink:
        """See `Connection`."""
        return self._link

    @property
    def open_link(self) -> InsideLink:
        """See `Connection`."""
        return self._link

    async def repeat(self, attempt: Callable[[InsideLink], Awaitable[T]]) -> T:
        """See `Connection`."""
        while True:
            try:
                return await attempt(self._link)
            except LinkClosedError:
                await asyncio.sleep(_PAUSE_SECONDS)
            except WireError as error:
                raise from_wire(error) from None

    async def close(self) -> None:
        """See `Connection`."""


class InsideLink:
    """See `Link`."""

    def __init__(self, find: Callable[[], Platform]) -> None:
        self.platform = find

    async def close(self) -> None:
        """Wait a little: it is always there, and its worker may be about to have a server again."""
        await asyncio.sleep(_PAUSE_SECONDS)

    async def unary(self, method: str, request: Message, reply: type[M]) -> M:
        """See `Link`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()

        def tell(answer: bytes | WireError) -> None:
            loop.call_soon_threadsafe(_settle, future, answer)

        number = self.ask(method, request.SerializeToString(), tell)
        try:
            return reply.FromString(await future)
        except asyncio.CancelledError:
            self.forget(number)
            raise

    def ask(self, method: str, request: bytes, tell: Callable[[bytes | WireError], None]) -> int:
        """See `Link`. `tell` is called in the thread that reads the runner's socket."""

        def take(message: asks.Answer | asks.Credit) -> None:
            if isinstance(message, asks.Answer):
                tell(message.data if message.status == _OK else _error(message))

        return self.platform().ask(method, request, take)

    def forget(self, number: int, *, tell: bool = True) -> None:
        """See `Link`."""
        del tell
        self.platform().give_up(number)

    def stream(self, method: str, reply: type[M]) -> InsideStream[M]:
        """See `Link`."""
        return InsideStream(self.platform(), method, reply)


class InsideStream(Generic[M]):
    """See `Stream`. Uploads stream as they do elsewhere; of everything else the request is one message."""

    def __init__(self, platform: Platform, method: str, reply: type[M]) -> None:
        self._platform = platform
        self._method = method
        self._reply = reply
        self._loop = asyncio.get_running_loop()
        self._number = 0
        self._is_open = method.endswith("/Upload")
        self._request = b""
        self._room = 0
        self._answers: deque[asks.Answer] = deque()
        self._changed = asyncio.Event()
        self._is_over = False

    async def send(self, message: Message) -> None:
        """See `Stream`."""
        if not self._is_open:
            # Messages one behind another are one message with the fields of all.
            self._request += message.SerializeToString()
            return
        if not self._number:
            self._number = self._platform.ask(self._method, b"", self._take, is_open=True)
        while not self._room and not self._answers:
            self._changed.clear()
            await self._changed.wait()
        if not self._answers:  # else it has failed, which `receive` tells
            self._room -= 1
            # A piece of an upload is all data but for two bytes of its message, which the worker makes anew.
            data: bytes = getattr(message, "data", b"")
            self._platform.send_more(self._number, data, last=False)

    async def end(self) -> None:
        """See `Stream`."""
        if self._is_open:
            self._platform.send_more(self._number, b"", last=True)
            return
        self._number = self._platform.ask(self._method, self._request, self._take)
        self._platform.grant(self._number, _WINDOW)

    async def receive(self) -> M | None:
        """See `Stream`."""
        while not self._answers:
            if self._is_over:
                return None
            self._changed.clear()
            await self._changed.wait()
        answer = self._answers.popleft()
        self._is_over = answer.last
        if answer.status != _OK:
            raise _error(answer)
        if answer.last and self._method in STREAMED:
            return None
        if not answer.last:
            self._platform.grant(self._number, 1)
        return self._reply.FromString(answer.data)

    def cancel(self) -> None:
        """See `Stream`."""
        if self._number and not self._is_over:
            self._platform.give_up(self._number)

    def __aiter__(self) -> InsideStream[M]:
        return self

    async def __anext__(self) -> M:
        message = await self.receive()
        if message is None:
            raise StopAsyncIteration
        return message

    def _take(self, message: asks.Answer | asks.Credit) -> None:
        self._loop.call_soon_threadsafe(self._note, message)

    def _note(self, message: asks.Answer | asks.Credit) -> None:
        if isinstance(message, asks.Credit):
            self._room += message.messages
        else:
            self._answers.append(message)
        self._changed.set()


def _settle(future: asyncio.Future[bytes], answer: bytes | WireError) -> None:
    if future.done():
        return
    if isinstance(answer, WireError):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _error(answer: asks.Answer) -> WireError:
    message = answer.data.decode("utf-8", "replace")
    if answer.status == asks.LOST:
        return LinkClosedError(message)
    return WireError(Status(answer.status), message)
