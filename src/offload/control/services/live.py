"""Calls that are not finished on disk yet, and who waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.indices import Indices
from offload.control.services.feeds import Topic

if TYPE_CHECKING:
    import asyncio

    from offload.control.core.model import Call
    from offload.control.ports.store import OutcomeRow


class LiveCall:
    """One such call. There may be a million that nobody looks at, so what only a watched one needs is made then."""

    __slots__ = ("_topic", "_waiters", "call", "closed", "ending", "indices")

    def __init__(self, call: Call, closed: bool) -> None:
        self.call = call
        self.closed = closed
        self.indices = Indices()  # of all its inputs
        self.ending = (
            ""  # "succeeded", "failed" or "cancelled" once every outcome is decided, if not on disk
        )
        self._topic: Topic[OutcomeRow] | None = None
        self._waiters: list[asyncio.Future[OutcomeRow]] | None = None

    @property
    def outcomes(self) -> Topic[OutcomeRow]:
        """What is shown of it."""
        if self._topic is None:
            self._topic = Topic()
        return self._topic

    def publish(self, rows: list[OutcomeRow]) -> None:
        """Show outcomes that are on disk."""
        if self._topic is not None:
            self._topic.publish(rows)
        self.answer(rows[0])

    def publish_stored(self) -> None:
        """Say that there are outcomes on disk which nobody was shown."""
        if self._topic is not None:
            self._topic.refresh()

    def end(self) -> None:
        """Say that no outcome will follow."""
        if self._topic is not None:
            self._topic.end()

    def wait(self, waiter: asyncio.Future[OutcomeRow]) -> None:
        """Answer this with the first outcome."""
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(waiter)

    def answer(self, row: OutcomeRow) -> None:
        """Give the outcome to those who wait for the call's only one."""
        if self._waiters is None:
            return
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(row)
        self._waiters = None
