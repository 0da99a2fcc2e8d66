"""The shape of a request handler, independent of the carrier that calls it.

A handler is one of, by its method's streaming:

- unary to unary:   `async def handler(request, context) -> reply`
- unary to stream:  `def handler(request, context) -> AsyncIterator[reply]` (an async generator function)
- stream to unary:  `async def handler(requests: AsyncIterator[request], context) -> reply`
- stream to stream: `def handler(requests: AsyncIterator[request], context) -> AsyncIterator[reply]`

A unary-to-unary one may also be a plain function that returns a `Promise`.

It fails by raising `WireError`; anything else it raises becomes INTERNAL without details. When the caller goes away
the handler is cancelled, and a promise forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from google.protobuf.message import Message

T = TypeVar("T")


class Shortcut(Protocol):
    """A streaming handler's way past its own task: what its task would do a turn of the loop later is done at once.

    Both directions keep their order and their flow control: a message for which one of them would have to wait is
    refused, and goes through the task.
    """

    def offer(self, reply: Message) -> bool:
        """Send a reply while the carrier waits for the next one; return whether it was sent."""
        ...

    def intercept(self, take: Callable[[Message], bool]) -> None:
        """Show `take` each request that the handler waits for; it returns whether the handler need not see it.

        What `take` raises, the handler gets in its place.
        """
        ...


@dataclass(frozen=True, slots=True)
class Inside:
    """The container that calls, where user code does."""

    container_id: str
    function_id: str
    app_id: str
    workspace: str
    environment: str


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Who calls, over what."""

    peer: str  # address of the other side, for messages to people
    carrier: str  # "link" or "grpc"
    shortcut: Shortcut | None = (
        None  # of a request that streams both ways, where the carrier has one
    )
    inside: Inside | None = None  # None: whoever has the server's token


class Promise(Generic[T]):
    """A reply that some callback will settle, and that its carrier sends from within that callback.

    A task that waits for a future goes on a turn of the loop later: that, and the task, cost a warm call more than all
    that is decided about it.
    """

    __slots__ = ("_make", "_tell", "_values")

    def __init__(self, make: Callable[[T], Message]) -> None:
        self._make = make
        self._values: list[T] = []
        self._tell: Callable[[], None] | None = None

    def settle(self, value: T) -> None:
        """Give what the reply is made of. Once."""
        self._values.append(value)
        if self._tell is not None:
            self._tell()

    def when_settled(self, tell: Callable[[], None]) -> None:
        """Have `tell` called by whoever settles it; at once where that has happened. For one listener."""
        self._tell = tell
        if self._values:
            tell()

    def reply(self) -> Message:
        """Return the reply of a settled promise."""
        return self._make(self._values[0])

    def __await__(self) -> Generator[object, None, Message]:
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not settled.done():
                settled.set_result(None)

        self.when_settled(wake)
        yield from settled
        return self.reply()


Request = Message | AsyncIterator[Message]
# Which message a handler takes depends on its method's name, which no type can say.
Handler = Callable[..., Awaitable[Message] | AsyncIterator[Message]]  # type: ignore[explicit-any]
