"""What survives a restart of the simulated server, and the first place where a broken promise shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.events import CallRestored, History
from offload.control.core.indices import Indices
from offload.control.core.inputs import FINAL_STATES, InputState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from offload.control.core.instructions import CallCompleted, Finished, FinishedRun
    from offload.control.core.model import Call

SUCCEEDED_ENDS = {InputState.SUCCEEDED}


class StoredCall:
    """What the store knows of a call."""

    def __init__(self, call: Call, max_retries: int) -> None:
        self.call = call
        self.max_retries = max_retries
        self.known = Indices()
        self.outcomes: dict[int, InputState] = {}
        self.seqs: dict[int, int] = {}  # index by seq
        self.histories: dict[int, History] = {}
        self.closed = False
        self.state = ""

    @property
    def unfinished(self) -> Indices:
        """The inputs without an outcome."""
        left = Indices(self.known.runs())
        for index in self.outcomes:
            left.discard(index)
        return left

    def restored(self, ended: tuple[tuple[str, str], ...]) -> CallRestored:
        """Return what the server reads back at its start."""
        counts: dict[str, int] = {}
        for state in self.outcomes.values():
            counts[state] = counts.get(state, 0) + 1
        tried = tuple(one for i, one in self.histories.items() if i not in self.outcomes)
        return CallRestored(
            self.call,
            tuple(self.known.runs()),
            tuple(self.unfinished.runs()),
            self.closed,
            tried,
            counts,
            ended,
        )


class Store:
    """Takes what the core wants recorded, and fails the simulation where that contradicts what was recorded before."""

    def __init__(self, fail: Callable[[str], None]) -> None:
        self.calls: dict[str, StoredCall] = {}
        self._fail = fail

    def endings(self, call: Call) -> tuple[tuple[str, str], ...]:
        """Return how those of the calls that `call` comes after ended that have."""
        stored = ((other, self.calls[other].state) for other in call.after if other in self.calls)
        return tuple((other, state) for other, state in stored if state)

    def open_calls(self) -> Iterator[StoredCall]:
        """Iterate over the calls that are not over, in the order they came."""
        return (stored for stored in self.calls.values() if not stored.state)

    def record(self, outcome: Finished) -> None:
        """Keep one outcome."""
        stored = self.calls[outcome.call_id]
        self._keep(stored, outcome.index, outcome.seq, outcome.state)
        if outcome.input_id != f"in-{outcome.call_id[3:]}-{outcome.index}":
            self._fail(f"{outcome.input_id} is not the id of {outcome.call_id}'s {outcome.index}")

    def record_run(self, run: FinishedRun) -> None:
        """Keep many outcomes."""
        stored = self.calls[run.call_id]
        for number in range(run.count):
            self._keep(stored, run.first + number, run.first_seq + number, run.state)

    def remember(self, call_id: str, history: History) -> None:
        """Keep what happened to an input."""
        stored = self.calls[call_id]
        before = stored.histories.get(history.index, History(history.index, 0))
        name = f"{call_id}'s {history.index}"
        if history.index in stored.outcomes:
            self._fail(f"{name} has a history after its outcome")
        if any(now < then for now, then in zip(_spent(history), _spent(before), strict=True)):
            self._fail(f"{name} forgot what it had spent: {before}, then {history}")
        is_retry = history.retry_at > 0.0 and history.retry_at != before.retry_at
        if is_retry and history.failures <= before.failures:
            self._fail(f"{name} is tried again without spending a retry: {before}, then {history}")
        if history.attempts < before.attempts or (
            before.retry_at and is_retry and history.attempts == before.attempts
        ):
            self._fail(f"{name} counts its attempts wrongly: {before}, then {history}")
        if history.failures > stored.max_retries:
            self._fail(f"{name} was granted retry {history.failures} of {stored.max_retries}")
        stored.histories[history.index] = history

    def complete(self, order: CallCompleted) -> None:
        """Keep that a call is over."""
        stored = self.calls[order.call_id]
        if stored.state or len(stored.unfinished):
            self._fail(f"{order.call_id} completed with inputs open, or twice")
        if order.state == "succeeded" and not stored.closed:
            self._fail(f"{order.call_id} succeeded before its caller closed it")
        stored.closed = True
        stored.state = order.state
        ends = set(stored.outcomes.values())
        if order.state == "succeeded" and ends - SUCCEEDED_ENDS:
            self._fail(f"{order.call_id} succeeded with {ends}")
        was_bad = ends - {InputState.SUCCEEDED, InputState.CANCELLED}
        is_own = stored.outcomes and not stored.call.deadline and not stored.call.after
        if order.state == "failed" and not was_bad and is_own:
            self._fail(f"{order.call_id} failed with {ends}")

    def spent(self, inputs: set[tuple[str, int]]) -> dict[tuple[str, int], tuple[int, int, int]]:
        """Return what was recorded that these inputs have spent."""
        return {
            (call_id, index): _spent(self.calls[call_id].histories[index])
            for call_id, index in inputs
            if index in self.calls[call_id].histories
        }

    def check_seqs(self) -> None:
        """See that every call's outcomes are numbered from 1 without a gap."""
        for stored in self.calls.values():
            if stored.seqs and max(stored.seqs) != len(stored.seqs):
                self._fail(f"{stored.call.call_id} has gaps in its seqs")

    def _keep(self, stored: StoredCall, index: int, seq: int, state: InputState) -> None:
        name = f"{stored.call.call_id}'s {index}"
        if index in stored.outcomes or index not in stored.known:
            self._fail(f"{name} has a second outcome, or was never accepted")
        if seq in stored.seqs or state not in FINAL_STATES:
            self._fail(f"{name} has seq {seq}, which was used before, or ends as {state}")
        if state is InputState.SUCCEEDED:
            self._check_order(stored)
        stored.outcomes[index] = state
        stored.seqs[seq] = index

    def _check_order(self, stored: StoredCall) -> None:
        call = stored.call
        before = [self.calls[other].state for other in call.after]
        if not all(before) or (not call.run_anyway and set(before) - {"succeeded"}):
            self._fail(f"{call.call_id} ran after calls that ended as {before}")


def _spent(history: History) -> tuple[int, int, int]:
    return history.failures, history.losses, history.kills
