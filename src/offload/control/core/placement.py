"""Where containers start, and whose make room for others.

Pools that are short of containers get them one at a time in turn: first those of the workspace with the smallest share of
the cluster for its weight, within it those whose next input has the highest priority, then those with the fewest containers,
then those that have waited longest. A pool that has no container at all rises in priority while it waits. What a waiting pool expects of containers that are on their way out is claimed for it, so that later
pools neither take it nor have more containers stopped for the same need.

A container whose end makes room ends as it would when idle for too long: it finishes what it runs. Who may take whose:

- an idle one that its pool does not need: any pool of the same workspace, and one of a workspace that has a smaller share;
  so what a workspace keeps warm within its share is left to it until its scaledown window is over;
- a busy one: a workspace whose share stays the smaller one also with the container, or that has no container at all, once
  the other had its turn; within a workspace a pool whose input has a higher priority, or a pool that has no container at
  all from one that has several, or has had its turn.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from offload.control.core.instructions import StartContainer
from offload.control.core.model import ContainerState
from offload.control.core.scaling import shortage, stop, surplus

if TYPE_CHECKING:
    from offload.control.core.model import Needs
    from offload.control.core.records import ContainerRecord, Pool, WorkerRecord, Workspace
    from offload.control.core.state import State


# Below every priority: of a pool in which nothing waits.
MIN_LEVEL = -1_000_000


def is_feasible(worker: WorkerRecord, needs: Needs) -> bool:
    """Whether the worker could ever run such containers."""
    capacity = worker.info.capacity
    return (
        worker.is_online
        and capacity.cpu_milli >= needs.cpu_milli
        and capacity.memory_mib >= needs.memory_mib
        and is_offered(worker, needs)
        and (not needs.gpus or count_gpus(worker, needs) >= needs.gpus)
    )


def is_offered(worker: WorkerRecord, needs: Needs) -> bool:
    """Whether it is the right machine, labelled as wanted, and has the right runtime."""
    info = worker.info
    return (
        (not needs.host_id or info.host_id == needs.host_id)
        and (not needs.runtime or needs.runtime in info.runtimes)
        and all(info.labels.get(key) == value for key, value in needs.labels)
    )


def count_gpus(worker: WorkerRecord, needs: Needs) -> int:
    """Count the worker's devices of the wanted kind."""
    return sum(is_kind(gpu.kind, needs) for gpu in worker.info.capacity.gpus)


def is_kind(kind: str, needs: Needs) -> bool:
    """Whether a device of this name is of the wanted kind."""
    return needs.gpu_kind.lower() in kind.lower()


def level(state: State, pool: Pool) -> int:
    """Return the priority of the pool's next input; while the pool has no container it rises with the time it waits."""
    first = pool.queue.first()
    priority = first.call.priority if first is not None else MIN_LEVEL
    if pool.live:
        return priority
    return priority + int((state.now - pool.waits_since) / state.policy.ageing_seconds)


