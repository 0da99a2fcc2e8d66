"""What a link's dialling side keeps of each request under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from google.protobuf.message import Message

from offload.wire.link import frames
from offload.wire.link.flow import Credit, Inbox
from offload.wire.link.frames import HEADER_BYTES, Kind
from offload.wire.status import Status, WireError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

M = TypeVar("M", bound=Message)
T = TypeVar("T")


class Carrier(Protocol):
    """What a request asks of its link."""

    @property
    def takes_frames(self) -> bool:
        """Whether a frame can be sent now, without waiting."""
        ...

    async def send(self, frame: bytes) -> None:
        """Send a frame; wait while the connection is congested. Raises `WireError`."""
        ...

    def post(self, frame: bytes) -> None:
        """Send a small frame without waiting."""
        ...

    def forget(self, number: int, *, tell: bool = False) -> None:
        """Drop a request; with `tell`, say so to the server."""
        ...

    def answer(self, tell: Callable[[T], None], answer: T) -> None:
        """Call `tell` once what came before the answer has been read."""
        ...

    def let_readers_go_first(self) -> None:
        """Let a reader that has just been woken come before any answer."""
        ...


class Stream(Generic[M]):
    """One request under way whose messages stream. Iterate over it for the replies. For one reader, one writer."""

    def __init__(self, link: Carrier, number: int, reply: type[M]) -> None:
        self._link = link
        self._number = number
        self._reply = reply
        self._inbox: Inbox[M] = Inbox(self._grant)
        self._credit = Credit()

    async def send(self, message: Message) -> None:
        """Send one request message; wait while the other side has no room. Raises `WireError` when it is over."""
        await self._credit.take()
        await self._link.send(frames.pack(Kind.DATA, self._number, message.SerializeToString()))

    async def send_parts(self, parts: Sequence[bytes | memoryview]) -> None:
        """Send one request message that is encoded already, in parts that are copied once. See `send`."""
        await self._credit.take()
        await self._link.send(frames.pack_parts(Kind.DATA, self._number, parts))

    @property
    def can_send(self) -> bool:
        """Whether `send` would not wait and not raise."""
        return self._link.takes_frames and self._credit.is_left

    def send_now(self, message: Message) -> None:
        """Send one request message without waiting. Legal while `can_send`."""
        self._credit.spend()
        self._link.post(frames.pack(Kind.DATA, self._number, message.SerializeToString()))

    def intercept(self, take: Callable[[M], bool]) -> None:
        """Show `take` every reply that the reader waits for; it returns whether the reader need not see it.

        What it raises, the reader gets in its place.
        """
        self._inbox.intercept(take)

    async def end(self) -> None:
        """Say that no more request messages come."""
        await self._link.send(frames.pack(Kind.END, self._number))

    async def receive(self) -> M | None:
        """Return the next reply, or None after the last. Raises `WireError`."""
        return await self._inbox.get()

    def cancel(self) -> None:
        """Tell the other side that nobody waits any more. Idempotent, legal after the end."""
        if not self._inbox.is_ended:
            self.fail(WireError(Status.CANCELLED, "cancelled by the caller"))
            self._link.forget(self._number, tell=True)

    def __aiter__(self) -> Stream[M]:
        return self

    async def __anext__(self) -> M:
        message = await self._inbox.get()
        if message is None:
            raise StopAsyncIteration
        return message

    def take(self, kind: int, frame: bytes) -> None:
        """Handle a frame of this stream."""
        if kind == Kind.DATA:
            if not self._inbox.put(self._reply.FromString(frame[HEADER_BYTES:])):
                self._link.let_readers_go_first()
        elif kind == Kind.CREDIT:
            self._credit.grant(frames.parse_credit(frame))
        elif kind == Kind.REPLY:
            self._inbox.put(self._reply.FromString(frame[HEADER_BYTES:]))
            self._finish()
        elif kind == Kind.END:
            self._finish()
        elif kind == Kind.ERROR:
            self.fail(frames.parse_error(frame))
            self._link.forget(self._number)
        else:
            raise frames.FrameError(f"a server does not send frames of kind {kind}")

    def fail(self, error: WireError) -> None:
        """End the stream with an error for both directions."""
        self._inbox.end(error)
        self._credit.fail(error)

    def _finish(self) -> None:
        self._inbox.end()
        self._credit.fail(WireError(Status.CANCELLED, "the server has ended this request"))
        self._link.forget(self._number)

    def _grant(self, messages: int) -> None:
        self._link.post(frames.pack_credit(self._number, messages))


class Unary(Generic[M]):
    """A request with one reply."""

    __slots__ = ("_reply", "future")

    def __init__(self, reply: type[M], loop: asyncio.AbstractEventLoop) -> None:
        self._reply = reply
        self.future: asyncio.Future[M] = loop.create_future()

    def take(self, kind: int, frame: bytes) -> None:
        """Handle a frame of this request."""
        if self.future.done():
            return
        if kind == Kind.REPLY:
            self.future.set_result(self._reply.FromString(frame[HEADER_BYTES:]))
        elif kind == Kind.ERROR:
            self.future.set_exception(frames.parse_error(frame))
        else:
            raise frames.FrameError(f"a frame of kind {kind} does not answer a single request")

    def fail(self, error: WireError) -> None:
        """End the request with an error."""
        if not self.future.done():
            self.future.set_exception(error)


class Asked:
    """A request whose one reply goes to a callback, undecoded."""

    __slots__ = ("_link", "_number", "_tell")

    def __init__(
        self, link: Carrier, number: int, tell: Callable[[bytes | WireError], None]
    ) -> None:
        self._link = link
        self._number = number
        self._tell = tell

    def take(self, kind: int, frame: bytes) -> None:
        """Handle a frame of this request."""
        if kind not in (Kind.REPLY, Kind.ERROR):
            raise frames.FrameError(f"a frame of kind {kind} does not answer a single request")
        self._link.forget(self._number)
        answer = frame[HEADER_BYTES:] if kind == Kind.REPLY else frames.parse_error(frame)
        self._link.answer(self._tell, answer)

    def fail(self, error: WireError) -> None:
        """End the request with an error."""
        self._tell(error)
