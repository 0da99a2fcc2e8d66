"""What people ask of calls: where each stands, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from offload.control.core.inputs import InputState

if TYPE_CHECKING:
    from offload.control.core.dispatch import InputView
    from offload.control.core.model import Function
    from offload.control.services.archive import Archive
    from offload.control.services.kernel import Kernel
    from offload.control.services.reading import Reading
    from offload.control.services.views import OutcomeRow, StoredCall

_IN_HAND = (InputState.ASSIGNED, InputState.RUNNING)


@dataclass(frozen=True, slots=True)
class CallView:
    """A call, for people."""

    call: StoredCall
    state: str  # "pending", "running", "succeeded", "failed" or "cancelled"
    counts: dict[str, int]  # inputs by state
    waiting_reason: str  # what the call as a whole waits for; empty where it waits for nothing
    unfinished: list[InputView] = field(default_factory=list)
    finished: list[OutcomeRow] = field(default_factory=list)


class Inspection:
    """Answers from the store and the dispatcher together."""

    def __init__(self, kernel: Kernel, reading: Reading, archive: Archive) -> None:
        self._kernel = kernel
        self._reading = reading
        self._archive = archive

    async def describe(self, call_id: str, input_limit: int) -> CallView:
        """Describe one call with up to `input_limit` of its inputs: the unfinished first, successes last."""
        await self._catch_up()
        call = await self._archive.require_call(call_id)
        unfinished: list[InputView] = []
        if not call.finished_at:
            unfinished = self._kernel.dispatcher.inputs(call_id, input_limit)
        room = input_limit - len(unfinished)
        finished: list[OutcomeRow] = []
        if room > 0:
            finished = await self._finished(call, room)
        return replace(self._view(call), unfinished=unfinished, finished=finished)

    async def _finished(self, call: StoredCall, limit: int) -> list[OutcomeRow]:
        store = self._reading.store
        failed: list[OutcomeRow] = []
        if set(call.counts) - {InputState.SUCCEEDED}:
            failed = await self._reading.get(store.failures, call.call_id, limit)
        first = await self._reading.get(store.outcomes, call.call_id, 0, limit)
        succeeded = [row for row in first if row.state is InputState.SUCCEEDED]
        chosen = (failed + succeeded)[:limit]
        return sorted(chosen, key=lambda row: (row.state is InputState.SUCCEEDED, row.index))

    async def list(self, app: str, open_only: bool, limit: int) -> list[CallView]:
        """List calls, newest first, without their inputs."""
        await self._catch_up()
        calls = await self._reading.get(self._reading.store.calls, app, open_only, limit or 100)
        return [self._view(call) for call in calls]

    def function_of(self, call_id: str) -> Function | None:
        """Return the function an open call is of."""
        live = self._kernel.calls.get(call_id)
        return self._kernel.dispatcher.function(live.call.function_id) if live else None

    def _view(self, call: StoredCall) -> CallView:
        if call.finished_at:
            return CallView(call, call.state, call.counts, "")
        dispatcher = self._kernel.dispatcher
        counts: Counter[str] = Counter(call.counts)
        is_running = bool(counts)
        for state, count in dispatcher.counts(call.call_id).items():
            counts[state] += count
            is_running = is_running or state in _IN_HAND
        reason = dispatcher.why_call_waits(call.call_id)
        return CallView(call, "running" if is_running else "pending", dict(counts), reason)

    async def _catch_up(self) -> None:
        # A call that is a few milliseconds old must be found; a full disk must not blind the operator.
        if not self._kernel.journal.failure:
            await self._kernel.journal.flush()
