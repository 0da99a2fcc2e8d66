"""What the dispatcher remembers: mutable records of calls, inputs, pools, workers and containers.

A `Slot` is where a pool and a worker meet. It carries the two numbers of the hot path: how many of the function's
inputs the worker holds, and how many it is willing to hold.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from enum import StrEnum

from offload.control.core.autoscale import RecentPeak
from offload.control.core.inputs import InputEvent, InputState, move
from offload.control.core.model import (
    Call,
    ContainerState,
    Function,
    WorkerInfo,
)


class WorkerState(StrEnum):
    """Whether a worker takes work."""

    ONLINE = "online"
    DRAINING = "draining"
    OFFLINE = "offline"


class CallRecord:
    """An unfinished call."""

    __slots__ = (
        "_beyond",
        "_next_index",
        "call",
        "closed",
        "counts",
        "is_cancelled",
        "open",
        "seq",
    )

    def __init__(self, call: Call, closed: bool) -> None:
        self.call = call
        self.closed = closed
        self.is_cancelled = False
        self.open: dict[int, InputRecord] = {}
        self.seq = 0
        self.counts: dict[str, int] = {}
        self._next_index = 0  # every index below it is known
        self._beyond: set[int] = set()  # known ones above it

    def learn(self, index: int) -> bool:
        """Remember the index; return whether it is new."""
        if index == self._next_index:
            self._next_index += 1
            while self._next_index in self._beyond:
                self._beyond.remove(self._next_index)
                self._next_index += 1
            return True
        if index < self._next_index or index in self._beyond:
            return False
        self._beyond.add(index)
        return True

    def skip_to(self, index: int) -> None:
        """Count every index below `index` as known."""
        self._next_index = max(self._next_index, index)


class InputRecord:
    """An unfinished input. `ticket` names its one valid place in the queue; older places are void."""

    __slots__ = (
        "alone", "attempts", "call", "container", "failures", "index", "input_id", "losses", "pool",
        "retry_at", "since", "slot", "state", "ticket",
    )  # fmt: skip

    def __init__(
        self, input_id: str, index: int, call: CallRecord, pool: Pool, since: float
    ) -> None:
        self.input_id = input_id
        self.index = index
        self.call = call
        self.pool = pool
        self.since = since
        self.state = InputState.READY
        self.attempts = 0
        self.failures = 0  # retries spent, which given-back attempts do not
        self.losses = 0
        self.alone = False
        self.retry_at = 0.0
        self.ticket = 0
        self.slot: Slot | None = None
        self.container: ContainerRecord | None = None

    def move(self, event: InputEvent) -> None:
        """Make one move of the transition table."""
        self.state = move(self.state, event)


class Queue:
    """A pool's waiting inputs, oldest first, and those that wait for a retry's delay.

    Leaving it from the middle (a cancelled input, one that a worker turns out to hold) only voids the ticket; void
    places are skipped, and swept once they outnumber the valid ones, so every operation is O(1) on average.
    """

    __slots__ = ("_delayed", "_line", "_tickets", "size")

    def __init__(self) -> None:
        self.size = 0
        self._line: deque[tuple[int, InputRecord]] = deque()
        self._delayed: list[tuple[float, int, InputRecord]] = []
        self._tickets = 0

    def push(self, record: InputRecord) -> None:
        """Add behind all others."""
        self._line.append((self._ticket(record), record))

    def push_front(self, record: InputRecord) -> None:
        """Add before all others."""
        self._line.appendleft((self._ticket(record), record))

    def delay(self, record: InputRecord, until: float) -> None:
        """Keep out of the line until then."""
        record.retry_at = until
        heapq.heappush(self._delayed, (until, self._ticket(record), record))

    def release(self, now: float) -> float | None:
        """Put those whose delay is over before the others; return when the next is due."""
        while self._delayed:
            until, ticket, record = self._delayed[0]
            if ticket == record.ticket:
                if until > now:
                    return until
                record.retry_at = 0.0
                self._line.appendleft((ticket, record))
            heapq.heappop(self._delayed)
        return None

    def pop(self) -> InputRecord | None:
        """Take the first in line; None when all that is left waits for a delay."""
        line = self._line
        while line:
            ticket, record = line.popleft()
            if ticket == record.ticket:
                record.ticket = 0
                self.size -= 1
                return record
        return None

    def leave(self, record: InputRecord) -> None:
        """Take one out, wherever it stands."""
        record.ticket = 0
        record.retry_at = 0.0
        self.size -= 1
        if len(self._line) + len(self._delayed) > 2 * self.size + 64:
            self._line = deque(place for place in self._line if place[0] == place[1].ticket)
            self._delayed = [place for place in self._delayed if place[1] == place[2].ticket]
            heapq.heapify(self._delayed)

    def in_line(self) -> Iterator[InputRecord]:
        """Iterate over those that only wait for room, first to last."""
        return (record for ticket, record in self._line if ticket == record.ticket)

    def delayed(self) -> Iterator[InputRecord]:
        """Iterate over those that wait for a delay, in no order."""
        return (record for _, ticket, record in self._delayed if ticket == record.ticket)

    def _ticket(self, record: InputRecord) -> int:
        self._tickets += 1
        self.size += 1
        record.ticket = self._tickets
        return self._tickets


class Slot:
    """One function on one worker."""

    __slots__ = ("containers", "held", "live", "pool", "window", "worker")

    def __init__(self, pool: Pool, worker: WorkerRecord) -> None:
        self.pool = pool
        self.worker = worker
        self.window = 0
        self.held: dict[str, InputRecord] = {}
        self.containers: dict[str, ContainerRecord] = {}
        self.live = 0  # containers that are not stopping

    @property
    def room(self) -> int:
        """How many more inputs may be assigned."""
        if self.live == 0 or self.worker.state is not WorkerState.ONLINE:
            return 0
        return self.window - len(self.held)


class ContainerRecord:
    """A container that takes up room on its worker."""

    __slots__ = ("container_id", "running", "slot", "started_at", "state")

    def __init__(
        self, container_id: str, slot: Slot, state: ContainerState, started_at: float
    ) -> None:
        self.container_id = container_id
        self.slot = slot
        self.state = state
        self.started_at = started_at
        self.running = 0  # inputs whose user code is known to have begun here

    @property
    def is_live(self) -> bool:
        """Whether it is or will be ready for work."""
        return self.state is not ContainerState.STOPPING


class WorkerRecord:
    """A worker; `free_…` is what its containers leave, `coming_…` what stopping ones will leave as well."""

    __slots__ = (
        "coming_cpu", "coming_memory", "free_cpu", "free_memory", "info", "lost_at", "since", "slots", "state",
    )  # fmt: skip

    def __init__(self, info: WorkerInfo, since: float) -> None:
        self.info = info
        self.state = WorkerState.ONLINE
        self.since = since
        self.lost_at = 0.0
        self.free_cpu = info.capacity.cpu_milli
        self.free_memory = info.capacity.memory_mib
        self.coming_cpu = 0
        self.coming_memory = 0
        self.slots: dict[str, Slot] = {}

    @property
    def is_online(self) -> bool:
        """Whether it may get new work."""
        return self.state is WorkerState.ONLINE


class Pool:
    """A function's containers and backlog."""

    __slots__ = (
        "away", "finished", "function", "held", "is_stopped", "live", "peak", "queue", "retry_start_at", "roomy",
        "slots", "start_body", "start_failed_at", "start_failures", "start_reason", "timer_at", "waits_since",
    )  # fmt: skip

    def __init__(self, function: Function) -> None:
        self.function = function
        self.queue = Queue()
        self.slots: dict[str, Slot] = {}
        self.roomy: dict[str, Slot] = {}  # slots with room, by worker
        self.held = 0
        self.finished = 0  # inputs of its function that have their outcome
        self.away = 0  # of the held, those on workers that take nothing new
        self.live = 0  # containers on online workers that are not stopping
        self.is_stopped = False
        self.start_failures = 0
        self.start_failed_at = 0.0
        self.retry_start_at = 0.0
        self.start_reason = ""
        self.start_body = b""
        self.peak = RecentPeak(function.scaledown_window_seconds)  # of wanted containers
        self.waits_since = 0.0  # since when it has wanted more containers than it has
        self.timer_at: float | None = None

    def recount(self) -> None:
        """Count anew what depends on which workers are online."""
        slots = self.slots.values()
        self.away = sum(len(slot.held) for slot in slots if not slot.worker.is_online)
        self.live = sum(slot.live for slot in slots if slot.worker.is_online)
