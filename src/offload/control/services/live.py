"""Calls that are not finished on disk yet, and who waits for them.

One that rests at the dispatcher and that nobody watches is not kept here; it is made again for whoever asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.indices import Indices
from offload.control.services.feeds import Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from offload.control.core.dispatch import Dispatcher
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
    def is_watched(self) -> bool:
        """Whether somebody waits for what becomes of it."""
        return self._topic is not None or self._waiting is not None

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


class LiveCalls:
    """Such calls by their id."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._calls: dict[str, LiveCall] = {}

    def __contains__(self, call_id: str) -> bool:
        return call_id in self._calls or self._dispatcher.knows_call(call_id)

    def __bool__(self) -> bool:
        return bool(self._calls) or self._dispatcher.calls_total > 0

    def open(self, call: Call, closed: bool) -> LiveCall:
        """Keep a call until its end is on disk."""
        live = self._calls[call.call_id] = LiveCall(call, closed)
        return live

    def get(self, call_id: str) -> LiveCall | None:
        """Return the call, made again where it was left to the dispatcher."""
        live = self._calls.get(call_id)
        if live is None:
            call = self._dispatcher.call(call_id)
            if call is not None:
                live = self.open(call, closed=True)
                live.indices.add(0, 1)
        return live

    def leave_resting(self, call_id: str) -> None:
        """Keep the call no longer if it rests and nobody watches it."""
        live = self._calls.get(call_id)
        if live is not None and not live.is_watched and self._dispatcher.is_resting(call_id):
            del self._calls[call_id]

    def pop(self, call_id: str) -> LiveCall | None:
        """Keep the call no longer: its end is on disk."""
        return self._calls.pop(call_id, None)
