"""Everything the dispatcher remembers, and the few moves that keep its counts true."""

from __future__ import annotations

import heapq
import itertools

from offload.control.core.inputs import InputEvent
from offload.control.core.instructions import (
    CallCompleted,
    CancelInputs,
    Finished,
    Instruction,
    RecordOutcomes,
    StopContainer,
)
from offload.control.core.model import ContainerState, Function, WorkerInfo
from offload.control.core.policy import Policy
from offload.control.core.records import (
    CallRecord,
    ContainerRecord,
    InputRecord,
    Pool,
    Slot,
    WorkerRecord,
    WorkerState,
)

Waiter = Pool | WorkerRecord | ContainerRecord | Slot | None


class Outbox:
    """What one event leads to, in the order its readers rely on: outcomes, ends of calls, cancellations, the rest."""

    __slots__ = ("_cancelled", "_completed", "_orders", "_outcomes")

    def __init__(self) -> None:
        self._outcomes: list[Finished] = []
        self._completed: list[CallCompleted] = []
        self._cancelled: dict[tuple[str, str], list[str]] = {}
        self._orders: list[Instruction] = []

    def record(self, outcome: Finished) -> None:
        """Add an input's outcome."""
        self._outcomes.append(outcome)

    def complete(self, call_id: str, state: str) -> None:
        """Add a call's end."""
        self._completed.append(CallCompleted(call_id, state))

    def cancel(self, worker_id: str, input_id: str, reason: str) -> None:
        """Have a worker end an input."""
        self._cancelled.setdefault((worker_id, reason), []).append(input_id)

    def order(self, instruction: Instruction) -> None:
        """Add any other instruction."""
        self._orders.append(instruction)

    def take(self) -> list[Instruction]:
        """Return all of it and be empty."""
        instructions: list[Instruction] = []
        if self._outcomes:
            instructions.append(RecordOutcomes(tuple(self._outcomes)))
            self._outcomes = []
        if self._completed:
            instructions += self._completed
            self._completed = []
        if self._cancelled:
            instructions += [
                CancelInputs(worker_id, tuple(ids), reason)
                for (worker_id, reason), ids in self._cancelled.items()
            ]
            self._cancelled = {}
        if self._orders:
            instructions += self._orders
            self._orders = []
        return instructions


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
        self.calls: dict[str, CallRecord] = {}
        self.inputs: dict[str, InputRecord] = {}
        self.pools: dict[str, Pool] = {}
        self.workers: dict[str, WorkerRecord] = {}
        self.containers: dict[str, ContainerRecord] = {}
        self.starving: dict[str, Pool] = {}  # pools that want containers there is no room for
        self.dirty: dict[str, Pool] = {}
        self.touched: dict[tuple[str, str], Slot] = {}
        self.replan = False
        self.turned_away = ""  # which worker was not let in last, and why; empty once one joined
        self.out = Outbox()
        self._incarnation = incarnation
        self._container_numbers = itertools.count(1)
        self._timers: list[tuple[float, int, Waiter]] = []
        self._timer_numbers = itertools.count()

    # Time

    def wake(self, at: float, waiter: Waiter) -> None:
        """Look at `waiter` again then."""
        if isinstance(waiter, Pool):
            if waiter.timer_at is not None and waiter.timer_at <= at:
                return
            waiter.timer_at = at
        heapq.heappush(self._timers, (at, next(self._timer_numbers), waiter))

    def next_wakeup(self) -> float | None:
        """Return when the first waiter is due."""
        return self._timers[0][0] if self._timers else None

    def pop_due(self) -> list[Waiter]:
        """Take the waiters whose time has come."""
        due: list[Waiter] = []
        while self._timers and self._timers[0][0] <= self.now:
            at, _, waiter = heapq.heappop(self._timers)
            if isinstance(waiter, Pool) and waiter.timer_at == at:
                waiter.timer_at = None
            due.append(waiter)
        return due

    # Pools, workers and slots

    def add_pool(self, function: Function) -> Pool:
        """Register a function."""
        pool = self.pools[function.function_id] = Pool(function)
        self.touch_pool(pool)
        return pool

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
        self.replan = True
        return worker

    def set_worker_state(self, worker: WorkerRecord, state: WorkerState) -> None:
        """Change whether the worker takes work, with all that depends on it."""
        worker.state = state
        worker.since = self.now
        self.replan = True
        for slot in worker.slots.values():
            slot.pool.recount()
            self.touch(slot)

    # Inputs in a worker's hands

    def attach(self, record: InputRecord, slot: Slot, attempt: int) -> None:
        """Put a ready input, out of the queue already, into a worker's hands."""
        record.move(InputEvent.ASSIGNED)
        record.attempts = attempt
        record.since = self.now
        record.slot = slot
        slot.held[record.input_id] = record
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
            record.container.running -= 1
            record.container = None
        record.slot = None
        self.touch(slot)

    # Containers

    def new_container_id(self) -> str:
        """Make an id that no other incarnation makes."""
        return f"ct-{self._incarnation}-{next(self._container_numbers)}"

    def add_container(
        self, container_id: str, slot: Slot, state: ContainerState
    ) -> ContainerRecord:
        """Remember a container and take its room."""
        container = ContainerRecord(container_id, slot, state, self.now)
        self.containers[container_id] = container
        slot.containers[container_id] = container
        slot.worker.free_cpu -= slot.pool.function.cpu_milli
        slot.worker.free_memory -= slot.pool.function.memory_mib
        self._count_live(slot, 1)
        return container

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
        slot = container.slot
        slot.worker.coming_cpu += slot.pool.function.cpu_milli
        slot.worker.coming_memory += slot.pool.function.memory_mib
        self._count_live(slot, -1)

    def remove_container(self, container: ContainerRecord) -> None:
        """Forget a container and free its room."""
        slot = container.slot
        function = slot.pool.function
        del self.containers[container.container_id]
        del slot.containers[container.container_id]
        slot.worker.free_cpu += function.cpu_milli
        slot.worker.free_memory += function.memory_mib
        if container.is_live:
            self._count_live(slot, -1)
        else:
            slot.worker.coming_cpu -= function.cpu_milli
            slot.worker.coming_memory -= function.memory_mib
            self.touch(slot)
        self.replan = True
        self.watch(slot)

    def watch(self, slot: Slot) -> None:
        """See later whether inputs are still with a worker that has no container for them any more."""
        if slot.held and not slot.containers:
            self.wake(self.now + self.policy.stop_grace_seconds, slot)

    def _count_live(self, slot: Slot, change: int) -> None:
        slot.live += change
        if slot.worker.is_online:
            slot.pool.live += change
        self.touch(slot)
