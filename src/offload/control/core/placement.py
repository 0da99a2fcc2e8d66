"""Where containers start, and whose make room for others.

Pools that are short of containers get them one at a time in turn, those with the fewest first. What a waiting pool
expects of containers that are on their way out is claimed for it, so that later pools neither take it nor have more
containers stopped for the same need.
"""

from __future__ import annotations

import heapq

from offload.control.core.instructions import StartContainer
from offload.control.core.model import ContainerState, Function
from offload.control.core.records import ContainerRecord, Pool, WorkerRecord
from offload.control.core.scaling import shortage, stop, surplus
from offload.control.core.state import State


def is_feasible(worker: WorkerRecord, function: Function) -> bool:
    """Whether the worker could ever run the function's containers."""
    return (
        worker.is_online
        and is_offered(worker, function)
        and worker.info.capacity.cpu_milli >= function.cpu_milli
        and worker.info.capacity.memory_mib >= function.memory_mib
    )


def is_offered(worker: WorkerRecord, function: Function) -> bool:
    """Whether it is the right machine and has the right runtime."""
    info = worker.info
    return (not function.host_id or info.host_id == function.host_id) and (
        not function.runtime or function.runtime in info.runtimes
    )


class Plan:
    """One pass over the pools that are short of containers."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._claimed: dict[str, tuple[int, int]] = {}
        self._heaps: dict[str, list[tuple[int, str]]] = {}

    def run(self) -> None:
        """Start what fits and stop what must give way."""
        short = {id_: shortage(self._state, pool) for id_, pool in self._state.starving.items()}
        line = [
            (pool.live, pool.waits_since, number, pool)
            for number, (id_, pool) in enumerate(self._state.starving.items())
            if short[id_] > 0
        ]
        heapq.heapify(line)
        while line:
            _, since, number, pool = heapq.heappop(line)
            if not (self._start(pool) or self._claim(pool)):
                continue
            function_id = pool.function.function_id
            short[function_id] -= 1
            if short[function_id] > 0:
                heapq.heappush(line, (pool.live, since, number, pool))

    def _start(self, pool: Pool) -> bool:
        worker = self._most_free(pool)
        if worker is None:
            return False
        state = self._state
        function = pool.function
        slot = state.slot(pool, worker)
        container = state.add_container(state.new_container_id(), slot, ContainerState.STARTING)
        state.wake(state.now + 2 * function.startup_timeout_seconds, container)
        state.out.order(
            StartContainer(worker.info.worker_id, container.container_id, function.function_id)
        )
        return True

    def _most_free(self, pool: Pool) -> WorkerRecord | None:
        """Return the feasible worker with the most free cpu; what it says of itself may be out of date, so it is checked."""
        function = pool.function
        heap = self._heaps.get(function.function_id)
        if heap is None:
            heap = [
                (-self._available(worker)[0], worker_id)
                for worker_id, worker in self._state.workers.items()
                if is_feasible(worker, function)
            ]
            heapq.heapify(heap)
            self._heaps[function.function_id] = heap
        while heap:
            free, worker_id = heap[0]
            worker = self._state.workers[worker_id]
            cpu, memory = self._available(worker)
            if -free > cpu:
                heapq.heapreplace(heap, (-cpu, worker_id))
            elif cpu >= function.cpu_milli and memory >= function.memory_mib:
                return worker
            else:
                heapq.heappop(heap)
        return None

    def _available(self, worker: WorkerRecord) -> tuple[int, int]:
        cpu, memory = self._claimed.get(worker.info.worker_id, (0, 0))
        return (
            worker.free_cpu - max(0, cpu - worker.coming_cpu),
            worker.free_memory - max(0, memory - worker.coming_memory),
        )

    def _claim(self, pool: Pool) -> bool:
        """Claim room that is about to become free, or make some."""
        function = pool.function
        feasible = [w for w in self._state.workers.values() if is_feasible(w, function)]
        feasible.sort(key=lambda w: (-(w.free_cpu + w.coming_cpu), w.info.worker_id))
        for worker in feasible:
            if self._fits(worker, function, []):
                return self._book(worker, function)
        may_take_busy = pool.live == 0 and pool.queue.size > 0
        for worker in feasible:
            given = self._givers(worker, pool, may_take_busy)
            if given:
                for container in given:
                    stop(self._state, container)
                return self._book(worker, function)
        if may_take_busy:
            self._state.wake(self._state.now + self._state.policy.turn_seconds, pool)
        return False

    def _book(self, worker: WorkerRecord, function: Function) -> bool:
        cpu, memory = self._claimed.get(worker.info.worker_id, (0, 0))
        self._claimed[worker.info.worker_id] = (
            cpu + function.cpu_milli,
            memory + function.memory_mib,
        )
        return True

    def _fits(self, worker: WorkerRecord, function: Function, given: list[ContainerRecord]) -> bool:
        claimed_cpu, claimed_memory = self._claimed.get(worker.info.worker_id, (0, 0))
        cpu = worker.free_cpu + worker.coming_cpu - claimed_cpu
        memory = worker.free_memory + worker.coming_memory - claimed_memory
        cpu += sum(c.slot.pool.function.cpu_milli for c in given)
        memory += sum(c.slot.pool.function.memory_mib for c in given)
        return cpu >= function.cpu_milli and memory >= function.memory_mib

    def _givers(
        self, worker: WorkerRecord, pool: Pool, may_take_busy: bool
    ) -> list[ContainerRecord]:
        """Return containers on the worker whose end makes room enough; none where that cannot be had."""
        candidates = [
            container
            for slot in worker.slots.values()
            if slot.pool is not pool
            for container in slot.containers.values()
            if container.is_live
        ]
        candidates.sort(
            key=lambda c: (surplus(c.slot.pool) <= 0, c.running, -c.slot.pool.live, -c.started_at)
        )
        given: list[ContainerRecord] = []
        left: dict[str, int] = {}
        for container in candidates:
            giver = container.slot.pool
            taken = left.get(giver.function.function_id, 0)
            if not self._may_give(container, taken, may_take_busy):
                continue
            left[giver.function.function_id] = taken + 1
            given.append(container)
            if self._fits(worker, pool.function, given):
                return given
        return []

    def _may_give(self, container: ContainerRecord, taken: int, may_take_busy: bool) -> bool:
        giver = container.slot.pool
        if surplus(giver) > taken and container.running == 0:
            return True
        if not may_take_busy:
            return False
        had_its_turn = container.started_at + self._state.policy.turn_seconds <= self._state.now
        return giver.live - taken > 1 or had_its_turn
