"""Everything the dispatcher remembers, and the few moves that keep its counts true."""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING

from offload.control.core.call_table import CallTable
from offload.control.core.candidates import Candidates
from offload.control.core.inputs import InputEvent
from offload.control.core.instructions import StopContainer
from offload.control.core.model import ContainerState
from offload.control.core.outbox import Outbox
from offload.control.core.policy import Policy, WorkspaceLimits
from offload.control.core.records import ContainerRecord, Pool, Slot, WorkerRecord, Workspace
from offload.control.core.timers import Timers
from offload.control.core.waiters import Overdue, Stranded, Turn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offload.control.core.calls import CallRecord, InputRecord
    from offload.control.core.model import Function, Needs, WorkerInfo
    from offload.control.core.waiters import Waiter
    from offload.control.core.workers import WorkerEvent


class State:
    """The dispatcher's memory.

    `dirty` are the pools whose backlog, room or containers changed since the last decision, `touched` the slots whose
    room did; `replan` says that room on the workers may have appeared. Dicts serve as ordered sets: iteration over
    real sets would differ between runs.
    """

    def __init__(self, policy: Policy, incarnation: str, now: float) -> None:
        self.policy = policy
        self.now = now
        self.recover_until = now + policy.recovery_seconds
        self.is_recovering = False
        self.restored_endings: dict[
            str, str
        ] = {}  # of calls that were over when they were restored
        self.expected: dict[str, str] = {}  # workers that may come back after a restart: name by id
        self.dependants: dict[str, dict[str, CallRecord]] = {}  # calls that wait for a call
        self.ended: deque[tuple[CallRecord, str]] = deque()  # whose dependants do not know it yet
        self.inputs: dict[str, InputRecord] = {}  # those with a record
        self.pools: dict[str, Pool] = {}
        self.calls = CallTable(self.pools, policy.ageing_seconds)
        self.workspaces: dict[str, Workspace] = {}
        self.workers: dict[str, WorkerRecord] = {}
        self.containers: dict[str, ContainerRecord] = {}
        self.waits: dict[str, int] = {}  # for how many calls of their own containers wait
        self.lenders: dict[str, None] = {}  # containers that may lend now, or no more
        self.total_cpu = 0  # of online workers
        self.total_memory = 0
        self.total_gpus = 0
        self.blocked_total = 0  # inputs that wait for other calls
        self.starving: dict[str, Pool] = {}  # pools that want containers there is no room for
        self.staffed: dict[str, Pool] = {}  # pools with live containers
        self.coming: dict[
            str, WorkerRecord
        ] = {}  # workers where room becomes free that nobody was promised
        self.promised: dict[
            str, WorkerRecord
        ] = {}  # workers where room became free that somebody was promised
        self.timers = Timers(self.calls, self.workers)
        self.candidates = Candidates(self.workers, packs=policy.packs)
        self.is_turn_timed = (
            False  # whether somebody looks again for containers that had their turn
        )
        self.dirty: dict[str, Pool] = {}
        self.touched: dict[tuple[str, str], Slot] = {}
        self.replan = False
        self.plans = 0  # so far
        self.refused: set[tuple[object, ...]] = set()  # kinds of claims for which nobody gave way
        self.turned_away = ""  # which worker was not let in last, and why; empty once one joined
        self.out = Outbox()
        self._incarnation = incarnation
        self._container_numbers = itertools.count(1)
        self._call_numbers = itertools.count(1)

    # Time

    def wake(self, at: float, waiter: Waiter) -> None:
        """Look at `waiter` again then."""
        self.timers.add(at, waiter)

    def look_for_givers(self) -> None:
        """See at the end of the event whether somebody must give way now that was not to before."""
        self.replan = True
        self.refused.clear()

    def wait_for_turns(self) -> None:
        """See later whether containers that somebody waits for have had their turn."""
        if not self.is_turn_timed:
            self.is_turn_timed = True
            self.wake(self.now + self.policy.turn_seconds, Turn())

    # Calls, pools, workspaces, workers and slots

    def next_call_number(self) -> int:
        """Count the calls as they come."""
        return next(self._call_numbers)

    def add_pool(self, function: Function) -> Pool:
        """Register a function."""
        pool = Pool(function, self.workspace(function.workspace), self.calls)
        self.pools[function.function_id] = pool
        pool.workspace.pools += 1
        self.touch_pool(pool)
        return pool

    def remove_pool(self, pool: Pool) -> None:
        """Forget a function of which nothing is left, and its workspace with the last one."""
        function_id = pool.function.function_id
        self.starving.pop(function_id, None)
        self.dirty.pop(function_id, None)
        del self.pools[function_id]
        pool.timer_at = None
        pool.workspace.pools -= 1
        if not pool.workspace.pools:
            del self.workspaces[pool.workspace.name]

    def workspace(self, name: str) -> Workspace:
        """Return the workspace of that name, a new one where it is the first time."""
        known = self.workspaces.get(name)
        if known is None:
            limits = self.policy.workspaces.get(name, WorkspaceLimits())
            known = Workspace(name, limits.weight, limits.max_containers)
            self.workspaces[name] = known
        return known

    def touch_pool(self, pool: Pool) -> None:
        """Decide anew about the pool at the end of the event."""
        self.dirty[pool.function.function_id] = pool

    def slot(self, pool: Pool, worker: WorkerRecord) -> Slot:
        """Return where the two meet."""
        slot = pool.slots.get(worker.info.worker_id)
        if slot is None:
            slot = Slot(pool, worker)
            pool.slots[worker.info.worker_id] = slot
            worker.slots[pool.function.function_id] = slot
        return slot

    def touch(self, slot: Slot) -> None:
        """See anew how much room the slot has, and decide about its pool."""
        function_id = slot.pool.function.function_id
        self.touched[function_id, slot.worker.info.worker_id] = slot
        self.dirty[function_id] = slot.pool

    def add_worker(self, info: WorkerInfo) -> WorkerRecord:
        """Remember a worker."""
        worker = self.workers[info.worker_id] = WorkerRecord(info, self.now)
        self.candidates.note(worker)
        self._count_capacity(worker, 1)
        self.look_for_givers()
        return worker

    def change_worker(self, worker: WorkerRecord, info: WorkerInfo) -> None:
        """Take what a known worker says of itself now for the truth."""
        if worker.is_online:
            self._count_capacity(worker, -1)
        worker.free_cpu += info.capacity.cpu_milli - worker.info.capacity.cpu_milli
        worker.free_memory += info.capacity.memory_mib - worker.info.capacity.memory_mib
        worker.info = info
        taken = {
            index
            for slot in worker.slots.values()
            for container in slot.containers.values()
            for index in container.gpus
        }
        worker.free_gpus = {g.index: g.kind for g in info.capacity.gpus if g.index not in taken}
        if worker.is_online:
            self._count_capacity(worker, 1)
        self.candidates.note(worker)
        self.look_for_givers()

    def move_worker(self, worker: WorkerRecord, event: WorkerEvent) -> None:
        """Change whether the worker takes work, with all that depends on it."""
        was_online = worker.is_online
        worker.move(event, self.now)
        if worker.is_online == was_online:
            return
        sign = 1 if worker.is_online else -1
        self._count_capacity(worker, sign)
        self.candidates.note(worker)
        self.look_for_givers()
        for slot in worker.slots.values():
            self._count_staff(slot.pool, sign * slot.live)
            slot.pool.away -= sign * len(slot.held)
            self.touch(slot)

    def remove_worker(self, worker: WorkerRecord) -> None:
        """Forget a worker that has no slot any more."""
        if worker.is_online:
            self._count_capacity(worker, -1)
        del self.workers[worker.info.worker_id]
        self.promised.pop(worker.info.worker_id, None)
        self.look_for_givers()

    def share(
        self, workspace: Workspace, plus: Iterable[Needs] = (), minus: Iterable[Needs] = ()
    ) -> float:
        """Return the largest of the workspace's parts of the cluster's cpu, memory and gpus, for its weight.

        With `plus` and `minus`, what it would be with containers of such needs more, or less.
        """
        cpu, memory, gpus = workspace.cpu, workspace.memory, workspace.gpus
        for needs in plus:
            cpu, memory, gpus = cpu + needs.cpu_milli, memory + needs.memory_mib, gpus + needs.gpus
        for needs in minus:
            cpu, memory, gpus = cpu - needs.cpu_milli, memory - needs.memory_mib, gpus - needs.gpus
        share = cpu / self.total_cpu if self.total_cpu else 0.0
        if self.total_memory:
            share = max(share, memory / self.total_memory)
        if gpus and self.total_gpus:
            share = max(share, gpus / self.total_gpus)
        return share / workspace.weight

    # Inputs in a worker's hands

    def attach(self, record: InputRecord, slot: Slot, attempt: int) -> None:
        """Put a ready input, out of the queue already, into a worker's hands."""
        record.move(InputEvent.ASSIGNED)
        record.attempts = attempt
        record.since = self.now
        record.slot = slot
        slot.held[record.input_id] = record
        self.inputs[record.input_id] = record
        slot.pool.held += 1
        if not slot.worker.is_online:
            slot.pool.away += 1

    def detach(self, record: InputRecord) -> None:
        """Take an input out of its worker's hands."""
        slot = record.slot
        if slot is None:
            return
        del slot.held[record.input_id]
        slot.pool.held -= 1
        if not slot.worker.is_online:
            slot.pool.away -= 1
        if record.container is not None:
            self.count_running(record.container, -1)
            record.container = None
        record.slot = None
        self.touch(slot)

    def watch_timeouts(self, slot: Slot, at: float) -> None:
        """See then whether inputs that the slot runs are past their timeout."""
        if slot.overdue_at is None or at < slot.overdue_at:
            slot.overdue_at = at
            self.wake(at, Overdue(slot, at))

    # Containers

    def new_container_id(self) -> str:
        """Make an id that no other incarnation makes."""
        return f"ct-{self._incarnation}-{next(self._container_numbers)}"

    def add_container(
        self, container_id: str, slot: Slot, state: ContainerState, gpus: tuple[int, ...]
    ) -> ContainerRecord:
        """Remember a container and take its room."""
        container = ContainerRecord(container_id, slot, state, self.now)
        self.containers[container_id] = container
        slot.containers[container_id] = container
        worker, needs = slot.worker, slot.pool.function.needs
        worker.free_cpu -= needs.cpu_milli
        worker.free_memory -= needs.memory_mib
        container.gpus = gpus
        for index in gpus:
            worker.free_gpus.pop(index, None)
        self.candidates.note(worker)
        self._count_live(slot, 1)
        self.count_running(container, 0)
        return container

    def count_running(self, container: ContainerRecord, change: int) -> None:
        """Count the inputs whose user code has begun in a container."""
        container.running += change
        if container.container_id in self.waits:
            self.lenders[container.container_id] = None

    def stop_container(self, container: ContainerRecord, grace_seconds: float) -> None:
        """Have a live container end; its room is free once it has."""
        self.out.order(
            StopContainer(
                container.slot.worker.info.worker_id, container.container_id, grace_seconds
            )
        )
        self.mark_stopping(container)

    def mark_stopping(self, container: ContainerRecord) -> None:
        """Expect the container's end."""
        container.state = ContainerState.STOPPING
        self._count_coming(container, 1)
        self._count_live(container.slot, -1)

    def remove_container(self, container: ContainerRecord) -> None:
        """Forget a container and free its room."""
        slot = container.slot
        worker, needs = slot.worker, container.needs
        was_live = container.is_live
        del self.containers[container.container_id]
        del slot.containers[container.container_id]
        worker.free_cpu += container.taken_cpu
        worker.free_memory += needs.memory_mib
        kinds = {gpu.index: gpu.kind for gpu in worker.info.capacity.gpus}
        worker.free_gpus.update((i, kinds[i]) for i in container.gpus if i in kinds)
        worker.free_gpus = dict(sorted(worker.free_gpus.items()))
        self.candidates.note(worker)
        if worker.promises:
            self.promised[worker.info.worker_id] = worker
        if was_live:
            self._count_live(slot, -1)
        else:
            self._count_coming(container, -1)
            self.touch(slot)
        container.state = ContainerState.STOPPED
        self.replan = True
        self.watch(slot)

    def note_stranger(self, worker: WorkerRecord, container_id: str, *, is_there: bool) -> None:
        """Note that a container of which nothing is known is on the worker, or has ended."""
        if is_there:
            worker.strangers[container_id] = None
        elif container_id in worker.strangers:
            del worker.strangers[container_id]
            self.candidates.note(worker)
            if worker.promises:
                self.promised[worker.info.worker_id] = worker
            self.look_for_givers()

    def watch(self, slot: Slot) -> None:
        """See later whether inputs are still with a worker that has no container for them any more."""
        if slot.held and not slot.containers:
            self.wake(self.now + self.policy.stop_grace_seconds, Stranded(slot))

    def _count_coming(self, container: ContainerRecord, sign: int) -> None:
        worker, needs = container.slot.worker, container.needs
        worker.coming_cpu += sign * container.taken_cpu
        worker.coming_memory += sign * needs.memory_mib
        if sign > 0:
            worker.stopping[container.container_id] = container
        else:
            del worker.stopping[container.container_id]
        self.note_coming(worker)

    def note_coming(self, worker: WorkerRecord) -> None:
        """Note whether more room becomes free on the worker than was promised there."""
        is_more = worker.stopping and (
            worker.coming_cpu > worker.promised_cpu
            or worker.coming_memory > worker.promised_memory
            or any(i not in worker.promised_gpus for c in worker.stopping.values() for i in c.gpus)
        )
        if is_more:
            self.coming[worker.info.worker_id] = worker
        else:
            self.coming.pop(worker.info.worker_id, None)

    def _count_live(self, slot: Slot, change: int) -> None:
        slot.live += change
        if slot.worker.is_online:
            self._count_staff(slot.pool, change)
        workspace, needs = slot.pool.workspace, slot.pool.function.needs
        workspace.containers += change
        workspace.cpu += change * needs.cpu_milli
        workspace.memory += change * needs.memory_mib
        workspace.gpus += change * needs.gpus
        self.touch(slot)

    def _count_staff(self, pool: Pool, change: int) -> None:
        pool.live += change
        if pool.live:
            self.staffed[pool.function.function_id] = pool
        else:
            self.staffed.pop(pool.function.function_id, None)

    def _count_capacity(self, worker: WorkerRecord, sign: int) -> None:
        self.total_cpu += sign * worker.info.capacity.cpu_milli
        self.total_memory += sign * worker.info.capacity.memory_mib
        self.total_gpus += sign * len(worker.info.capacity.gpus)
