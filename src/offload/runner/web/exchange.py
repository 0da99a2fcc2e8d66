"""What of a request or a response does not fit its input: parts, both ways, while the input runs.

It is a request of the container to the platform, and so takes the same way and keeps to the same credits as any other. Neither side
ever has more under way than a few parts, however slowly the other reads.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections import deque

from offload import wire
from offload.wire import guest
from offload.wire.guest import asks, web

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    import asyncio
    from typing import Callable

# Parts that may be on their way to this container for one exchange.
_WINDOW = 4


class Exchange:
    """One exchange, opened when it is made. What comes is noted by the thread that reads the runner's socket."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        if guest.find_platform is None or wire.find_input is None:
            raise RuntimeError("this is no container")
        self._platform = guest.find_platform()
        self._arrived: deque[web.ToContainer] = deque()
        # Each is counted by one thread alone.
        self._granted = 0
        self._sent = 0
        self._has_ended = False  # we have said everything
        self.is_over = False  # nothing comes any more
        self.is_broken = False  # the server has refused it, or has lost it
        self._opening: web.Open | None = web.Open(wire.find_input())
        self._number = self._platform.ask(web.EXCHANGE, b"", self._tell, is_open=True)

    @property
    def has_room(self) -> bool:
        """Whether a part can be sent now; it is dropped where nobody takes it any more."""
        self._open()
        return self._granted > self._sent or self.is_over

    def put(self, part: web.FromContainer) -> None:
        """Send a part, for which there must be room."""
        if not self.is_over:
            self._sent += 1
            self._platform.send_more(self._number, web.encode_part(part), last=False)

    def _open(self) -> None:
        """Say whose exchange it is, as soon as anything can be said."""
        if self._opening is not None and self._granted:
            opening, self._opening = self._opening, None
            self.put(opening)
            self._platform.grant(self._number, _WINDOW)

    def take(self) -> web.ToContainer | None:
        """Return the next part that has come; None where there is none yet."""
        self._open()
        if not self._arrived:
            return None
        part = self._arrived.popleft()
        if not self.is_over:
            self._platform.grant(self._number, 1)
        return part

    @property
    def is_drained(self) -> bool:
        """Whether nothing comes any more, and nothing that came was left."""
        return self.is_over and not self._arrived

    def end(self) -> None:
        """Say that everything has been sent. Idempotent."""
        if not self._has_ended and not self.is_over:
            self._has_ended = True
            self._platform.send_more(self._number, b"", last=True)

    def give_up(self) -> None:
        """Leave it. Idempotent."""
        self._platform.give_up(self._number)
        self.is_over = True

    def _tell(self, message: asks.Answer | asks.Credit) -> None:
        if isinstance(message, asks.Credit):
            self._granted += message.messages
        elif message.status:
            self.is_broken = self.is_over = True
        else:
            if message.data:
                self._arrived.append(web.decode_part(message.data, web.TO_CONTAINER))  # type: ignore[arg-type]  # of these kinds
            if message.last:
                self.is_over = True
        self._wake()


class AsyncExchange:
    """An exchange for tasks of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: set[asyncio.Future[None]] = set()
        self._exchange = Exchange(self._wake)

    @property
    def is_broken(self) -> bool:
        """See `Exchange`."""
        return self._exchange.is_broken

    async def send(self, part: web.FromContainer) -> None:
        """Send a part; wait until there is room for it."""
        while not self._exchange.has_room:
            await self._wait()
        self._exchange.put(part)

    async def receive(self) -> web.ToContainer | None:
        """Return the next part; None where none will come."""
        while True:
            part = self._exchange.take()
            if part is not None or self._exchange.is_drained:
                return part
            await self._wait()

    async def close(self) -> None:
        """Say that everything has been sent, and wait until the server has it all."""
        self._exchange.end()
        while not self._exchange.is_over or not self._exchange.is_drained:
            if self._exchange.take() is None:
                await self._wait()

    def give_up(self) -> None:
        """See `Exchange`; whoever waits for room or for a part waits no more."""
        self._exchange.give_up()
        self._wake_all()

    async def _wait(self) -> None:
        # What comes after the caller has looked wakes this: it is woken in the loop's own thread, which is here until then.
        waiter = self._loop.create_future()
        self._waiting.add(waiter)
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)


class BlockingExchange:
    """An exchange for one thread."""

    def __init__(self) -> None:
        self._changed = (
            allocate_lock()
        )  # held while nothing has changed since it was last looked at
        self._changed.acquire()
        self._exchange = Exchange(self._wake)

    @property
    def is_over(self) -> bool:
        """See `Exchange`."""
        return self._exchange.is_over

    def send(self, part: web.FromContainer) -> None:
        """Send a part; wait until there is room for it."""
        while not self._exchange.has_room:
            self._changed.acquire()
        self._exchange.put(part)

    def receive(self) -> web.ToContainer | None:
        """Return the next part; None where none will come."""
        while True:
            part = self._exchange.take()
            if part is not None or self._exchange.is_drained:
                return part
            self._changed.acquire()

    def close(self) -> None:
        """Say that everything has been sent, and wait until the server has it all."""
        self._exchange.end()
        while not self._exchange.is_over:
            self._exchange.take()
            self._changed.acquire()

    def give_up(self) -> None:
        """See `Exchange`."""
        self._exchange.give_up()

    def _wake(self) -> None:
        if self._changed.locked():
            try:
                self._changed.release()
            except RuntimeError:  # another has been quicker
                return
