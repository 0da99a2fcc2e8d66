"""The dispatcher: one state machine that decides everything about calls, inputs, containers and workers.

An event first changes what is remembered (`ledger`, `reports`, `membership`), which marks the pools it concerns. Then the
marked pools are settled: inputs are handed out (`assigning`), pools resized (`scaling`), and, where room may have
appeared, containers placed (`placement`). So an event costs what it changes, whatever else is waiting.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import islice

from offload.control.core import assigning, explain, ledger, membership, placement, reports, scaling
from offload.control.core.events import (
    AppStopped,
    CallCancelled,
    CallRestored,
    CallSubmitted,
    Event,
    FunctionRegistered,
    InputsAdded,
    Tick,
    WorkerReported,
)
from offload.control.core.inputs import InputState
from offload.control.core.instructions import Instruction
from offload.control.core.model import Capacity, ContainerState, Function
from offload.control.core.policy import Policy
from offload.control.core.records import ContainerRecord, InputRecord, Pool, Slot, WorkerRecord
from offload.control.core.state import State
from offload.control.core.views import ContainerView, InputView, PoolView, WorkerView

__all__ = ["ContainerView", "Dispatcher", "InputView", "Policy", "PoolView", "WorkerView"]


class Dispatcher:
    """Holds every unfinished call in memory; told events, it answers with instructions.

    Deterministic: the same events at the same times give the same instructions. `incarnation` makes container ids
    unique over restarts.
    """

    def __init__(self, policy: Policy, incarnation: str, now: float) -> None:
        self._state = State(policy, incarnation, now)

    def apply(self, event: Event, now: float) -> list[Instruction]:
        """Take in one event and return what is to be done, in order. Raises `DomainError` for a refused event."""
        state = self._state
        state.now = max(state.now, now)  # a clock set back must not undo what was decided
        self._take(event)
        self._take_due()
        self._settle()
        return state.out.take()

    def next_wakeup(self) -> float | None:
        """When to `apply(Tick())` at the latest, in Unix seconds; None while nothing waits for time."""
        return self._state.next_wakeup()

    def knows_call(self, call_id: str) -> bool:
        """Whether the call is unfinished here."""
        return call_id in self._state.calls

    def function(self, function_id: str) -> Function | None:
        """Return a registered function."""
        pool = self._state.pools.get(function_id)
        return pool.function if pool is not None else None

    def pools(self, app_id: str = "") -> list[PoolView]:
        """List functions with containers or backlog, of one app or all."""
        return [
            self._pool_view(pool)
            for pool in self._state.pools.values()
            if app_id in {"", pool.function.app_id}
            and (pool.queue.size or pool.held or any(s.containers for s in pool.slots.values()))
        ]

    def workers(self) -> list[WorkerView]:
        """List the workers that are connected or expected back, in the order they came."""
        return [
            WorkerView(
                worker.info,
                worker.state.value,
                Capacity(
                    worker.info.capacity.cpu_milli - worker.free_cpu,
                    worker.info.capacity.memory_mib - worker.free_memory,
                ),
                worker.since,
            )
            for worker in self._state.workers.values()
        ]

    def containers(self) -> list[ContainerView]:
        """List the containers that take up room on a worker, in the order they were started."""
        return [
            ContainerView(
                container.container_id,
                container.slot.worker.info.worker_id,
                container.slot.pool.function,
                container.state.value,
                container.started_at,
                container.running,
            )
            for container in self._state.containers.values()
        ]

    def pending(self, limit: int) -> list[InputView]:
        """List inputs that wait for a container, oldest first, each with its reason."""
        heads: list[tuple[InputRecord, int | None]] = []
        for pool in self._state.pools.values():
            if pool.queue.size:
                in_line = islice(pool.queue.in_line(), limit)
                heads += [(record, place) for place, record in enumerate(in_line)]
                heads += [(record, None) for record in islice(pool.queue.delayed(), limit)]
        oldest = heapq.nsmallest(limit, heads, key=lambda head: head[0].since)
        return [self._input_view(record, before) for record, before in oldest]

    def pending_total(self) -> int:
        """Count the inputs that wait for a container."""
        return sum(pool.queue.size for pool in self._state.pools.values())

    def running_total(self) -> int:
        """Count the inputs in the workers' hands."""
        return sum(pool.held for pool in self._state.pools.values())

    def inputs(self, call_id: str, limit: int) -> list[InputView]:
        """List a call's unfinished inputs in the order of their index."""
        call = self._state.calls.get(call_id)
        if call is None:
            return []
        first: Iterable[InputRecord] = heapq.nsmallest(
            limit, call.open.values(), key=lambda record: record.index
        )
        return [self._input_view(record, None) for record in first]

    def is_idle(self) -> bool:
        """Whether no call is open and no container lives."""
        return not self._state.calls and not self._state.containers

    def _take(self, event: Event) -> None:
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
            case AppStopped():
                self._stop_app(event)
            case Tick():
                pass
            case _:
                membership.take(state, event)

    def _register(self, event: FunctionRegistered) -> None:
        if event.function.function_id not in self._state.pools:
            self._state.add_pool(event.function)

    def _cancel_call(self, event: CallCancelled) -> None:
        call = self._state.calls.get(event.call_id)
        if call is not None:
            ledger.cancel(self._state, call, event.reason)

    def _stop_app(self, event: AppStopped) -> None:
        state = self._state
        for pool in state.pools.values():
            if pool.function.app_id == event.app_id:
                pool.is_stopped = True
                state.touch_pool(pool)
        for call in list(state.calls.values()):
            pool = state.pools[call.call.function_id]
            if pool.function.app_id == event.app_id and (event.cancel or call.call.attached):
                ledger.cancel(state, call, event.reason)

    def _take_due(self) -> None:
        state = self._state
        for waiter in state.pop_due():
            match waiter:
                case Pool():
                    state.replan = True
                    if state.pools.get(waiter.function.function_id) is waiter:
                        state.touch_pool(waiter)
                case WorkerRecord():
                    membership.lose_if_due(state, waiter)
                case ContainerRecord():
                    reports.give_up_starting(state, waiter)
                case Slot():
                    membership.take_back_stranded(state, waiter)
                case None:
                    state.replan = True
        if state.is_recovering and state.now >= state.recover_until:
            state.is_recovering = False
            for pool in state.pools.values():
                state.touch_pool(pool)

    def _settle(self) -> None:
        """Decide until nothing is left to decide; stopping a container may change what another pool may do."""
        state = self._state
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

    def _pool_view(self, pool: Pool) -> PoolView:
        return PoolView(
            pool.function,
            scaling.count_containers(pool, ContainerState.STARTING),
            scaling.count_containers(pool, ContainerState.READY),
            pool.queue.size,
            pool.held,
            pool.finished,
            explain.why_pool_waits(self._state, pool),
        )

    def _input_view(self, record: InputRecord, before: int | None) -> InputView:
        is_waiting = record.state is InputState.READY
        return InputView(
            record.input_id,
            record.call.call.call_id,
            record.index,
            record.state,
            record.attempts,
            record.slot.worker.info.worker_id if record.slot is not None else "",
            record.container.container_id if record.container is not None else "",
            record.since,
            explain.why_input_waits(self._state, record, before) if is_waiting else "",
        )
