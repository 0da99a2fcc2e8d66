"""Calls that are not finished on disk yet, and who waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.indices import Indices
from offload.control.services.feeds import Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from offload.control.core.model import Call
    from offload.control.ports.records import OutcomeRow


class LiveCall:
    """One such call. There may be a million that nobody looks at, so what only a watched one needs is made then."""

    __slots__ = ("_topic", "_waiting", "call", "closed", "ending", "indices")

    def __init__(self, call: Call, closed: bool) -> None:
        self.call = call
        self.closed = closed
        self.indices = Indices()  # of all its inputs
        self.ending = (
            ""  # "succeeded", "failed" or "cancelled" once every outcome is decided, if not on disk
        )
        self._topic: Topic[OutcomeRow] | None = None
        self._waiting: list[Callable[[OutcomeRow], None]] | None = None

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

    def publish_stored(self) -> None:
        """Say that there are outcomes on disk which nobody was shown."""
        if self._topic is not None:
            self._topic.refresh()

    def end(self) -> None:
        """Say that no outcome will follow."""
        if self._topic is not None:
            self._topic.end()

    def wait(self, tell: Callable[[OutcomeRow], None]) -> None:
        """Tell this of the first outcome."""
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(tell)

    def take_waiting(self) -> Sequence[Callable[[OutcomeRow], None]]:
        """Return whom to tell of the call's only outcome, once."""
        if self._waiting is None:
            return ()
        waiting, self._waiting = self._waiting, None
        return waiting
