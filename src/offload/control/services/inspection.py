"""What people ask of calls: where each stands, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.inputs import InputState

if TYPE_CHECKING:
    from offload.control.core.dispatch import InputView
    from offload.control.core.model import Function
    from offload.control.services.kernel import Kernel
    from offload.control.services.reading import Reading
    from offload.control.services.views import OutcomeRow, StoredCall

# Of a longer backlog the rest is counted as ready: inputs are handed out in the order of their index.
COUNTED_INPUTS = 5_000
_IN_HAND = (InputState.ASSIGNED, InputState.RUNNING)


@dataclass(frozen=True, slots=True)
class CallView:
    """A call, for people."""

    call: StoredCall
    state: str  # "pending", "running", "succeeded", "failed" or "cancelled"
    counts: dict[str, int]  # inputs by state
    unfinished: list[InputView]
    finished: list[OutcomeRow]


class Inspection:
    """Answers from the store and the dispatcher together."""

    def __init__(self, kernel: Kernel, reading: Reading) -> None:
        self._kernel = kernel
        self._reading = reading

    async def describe(self, call_id: str, input_limit: int) -> CallView:
        """Describe one call with up to `input_limit` of its inputs, unfinished ones first."""
        await self._catch_up()
        call = await self._reading.get(self._reading.store.call, call_id)
        if call is None:
            raise DomainError(
                ErrorCode.NOT_FOUND, f"There is no call {call_id!r}: `offload calls ls` lists them."
            )
        view = self._view(call)
        unfinished = view.unfinished[:input_limit]
        room = input_limit - len(unfinished)
        finished: list[OutcomeRow] = []
        if room > 0:
            finished = await self._reading.get(self._reading.store.outcomes, call_id, 0, room)
        return CallView(call, view.state, view.counts, unfinished, finished)

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
        views: list[InputView] = []
        if not call.finished_at:
            views = self._kernel.dispatcher.inputs(call.call_id, COUNTED_INPUTS)
        counts = Counter(call.counts)
        ended = sum(call.counts.values())
        live = self._kernel.calls.get(call.call_id)
        total = len(live.indices) if live is not None else call.total
        counts.update(str(view.state) for view in views)
        uncounted = total - ended - len(views)
        if uncounted > 0 and not call.finished_at:
            counts[InputState.READY] += uncounted
        state = call.state
        if not state:
            is_running = ended > 0 or any(view.state in _IN_HAND for view in views)
            state = "running" if is_running else "pending"
        return CallView(call, state, dict(counts), views, [])

    async def _catch_up(self) -> None:
        # A call that is a few milliseconds old must be found; a full disk must not blind the operator.
        if not self._kernel.journal.failure:
            await self._kernel.journal.flush()
