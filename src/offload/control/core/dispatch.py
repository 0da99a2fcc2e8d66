"""The dispatcher: one state machine that decides everything about calls, inputs, containers and workers.

An event first changes what is remembered (`ledger`, `attempts`, `reports`, `membership`), which marks the pools it
concerns. Then the marked pools are settled: inputs are handed out (`assigning`), pools resized (`scaling`), and, where room
may have appeared, containers placed (`placement`). So an event costs what it changes, whatever else is waiting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core import (
    assigning,
    ledger,
    lending,
    membership,
    placement,
    reports,
    scaling,
    starts,
    watching,
)
from offload.control.core.calls import CallRecord
from offload.control.core.events import (
    AppStopped,
    CallCancelled,
    CallRestored,
    CallSubmitted,
    ContainerUnwanted,
    ContainerWaits,
    Event,
    FunctionRegistered,
    Happened,
    InputsAdded,
    ScalingChanged,
    Tick,
    WorkerReported,
)
from offload.control.core.policy import Policy
from offload.control.core.records import ContainerRecord, Pool, WorkerRecord
from offload.control.core.state import State
from offload.control.core.views import (
    ContainerView,
    InputView,
    PoolView,
    WorkerView,
    WorkspaceView,
)
from offload.control.core.waiters import Early, Overdue, Recovery, Stranded, Turn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offload.control.core.instructions import Instruction
    from offload.control.core.model import Call

__all__ = [
    "ContainerView",
    "Dispatcher",
    "InputView",
    "Policy",
    "PoolView",
    "WorkerView",
    "WorkspaceView",
]


class Dispatcher(watching.Views):
    """Holds every unfinished call in memory; told events, it answers with instructions.

    Deterministic: the same events at the same times give the same instructions. `incarnation` makes container ids
    unique over restarts. `expected` are the workers, (id, name), that a server before this one had.
    """

    def __init__(
        self,
        policy: Policy,
        incarnation: str,
        now: float,
        expected: Iterable[tuple[str, str]] = (),
    ) -> None:
        super().__init__(State(policy, incarnation, now))
        self._state.expected = dict(expected)

    def apply(self, event: Event, now: float) -> list[Instruction]:
        """Take in one event and return what is to be done, in order. Raises `DomainError` for a refused event."""
        state = self._state
        state.now = max(state.now, now)  # a clock set back must not undo what was decided
        if not isinstance(event, Tick):
            self._take(event)
        self._take_due()
        self._settle()
        return state.out.take()

    def next_wakeup(self) -> float | None:
        """When to `apply(Tick())` at the latest, in Unix seconds; None while nothing waits for time."""
        return self._state.timers.next()

    def check_submit(
        self, call: Call, ended: tuple[tuple[str, str], ...], *, although_stopped: bool = False
    ) -> None:
        """Raise the `DomainError` with which a `CallSubmitted` of this call would be refused now."""
        ledger.check_submit(self._state, call, ended, although_stopped=although_stopped)

    def _take(self, event: Happened) -> None:
        state = self._state
        match event:
            case WorkerReported():
                reports.take_report(state, event)
            case CallSubmitted():
                ledger.submit(state, event)
            case InputsAdded():
                ledger.add_inputs(state, event)
            case CallRestored():
                ledger.restore(state, event)
            case CallCancelled():
                self._cancel_call(event)
            case FunctionRegistered():
                self._register(event)
            case ScalingChanged() | ContainerUnwanted():
                scaling.take(state, event)
            case AppStopped():
                self._stop_app(event)
            case ContainerWaits():
                lending.take(state, event)
            case _:
                membership.take(state, event)

    def _register(self, event: FunctionRegistered) -> None:
        state = self._state
        pool = state.pools.get(event.function.function_id)
        if pool is None:
            pool = state.add_pool(event.function)
            pool.is_stopped = event.is_stopped
        elif pool.is_stopped and not event.is_stopped:
            pool.is_stopped = False
            state.touch_pool(pool)
        if event.is_stopped or pool.function.is_on_demand:
            # What is to run of it comes with an event after this one.
            pool.kept_until = state.now + state.policy.stop_grace_seconds
            state.touch_pool(pool)

    def _cancel_call(self, event: CallCancelled) -> None:
        call = self._state.calls.get(event.call_id)
        if call is not None:
            ledger.cancel(self._state, call, event.reason)

    def _stop_app(self, event: AppStopped) -> None:
        state = self._state
        for pool in state.pools.values():
            if pool.function.app_id != event.app_id:
                continue
            pool.is_stopped = True
            state.touch_pool(pool)
            for call in () if event.keeps_attached else list(pool.attached.values()):
                ledger.cancel(state, call, event.reason)
        if event.cancel:
            for call in state.calls.of_app(event.app_id):
                ledger.cancel(state, call, event.reason)

    def _take_due(self) -> None:
        state = self._state
        for waiter in state.timers.pop_due(state.now):
            match waiter:
                case Pool():
                    state.touch_pool(waiter)
                case WorkerRecord():
                    membership.lose_if_due(state, waiter)
                    starts.release_if_due(state, waiter)
                case ContainerRecord():
                    starts.give_up_starting(state, waiter)
                case CallRecord() | Early():
                    ledger.take_due(state, waiter)
                case Stranded():
                    membership.take_back_stranded(state, waiter.slot)
                case Overdue():
                    reports.end_overdue(state, waiter)
                case Recovery():
                    membership.end_recovery(state)
                case Turn():
                    state.is_turn_timed = False
                    state.look_for_givers()

    def _settle(self) -> None:
        """Decide until nothing is left to decide; stopping a container may change what another pool may do."""
        state = self._state
        ledger.settle_dependants(state)
        lending.settle(state)
        while state.dirty or state.touched or (state.replan and state.starving):
            for slot in state.touched.values():
                assigning.refresh_room(slot)
            touched, state.touched = state.touched, {}
            for slot in touched.values():
                scaling.retire(state, slot)
            if state.is_recovering:
                if not state.touched:
                    return
                continue
            dirty, state.dirty = state.dirty, {}
            for pool in dirty.values():
                assigning.assign(state, pool)
                scaling.resize(state, pool)
                scaling.close_if_over(state, pool)
            if state.replan:
                state.replan = False
                if state.starving:
                    placement.Plan(state).run()
