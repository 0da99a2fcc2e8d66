"""What keeps a fast sender from filling a slow receiver's memory: credits per stream, pauses per connection."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from offload.wire.limits import STREAM_WINDOW_MESSAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from offload.wire.status import WireError

T = TypeVar("T")


class Gate:
    """Open until the connection's buffer is full; whoever sends waits at it."""

    def __init__(self) -> None:
        self._waiters: deque[asyncio.Future[None]] = deque()
        self.is_open = True

    def close(self) -> None:
        """Make senders wait."""
        self.is_open = False

    def open(self) -> None:
        """Let every waiting sender go on."""
        self.is_open = True
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self) -> None:
        """Return once the gate is open."""
        while not self.is_open:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter


class Credit:
    """How many more messages the other side of one stream takes now."""

    def __init__(self) -> None:
        self._left = STREAM_WINDOW_MESSAGES
        self._gate = Gate()
        self._error: WireError | None = None

    @property
    def is_left(self) -> bool:
        """Whether `take` would not wait and not raise."""
        return self._left > 0 and self._error is None

    def spend(self) -> None:
        """Spend one that is left."""
        self._left -= 1

    async def take(self) -> None:
        """Spend one; wait while there is none. Raises what the stream failed with."""
        while self._left <= 0 and self._error is None:
            self._gate.close()
            await self._gate.wait()
        if self._error is not None:
            raise self._error
        self._left -= 1

    def grant(self, messages: int) -> None:
        """Take in credit from the other side."""
        self._left += messages
        self._gate.open()

    def fail(self, error: WireError) -> None:
        """Make every sender fail, now and later."""
        self._error = error
        self._gate.open()


class Inbox(Generic[T]):
    """Received messages of one stream until somebody takes them; grants credit as they are taken.

    Credit goes back for half a window at a time, so that the frames it costs are few.
    """

    def __init__(self, grant: Callable[[int], None]) -> None:
        self._grant = grant
        self._messages: deque[T] = deque()
        self._taken = 0
        self._waiter: asyncio.Future[None] | None = None
        self._intercept: Callable[[T], bool] | None = None
        self._ended = False
        self._error: Exception | None = None

    def intercept(self, take: Callable[[T], bool]) -> None:
        """Show `take` every message that the reader waits for. See `Shortcut`."""
        self._intercept = take

    def put(self, message: T) -> bool:
        """Take in one message; return whether it needs no reader any more."""
        if self._intercept is not None and self._is_awaited:
            try:
                if self._intercept(message):
                    self._count()
                    return True
            except Exception as error:  # noqa: BLE001  # it is the reader's, who would have met it otherwise
                self.end(error)
                return True
        self._messages.append(message)
        self._wake()
        return False

    def end(self, error: Exception | None = None) -> None:
        """Nothing more comes; `error` is raised after the last message."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._wake()

    @property
    def is_ended(self) -> bool:
        """Whether the other side has finished, however that was."""
        return self._ended

    async def get(self) -> T | None:
        """Return the next message, or None at the end. Raises what the stream failed with. For one reader."""
        while not self._messages:
            if self._ended:
                if self._error is not None:
                    raise self._error
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._count()
        return self._messages.popleft()

    def __aiter__(self) -> Inbox[T]:
        return self

    async def __anext__(self) -> T:
        message = await self.get()
        if message is None:
            raise StopAsyncIteration
        return message

    @property
    def _is_awaited(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    def _count(self) -> None:
        self._taken += 1
        if self._taken >= STREAM_WINDOW_MESSAGES // 2 and not self._ended:
            self._grant(self._taken)
            self._taken = 0

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