class Plan:
    """One pass over the pools that are short of containers."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._claimed: dict[str, tuple[int, int, int]] = {}
        self._heaps: dict[Needs, list[tuple[int, str]]] = {}

    def run(self) -> None:
        """Start what fits and stop what must give way."""
        state = self._state
        short = {id_: shortage(state, pool) for id_, pool in state.starving.items()}
        line = [
            (*self._rank(pool), number, pool)
            for number, (id_, pool) in enumerate(state.starving.items())
            if short[id_] > 0
        ]
        heapq.heapify(line)
        while line:
            *rank, number, pool = heapq.heappop(line)
            now_ranked = self._rank(pool)
            if tuple(rank) != now_ranked:
                heapq.heappush(line, (*now_ranked, number, pool))
                continue
            if pool.workspace.is_full or not (self._start(pool) or self._claim(pool)):
                continue
            function_id = pool.function.function_id
            short[function_id] -= 1
            if short[function_id] > 0:
                heapq.heappush(line, (*self._rank(pool), number, pool))

    def _rank(self, pool: Pool) -> tuple[float, int, int, float]:
        share = self._state.share(pool.workspace)
        return share, -level(self._state, pool), pool.live, pool.waits_since

    def _start(self, pool: Pool) -> bool:
        worker = self._best(pool)
        if worker is None:
            return False
        state = self._state
        function = pool.function
        slot = state.slot(pool, worker)
        fitting = [
            i for i, kind in sorted(worker.free_gpus.items()) if is_kind(kind, function.needs)
        ]
        gpus = tuple(fitting[: function.needs.gpus])
        container = state.add_container(
            state.new_container_id(), slot, ContainerState.STARTING, gpus
        )
        state.wake(state.now + 2 * function.startup_timeout_seconds, container)
        state.out.order(
            StartContainer(
                worker.info.worker_id, container.container_id, function.function_id, gpus
            )
        )
        return True

    def _best(self, pool: Pool) -> WorkerRecord | None:
        """Return the worker with room that has the most cpu left, or the least where the policy packs.

        One on which the function failed to start is taken only where no other has room.
        """
        suspects = {id_ for id_, slot in pool.slots.items() if slot.failed_starts}
        if not suspects:
            return self._first_that_fits(pool.function.needs, suspects)
        return self._first_that_fits(pool.function.needs, suspects) or next(
            (
                worker
                for worker_id in sorted(suspects)
                if is_feasible(worker := self._state.workers[worker_id], pool.function.needs)
                and self._has_room(worker, pool.function.needs)
            ),
            None,
        )

    def _first_that_fits(self, needs: Needs, suspects: set[str]) -> WorkerRecord | None:
        heap = self._heaps.get(needs)
        sign = 1 if self._state.policy.packs else -1
        if heap is None:
            heap = [
                (sign * self._available(worker)[0], worker_id)
                for worker_id, worker in self._state.workers.items()
                if is_feasible(worker, needs)
            ]
            heapq.heapify(heap)
            self._heaps[needs] = heap
        passed: list[tuple[int, str]] = []
        found: WorkerRecord | None = None
        while heap and found is None:
            free, worker_id = heap[0]
            worker = self._state.workers[worker_id]
            cpu = sign * self._available(worker)[0]
            if free != cpu:
                heapq.heapreplace(heap, (cpu, worker_id))
            elif worker_id in suspects:
                passed.append(heapq.heappop(heap))
            elif self._has_room(worker, needs):
                found = worker
            else:
                heapq.heappop(heap)  # within one plan room only shrinks
        for place in passed:
            heapq.heappush(heap, place)
        return found

    def _has_room(self, worker: WorkerRecord, needs: Needs) -> bool:
        cpu, memory, gpus = self._available(worker)
        if cpu < needs.cpu_milli or memory < needs.memory_mib:
            return False
        if not needs.gpus:
            return True
        return gpus >= needs.gpus and needs.gpus <= sum(
            is_kind(kind, needs) for kind in worker.free_gpus.values()
        )

    def _available(self, worker: WorkerRecord) -> tuple[int, int, int]:
        if worker.info.worker_id not in self._claimed:
            return worker.free_cpu, worker.free_memory, len(worker.free_gpus)
        cpu, memory, gpus = self._claimed[worker.info.worker_id]
        return (
            worker.free_cpu - max(0, cpu - worker.coming_cpu),
            worker.free_memory - max(0, memory - worker.coming_memory),
            len(worker.free_gpus) - max(0, gpus - worker.coming_gpus),
        )

    def _claim(self, pool: Pool) -> bool:
        """Claim room that is about to become free, or make some."""
        needs = pool.function.needs
        feasible = [w for w in self._state.workers.values() if is_feasible(w, needs)]
        feasible.sort(key=lambda w: (-(w.free_cpu + w.coming_cpu), w.info.worker_id))
        for worker in feasible:
            if self._fits(worker, needs, []):
                return self._book(worker, needs)
        for worker in feasible:
            given = self._givers(worker, pool)
            if given:
                for container in given:
                    stop(self._state, container)
                return self._book(worker, needs)
        if pool.queue.size:
            self._state.wake(self._state.now + self._state.policy.turn_seconds, pool)
        return False

    def _book(self, worker: WorkerRecord, needs: Needs) -> bool:
        cpu, memory, gpus = self._claimed.get(worker.info.worker_id, (0, 0, 0))
        self._claimed[worker.info.worker_id] = (
            cpu + needs.cpu_milli,
            memory + needs.memory_mib,
            gpus + needs.gpus,
        )
        return True

    def _fits(self, worker: WorkerRecord, needs: Needs, given: list[ContainerRecord]) -> bool:
        claimed_cpu, claimed_memory, claimed_gpus = self._claimed.get(
            worker.info.worker_id, (0, 0, 0)
        )
        cpu = worker.free_cpu + worker.coming_cpu - claimed_cpu
        memory = worker.free_memory + worker.coming_memory - claimed_memory
        gpus = len(worker.free_gpus) + worker.coming_gpus - claimed_gpus
        cpu += sum(c.needs.cpu_milli for c in given)
        memory += sum(c.needs.memory_mib for c in given)
        gpus += sum(len(c.gpus) for c in given)
        return cpu >= needs.cpu_milli and memory >= needs.memory_mib and gpus >= needs.gpus

    def _givers(self, worker: WorkerRecord, pool: Pool) -> list[ContainerRecord]:
        """Return containers on the worker whose end makes room enough; none where that cannot be had."""
        candidates = [
            container
            for slot in worker.slots.values()
            if slot.pool is not pool
            for container in slot.containers.values()
            if container.is_live
        ]
        state = self._state
        candidates.sort(
            key=lambda c: (
                surplus(c.slot.pool) <= 0,
                c.running,
                -state.share(c.slot.pool.workspace),
                -c.slot.pool.live,
                -c.started_at,
            )
        )
        claim = Claim(state, pool)
        given: list[ContainerRecord] = []
        for container in candidates:
            if not claim.may_take(container):
                continue
            claim.take(container)
            given.append(container)
            if self._fits(worker, pool.function.needs, given):
                return given
        return []


class Claim:
    """What one pool may take from others for one container of its own, given what it takes already."""

    def __init__(self, state: State, pool: Pool) -> None:
        self._state = state
        self._pool = pool
        self._level = level(state, pool)
        self._taken: dict[str, int] = {}  # containers, by function
        self._cpu: dict[str, int] = {}  # by workspace
        self._memory: dict[str, int] = {}

    def take(self, container: ContainerRecord) -> None:
        """Take note that the container is to give way."""
        function = container.slot.pool.function
        name = function.workspace
        self._taken[function.function_id] = self._taken.get(function.function_id, 0) + 1
        self._cpu[name] = self._cpu.get(name, 0) + function.needs.cpu_milli
        self._memory[name] = self._memory.get(name, 0) + function.needs.memory_mib

    def may_take(self, container: ContainerRecord) -> bool:
        """Whether the container must give way to the pool."""
        giver = container.slot.pool
        taken = self._taken.get(giver.function.function_id, 0)
        is_idle = surplus(giver) > taken and container.running == 0
        if giver.workspace is not self._pool.workspace:
            is_poorer = self._share(self._pool.workspace) < self._share(giver.workspace)
            if is_idle or not is_poorer:
                return is_idle and is_poorer
            return self._is_fairer_without(container) or self._is_its_turn(container)
        if is_idle:
            return True
        if not self._pool.queue.size:
            return False
        if self._level > _level_of(container):
            return True
        return self._pool.live == 0 and (giver.live - taken > 1 or self._is_its_turn(container))

    def _is_its_turn(self, container: ContainerRecord) -> bool:
        """Whether a pool without any container waits, and the other has had this one for long enough."""
        turn_seconds = self._state.policy.turn_seconds
        return (
            self._pool.live == 0
            and self._pool.queue.size > 0
            and container.started_at + turn_seconds <= self._state.now
        )

    def _is_fairer_without(self, container: ContainerRecord) -> bool:
        """Whether the pool's workspace stays the poorer one with its new container, and the giver without this one."""
        needs, given = self._pool.function.needs, container.needs
        mine = self._share(self._pool.workspace, needs.cpu_milli, needs.memory_mib)
        theirs = self._share(container.slot.pool.workspace, -given.cpu_milli, -given.memory_mib)
        return mine <= theirs

    def _share(self, workspace: Workspace, cpu: int = 0, memory: int = 0) -> float:
        state = self._state
        cpu += workspace.cpu - self._cpu.get(workspace.name, 0)
        memory += workspace.memory - self._memory.get(workspace.name, 0)
        of_cpu = cpu / state.total_cpu if state.total_cpu else 0.0
        of_memory = memory / state.total_memory if state.total_memory else 0.0
        return max(of_cpu, of_memory) / workspace.weight


def _level_of(container: ContainerRecord) -> int:
    """Return the priority of what the container runs or would run next."""
    slot = container.slot
    held = next(iter(slot.held.values()), None)
    first = slot.pool.queue.first()
    of_held = held.call.call.priority if held is not None else MIN_LEVEL
    of_first = first.call.priority if first is not None else MIN_LEVEL
    return max(of_held, of_first)
