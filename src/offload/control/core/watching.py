"""What the dispatcher shows of itself, to people and to the services. Nothing here changes anything."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING

from offload.control.core import explain, scaling
from offload.control.core.ids import input_id as make_input_id
from offload.control.core.ids import split_input_id
from offload.control.core.inputs import InputState
from offload.control.core.model import Capacity, ContainerState, Gpu
from offload.control.core.views import (
    ContainerView,
    InputView,
    PoolView,
    Readiness,
    WorkerView,
    WorkspaceView,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from offload.control.core.calls import CallRecord, InputRecord
    from offload.control.core.model import Call, Function, Needs, Scaling
    from offload.control.core.records import ContainerRecord, Pool, WorkerRecord
    from offload.control.core.state import State


class Views:
    """The dispatcher's memory, to look at."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def calls_total(self) -> int:
        """How many calls are unfinished."""
        return len(self._state.calls)

    @property
    def pending_total(self) -> int:
        """How many inputs wait for a container."""
        return sum(pool.queue.size for pool in self._state.pools.values())

    @property
    def running_total(self) -> int:
        """How many inputs are in the workers' hands."""
        return sum(pool.held for pool in self._state.pools.values())

    @property
    def blocked_total(self) -> int:
        """How many inputs wait for other calls."""
        return self._state.blocked_total

    def knows_call(self, call_id: str) -> bool:
        """Whether the call is unfinished here."""
        return call_id in self._state.calls

    def call(self, call_id: str) -> Call | None:
        """Return an unfinished call."""
        record = self._state.calls.peek(call_id)
        return record.call if record is not None else None

    def is_resting(self, call_id: str) -> bool:
        """Whether the call waits untouched in a long line."""
        return self._state.calls.is_resting(call_id)

    def is_open(self, input_id: str) -> bool:
        """Whether the input is known and has no outcome."""
        if input_id in self._state.inputs:
            return True
        try:
            call_id, index = split_input_id(input_id)
        except ValueError:
            return False
        call = self._state.calls.peek(call_id)
        return call is not None and (index in call.open or index in call.waiting)

    def container_of(self, input_id: str) -> str:
        """Return which container runs the input; empty while none is known to."""
        record = self._state.inputs.get(input_id)
        held = record.container if record is not None else None
        return held.container_id if held is not None else ""

    def waiting(self, function_id: str) -> int:
        """Count the function's inputs that wait for a container."""
        pool = self._state.pools.get(function_id)
        return pool.queue.size if pool is not None else 0

    def open_calls(self) -> dict[str, int]:
        """Count the unfinished calls of each app."""
        counts: dict[str, int] = {}
        for pool in self._state.pools.values():
            app_id = pool.function.app_id
            counts[app_id] = counts.get(app_id, 0) + pool.open_calls
        return counts

    def scaling(self, function_id: str) -> Scaling | None:
        """Return how many containers a registered function may have now."""
        pool = self._state.pools.get(function_id)
        return pool.scaling if pool is not None else None

    def next_inputs(self, function_id: str, limit: int) -> list[str]:
        """Return the first ones of the function's inputs in line that were never handed out."""
        pool = self._state.pools.get(function_id)
        if pool is None:
            return []
        ids = (
            make_input_id(call.call.call_id, index)
            for call in pool.queue.in_line()
            for index in call.waiting
        )
        return list(islice(ids, limit))

    def function(self, function_id: str) -> Function | None:
        """Return a registered function."""
        pool = self._state.pools.get(function_id)
        return pool.function if pool is not None else None

    def on_demand(self, app_id: str) -> list[Function]:
        """List the registered functions of an app that go when they are idle."""
        functions = [pool.function for pool in self._state.pools.values()]
        return [each for each in functions if each.is_on_demand and each.app_id == app_id]

    def worker_of_container(self, container_id: str, function_id: str) -> str:
        """Return the worker that was given this container of this function; empty where none was."""
        known = self._state.containers.get(container_id)
        if known is None or known.slot.pool.function.function_id != function_id:
            return ""
        return known.slot.worker.info.worker_id

    def is_idle(self) -> bool:
        """Whether no call is open and no container lives."""
        return not self._state.calls and not self._state.containers

    def why_impossible(self, needs: Needs) -> str:
        """Say why no worker that is here could ever run such containers; empty where one could, or none is here."""
        if not any(worker.is_online for worker in self._state.workers.values()):
            return ""
        return explain.why_impossible(self._state, needs)

    def readiness(self, function_id: str) -> Readiness | None:
        """Say whether containers of a registered function start."""
        pool = self._state.pools.get(function_id)
        if pool is None:
            return None
        breaker = pool.breaker
        return Readiness(
            scaling.count_containers(pool, ContainerState.READY),
            scaling.count_containers(pool, ContainerState.STARTING),
            explain.why_none_is_ready(self._state, pool),
            breaker.reason,
            breaker.gave_up or breaker.blames_function,
        )

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
        return [self._worker_view(worker) for worker in self._state.workers.values()]

    def has_worker_on(self, host_id: str) -> bool:
        """Say whether a worker of a machine takes work."""
        return any(
            worker.is_online and worker.info.host_id == host_id
            for worker in self._state.workers.values()
        )

    def workspaces(self) -> list[WorkspaceView]:
        """List the workspaces that have or had work, in the order they came."""
        pending: dict[str, int] = {}
        for pool in self._state.pools.values():
            name = pool.workspace.name
            pending[name] = pending.get(name, 0) + pool.queue.size
        return [
            WorkspaceView(
                one.name,
                one.weight,
                one.max_containers,
                one.containers,
                self._state.share(one) * one.weight,
                pending.get(one.name, 0),
            )
            for one in self._state.workspaces.values()
        ]

    def containers(self) -> list[ContainerView]:
        """List the containers that take up room on a worker, in the order they were started."""
        return list(map(_container_view, self._state.containers.values()))

    def container(self, container_id: str) -> ContainerView | None:
        """Return one that takes up room on a worker."""
        container = self._state.containers.get(container_id)
        return None if container is None else _container_view(container)

    def pending(self, limit: int) -> list[InputView]:
        """List inputs that wait for a container, of each function those that are next, oldest first, with reasons."""
        views: list[InputView] = []
        for pool in self._state.pools.values():
            if pool.queue.size:
                views += islice(self._waiting(pool), limit)
        return heapq.nsmallest(limit, views, key=lambda view: view.since)

    def inputs(self, call_id: str, limit: int) -> list[InputView]:
        """List a call's unfinished inputs: those that were handed out by their index, then those that were not."""
        call = self._state.calls.peek(call_id)
        if call is None:
            return []
        records = heapq.nsmallest(limit, call.open.values(), key=lambda record: record.index)
        views = [self._record_view(record, None) for record in records]
        waiting = islice(call.waiting, limit - len(views))
        return views + [self._waiting_view(call, index, None) for index in waiting]

    def counts(self, call_id: str) -> dict[InputState, int]:
        """Count a call's unfinished inputs by their state."""
        call = self._state.calls.peek(call_id)
        if call is None:
            return {}
        counts = {call.resting_state: len(call.waiting)} if call.waiting else {}
        for record in call.open.values():
            counts[record.state] = counts.get(record.state, 0) + 1
        return counts

    def why_call_waits(self, call_id: str) -> str:
        """Say what the call as a whole waits for; empty where it is over, or part of it runs."""
        call = self._state.calls.peek(call_id)
        if call is None or any(record.slot is not None for record in call.open.values()):
            return ""
        if call.is_blocked:
            return explain.why_call_waits(self._state, call)
        if not call.unfinished:
            return "waiting for its caller to submit more inputs"
        return explain.why_pool_waits(self._state, call.pool)

    def _waiting(self, pool: Pool) -> Iterator[InputView]:
        place = 0
        for call in pool.queue.in_line():
            for record in reversed(call.front.values()):
                yield self._record_view(record, place)
                place += 1
            for index in call.waiting:
                yield self._waiting_view(call, index, place)
                place += 1
        for record in pool.queue.delayed():
            yield self._record_view(record, None)

    def _waiting_view(self, call: CallRecord, index: int, before: int | None) -> InputView:
        if call.is_blocked:
            reason = explain.why_call_waits(self._state, call)
        else:
            reason = explain.why_input_waits(self._state, call.pool, None, before)
        call_id = call.call.call_id
        return InputView(
            make_input_id(call_id, index),
            call_id,
            index,
            call.resting_state,
            0,
            "",
            "",
            call.call.created_at,
            reason,
        )

    def _record_view(self, record: InputRecord, before: int | None) -> InputView:
        reason = ""
        if record.state is InputState.READY:
            reason = explain.why_input_waits(self._state, record.pool, record, before)
        return InputView(
            record.input_id,
            record.call.call.call_id,
            record.index,
            record.state,
            record.attempts,
            record.slot.worker.info.worker_id if record.slot is not None else "",
            record.container.container_id if record.container is not None else "",
            record.since,
            reason,
        )

    def _pool_view(self, pool: Pool) -> PoolView:
        return PoolView(
            pool.function,
            scaling.count_containers(pool, ContainerState.STARTING),
            scaling.count_containers(pool, ContainerState.READY),
            pool.queue.size,
            pool.held,
            pool.finished,
            explain.why_pool_waits(self._state, pool),
            pool.queue.size > 0
            and not pool.live
            and bool(self.why_impossible(pool.function.needs)),
        )

    def _worker_view(self, worker: WorkerRecord) -> WorkerView:
        capacity = worker.info.capacity
        used = tuple(
            Gpu(gpu.index, gpu.kind) for gpu in capacity.gpus if gpu.index not in worker.free_gpus
        )
        return WorkerView(
            worker.info,
            worker.state,
            Capacity(
                capacity.cpu_milli - worker.free_cpu, capacity.memory_mib - worker.free_memory, used
            ),
            worker.since,
            explain.why_worker_waits(self._state, worker),
        )


def _container_view(container: ContainerRecord) -> ContainerView:
    worker = container.slot.worker.info
    return ContainerView(
        container.container_id,
        worker.worker_id,
        container.slot.pool.function,
        container.state.value,
        container.started_at,
        container.running,
        worker.name,
    )
