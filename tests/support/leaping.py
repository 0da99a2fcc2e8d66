"""An event loop whose clock a test sets forward, and a connection of which it holds both ends."""

from __future__ import annotations

import asyncio


class LeapingLoop(asyncio.SelectorEventLoop):
    """Its clock stands still, however busy the machine is, until `leap` makes it later at once."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        """See `asyncio.AbstractEventLoop`."""
        return self._now

    async def leap(self, seconds: float) -> None:
        """Return once all that is due within so many seconds has been called."""
        self._now += seconds
        # Timers that are due in one turn of the loop are called in the order of their times.
        turn = self.create_future()
        self.call_at(self.time(), turn.set_result, None)
        await turn


def leaping_loop() -> LeapingLoop:
    """Return the loop that the test runs on."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, LeapingLoop)
    return loop


class Peer(asyncio.Transport):
    """The client of a connection, without a socket: what it is sent, and whether it was ended."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._protocol = protocol
        self._changed = asyncio.Event()
        self.received = b""
        self.is_ended = False
        protocol.connection_made(self)

    def say(self, data: bytes) -> None:
        """Send bytes."""
        self._protocol.data_received(data)

    async def heard(self, data: bytes) -> None:
        """Return once it has been sent this."""
        while data not in self.received:
            self._changed.clear()
            await self._changed.wait()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `asyncio.Transport`; so are the others."""
        self.received += bytes(data)
        self._changed.set()

    def close(self) -> None:
        if not self.is_ended:
            self.is_ended = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self.is_ended

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        return

    def pause_reading(self) -> None:
        return

    def resume_reading(self) -> None:
        return
