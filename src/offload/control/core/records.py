"""What the dispatcher remembers of pools, workers, containers and workspaces: mutable records.

A `Slot` is where a pool and a worker meet. It carries the two numbers of the hot path: how many of the function's
inputs the worker holds, and how many it is willing to hold.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING

from offload.control.core.autoscale import RecentPeak
from offload.control.core.breaker import Breaker
from offload.control.core.calls import Queue
from offload.control.core.model import ContainerState
from offload.control.core.workers import WorkerEvent, WorkerState, move_worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from offload.control.core.call_table import CallTable
    from offload.control.core.calls import CallRecord, InputRecord
    from offload.control.core.model import Function, Needs, WorkerInfo


NEVER = math.inf


class Slot:
    """One function on one worker."""

    __slots__ = (
        "containers", "held", "live", "overdue_at", "pool", "room_bits", "window", "worker",
    )  # fmt: skip

    def __init__(self, pool: Pool, worker: WorkerRecord) -> None:
        self.pool = pool
        self.worker = worker
        self.window = 0
        self.held: dict[str, InputRecord] = {}
        self.containers: dict[str, ContainerRecord] = {}
        self.live = 0  # containers that are not stopping
        self.room_bits = 0  # as the pool's `Roomy` has it
        self.overdue_at: float | None = None  # when running inputs are looked at for their timeout

    @property
    def room(self) -> int:
        """How many more inputs may be assigned."""
        if self.live == 0 or self.worker.state is not WorkerState.ONLINE:
            return 0
        return self.window - len(self.held)


class Roomy:
    """Slots with room, those with most of it first, to within a factor of two, and among these the longest unchanged.

    So one input for a thousand workers costs no look at a thousand slots.
    """

    __slots__ = ("_by_size", "_size")

    def __init__(self) -> None:
        self._by_size: list[dict[str, Slot]] = []  # by the bits of the room, by worker
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Slot]:
        for slots in reversed(self._by_size):
            yield from slots.values()

    def first(self, limit: int) -> list[Slot]:
        """Return some of those with most room."""
        return list(islice(self, limit))

    def put(self, slot: Slot, room: int) -> None:
        """Note how much room the slot has now."""
        worker_id = slot.worker.info.worker_id
        if slot.room_bits:
            del self._by_size[slot.room_bits][worker_id]
            self._size -= 1
        slot.room_bits = bits = room.bit_length() if room > 0 else 0
        if bits:
            while len(self._by_size) <= bits:
                self._by_size.append({})
            self._by_size[bits][worker_id] = slot
            self._size += 1


class ContainerRecord:
    """A container that takes up room on its worker."""

    __slots__ = (
        "container_id", "gpus", "lends", "prepared_at", "progress", "ready_at", "running", "slot", "started_at", "state",
    )  # fmt: skip

    def __init__(
        self, container_id: str, slot: Slot, state: ContainerState, started_at: float
    ) -> None:
        self.container_id = container_id
        self.slot = slot
        self.state = state
        self.started_at = started_at
        self.ready_at = started_at
        self.progress = ""  # what has to be done before it can start; empty: it is starting
        self.prepared_at = started_at  # when that was last known not to be done
        self.gpus: tuple[int, ...] = ()
        self.running = 0  # inputs whose user code is known to have begun here
        self.lends = False  # its cores, because its inputs wait for calls that they made

    @property
    def is_live(self) -> bool:
        """Whether it is or will be ready for work."""
        return self.state is not ContainerState.STOPPING

    @property
    def needs(self) -> Needs:
        """What it was started with; of its cores it takes `taken_cpu`."""
        return self.slot.pool.function.needs

    @property
    def taken_cpu(self) -> int:
        """The thousandths of cores that it does not lend."""
        return 0 if self.lends else self.needs.cpu_milli


class Promise:
    """Room that a pool will get on a worker once containers there have ended, with these of its devices."""

    __slots__ = ("gpus", "pool", "worker")

    def __init__(self, pool: Pool, worker: WorkerRecord, gpus: tuple[int, ...]) -> None:
        self.pool = pool
        self.worker = worker
        self.gpus = gpus


class WorkerRecord:
    """A worker.

    `free_…` is what its containers leave, `coming_…` what stopping ones will leave as well, and `promised_…` what of all
    this pools wait for.
    """

    __slots__ = (
        "coming_cpu", "coming_memory", "drain_reason", "free_cpu", "free_gpus", "free_memory", "info", "is_to_drain",
        "lost_at", "promised_cpu", "promised_gpus", "promised_memory", "promises", "quarantined_until", "quarantines",
        "since", "slots", "state", "stopping", "strangers", "strike_reason", "strikes",
    )  # fmt: skip

    def __init__(self, info: WorkerInfo, since: float) -> None:
        self.info = info
        self.state = WorkerState.ONLINE
        self.since = since
        self.lost_at = 0.0
        self.free_cpu = info.capacity.cpu_milli
        self.free_memory = info.capacity.memory_mib
        self.free_gpus = {gpu.index: gpu.kind for gpu in info.capacity.gpus}
        self.coming_cpu = 0
        self.coming_memory = 0
        self.stopping: dict[str, ContainerRecord] = {}
        # Containers of functions that are gone: nobody knows what they take, so nothing starts beside them.
        self.strangers: dict[str, None] = {}
        self.promised_cpu = 0
        self.promised_memory = 0
        self.promised_gpus: dict[int, None] = {}
        self.promises: dict[Promise, None] = {}
        self.slots: dict[str, Slot] = {}
        self.is_to_drain = False  # also when it comes back
        self.drain_reason = ""
        self.strikes: dict[str, int] = {}  # failed starts by function, since one succeeded
        self.strike_reason = ""
        self.quarantines = 0  # in a row
        self.quarantined_until = 0.0

    @property
    def is_online(self) -> bool:
        """Whether it may get new work."""
        return self.state is WorkerState.ONLINE

    def move(self, event: WorkerEvent, now: float) -> None:
        """Make one move of the transition table."""
        self.state = move_worker(self.state, event)
        self.since = now


class Workspace:
    """A tenant: what its live containers take and what it was promised, and what it is entitled to."""

    __slots__ = (
        "containers", "cpu", "gpus", "max_containers", "memory", "name", "pools", "promised", "weight",
    )  # fmt: skip

    def __init__(self, name: str, weight: float, max_containers: int) -> None:
        self.name = name
        self.weight = weight
        self.max_containers = max_containers  # 0: as many as fit
        self.cpu = 0
        self.memory = 0
        self.gpus = 0
        self.containers = 0
        self.promised = 0  # further containers
        self.pools = 0

    @property
    def is_full(self) -> bool:
        """Whether it has, or was promised, all the containers it may have."""
        return 0 < self.max_containers <= self.containers + self.promised


class Pool:
    """A function's containers and backlog."""

    __slots__ = (
        "attached", "away", "breaker", "finished", "function", "held", "is_stopped", "kept_until", "live", "loners", "open_calls",
        "peak", "promises", "queue", "roomy", "scaling", "slots", "sought_priority", "spare", "suspects", "timer_at", "waits_since", "wanted", "workspace",
    )  # fmt: skip

    def __init__(self, function: Function, workspace: Workspace, calls: CallTable) -> None:
        self.function = function
        self.workspace = workspace
        self.scaling = function.scaling
        self.queue = Queue(calls)
        self.breaker = Breaker()
        self.slots: dict[str, Slot] = {}
        self.roomy = Roomy()
        self.suspects: dict[str, None] = {}  # workers on which the last start failed
        self.attached: dict[str, CallRecord] = {}  # calls that end with their app's caller
        self.open_calls = 0
        self.held = 0
        self.loners = 0  # unfinished inputs that must be by themselves in their container
        self.finished = 0  # inputs of its function that have their outcome
        self.away = 0  # of the held, those on workers that take nothing new
        self.live = 0  # containers on online workers that are not stopping
        self.is_stopped = False
        self.kept_until = 0.0  # not forgotten before, although it is stopped
        self.peak = RecentPeak(self.scaling.scaledown_window_seconds)  # of wanted containers
        self.promises: dict[Promise, None] = {}  # room it waits for
        self.waits_since = NEVER  # since when it has wanted more containers than it has
        self.sought_priority = 0  # of the inputs it seeks containers for
        self.wanted = 0  # containers, when last looked at
        self.spare = 0  # containers it had beyond what it wanted, when last looked at
        self.timer_at: float | None = None
