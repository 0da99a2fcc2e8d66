"""What the dispatcher remembers of calls and their inputs, and the line in which a function's inputs wait.

An input that only waits has no record: it is an index in its call's `waiting`, so that a million of them cost what one
costs. It gets a record when it is handed out, and keeps it until its outcome.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING

from offload.control.core.ids import input_id
from offload.control.core.indices import Indices
from offload.control.core.inputs import InputEvent, InputState, move

if TYPE_CHECKING:
    from collections.abc import Iterator

    from offload.control.core.call_table import CallTable
    from offload.control.core.model import Call, FailureKind
    from offload.control.core.records import ContainerRecord, Pool, Slot


class CallRecord:
    """An unfinished call. Its inputs without outcome are those in `waiting` and those in `open`.

    `order` says when it is served: the earlier, the sooner. `number` counts calls as they came.
    """

    __slots__ = (
        "blame", "blocked_on", "call", "closed", "counts", "front", "in_line", "is_blocked", "is_cancelled", "is_doomed", "is_early", "known", "number",
        "open", "order", "pool", "seq", "trouble", "waiting",
    )  # fmt: skip

    def __init__(self, call: Call, pool: Pool, order: float, number: int) -> None:
        self.call = call
        self.pool = pool
        self.order = order
        self.number = number
        self.closed = False
        self.is_cancelled = False
        self.is_doomed = False  # failed as a whole, with or without inputs
        self.known = Indices()
        self.waiting = Indices()  # never handed out
        # Handed out before, and ready again: by index, the last one first.
        self.front: dict[int, InputRecord] = {}
        self.open: dict[int, InputRecord] = {}
        self.seq = 0  # of the last outcome
        self.counts: dict[str, int] = {}
        self.trouble = ""  # why the first input that did not succeed did not
        self.in_line = False
        self.is_blocked = False  # waits for other calls or its time: its inputs are not in line
        self.is_early = False  # its time has not come
        self.blocked_on: dict[str, None] = {}  # those that have not ended
        self.blame: Blame | None = (
            None  # why it could not run, where a call before it is the reason
        )

    @property
    def has_ready(self) -> bool:
        """Whether an input waits for nothing but a container."""
        return bool(self.front) or (len(self.waiting) > 0 and not self.is_blocked)

    @property
    def unfinished(self) -> int:
        """How many inputs have no outcome."""
        return len(self.waiting) + len(self.open)

    @property
    def resting_state(self) -> InputState:
        """The state of inputs that were never handed out."""
        return InputState.BLOCKED if self.is_blocked else InputState.READY


class Blame:
    """Why a call failed without running: the call at the root of it, and how far away that is."""

    __slots__ = ("distance", "next_id", "root_id", "root_reason")

    def __init__(self, next_id: str, root_id: str, root_reason: str, distance: int) -> None:
        self.next_id = next_id  # what the call itself was to come after
        self.root_id = root_id
        self.root_reason = root_reason
        self.distance = distance  # calls from this one to the root

    def __str__(self) -> str:
        between = self.distance - 2
        chain = [self.next_id]
        if between > 0:
            chain.append(f"{between} more")
        if self.distance > 1:
            chain.append(self.root_id)
        return f"blocked by {' <- '.join(chain)}, which {self.root_reason}"


class InputRecord:
    """An unfinished input that was handed out at least once. `ticket` names its one valid place among the delayed."""

    __slots__ = (
        "alone", "attempts", "call", "container", "failures", "index", "input_id", "kills", "losses",
        "near_losses", "over", "retry_at", "since", "slot", "state", "ticket",
    )  # fmt: skip

    def __init__(self, call: CallRecord, index: int, since: float) -> None:
        self.input_id = input_id(call.call.call_id, index)
        self.index = index
        self.call = call
        self.since = since
        self.state = InputState.READY
        self.attempts = 0
        self.over = 0  # the last attempt that came to something
        self.failures = 0  # retries spent, which given-back attempts do not
        self.losses = 0  # workers that vanished while they ran it
        self.near_losses = 0  # workers that vanished while they held it, and may have run it
        self.kills = 0  # containers that died of it
        self.alone = False
        self.retry_at = 0.0
        self.ticket = 0
        self.slot: Slot | None = None
        self.container: ContainerRecord | None = None

    @property
    def pool(self) -> Pool:
        """Whose containers can run it."""
        return self.call.pool

    @property
    def is_transient(self) -> bool:
        """Whether it must not run again once it may have begun."""
        return self.call.call.transient

    def move(self, event: InputEvent) -> None:
        """Make one move of the transition table."""
        self.state = move(self.state, event)

    def isolate(self, alone: bool) -> None:
        """Note whether it must be by itself in its container."""
        self.pool.loners += alone - self.alone
        self.alone = alone


class Queue:
    """A pool's ready inputs: calls in their order, each with a line of its own, and inputs that wait for a delay.

    Resting calls stand in a line beside that of the others, in the order they came, which is theirs.

    A call without ready inputs only loses its place when it is met, and an input leaves the delayed by losing its
    ticket; void places are swept once they outnumber the valid ones. So every operation is O(log calls) on average,
    whatever the number of inputs.
    """

    __slots__ = (
        "_calls", "_delayed", "_last_order", "_line", "_resting", "_tickets", "late", "resting", "size",
    )  # fmt: skip

    def __init__(self, calls: CallTable) -> None:
        self._calls = calls
        self.size = 0  # of the ready inputs, delayed ones too
        self.resting = 0  # calls
        self._resting: deque[str] = deque()
        self._last_order = 0.0  # of the last one that came to rest
        self.late = 0  # those of them that wait for a delay
        self._line: list[tuple[float, int, CallRecord]] = []
        self._delayed: list[tuple[float, int, InputRecord]] = []
        self._tickets = 0

    def can_rest(self, order: float) -> bool:
        """Whether a call of this order would be the last of the resting ones."""
        return not self._resting or order >= self._last_order

    def rest(self, call_id: str, order: float) -> None:
        """Take a call of one input in without a record."""
        self._resting.append(call_id)
        self._last_order = order
        self.resting += 1
        self.size += 1

    def wake(self, record: CallRecord) -> None:
        """Put a call that rested in line."""
        self.resting -= 1
        self._line_up(record)
        self._sweep()

    def enter(self, call: CallRecord, count: int) -> None:
        """Take note of `count` more ready inputs in the call's `waiting`."""
        if count:
            self.size += count
            self._line_up(call)

    def leave_waiting(self, count: int) -> None:
        """Take note that `count` inputs are gone from the `waiting` of a call."""
        self.size -= count
        self._sweep()

    def push_front(self, record: InputRecord) -> None:
        """Put an input before all others of its call."""
        record.call.front[record.index] = record
        self.size += 1
        self._line_up(record.call)

    def delay(self, record: InputRecord, until: float) -> None:
        """Keep out of the line until then."""
        self._tickets += 1
        self.size += 1
        self.late += 1
        record.ticket = self._tickets
        record.retry_at = until
        heapq.heappush(self._delayed, (until, record.ticket, record))

    def release(self, now: float) -> float | None:
        """Put those whose delay is over in line; return when the next is due."""
        while self._delayed:
            until, ticket, record = self._delayed[0]
            if ticket == record.ticket:
                if until > now:
                    return until
                self._end_delay(record)
                self.push_front(record)
            heapq.heappop(self._delayed)
        return None

    def take(self, limit: int, now: float) -> list[InputRecord]:
        """Remove and return the first in line; none when all that is left waits for a delay."""
        taken: list[InputRecord] = []
        while len(taken) < limit:
            self._wake_first()
            if not self._line:
                break
            call = self._line[0][2]
            if call.has_ready:
                self._take_from(call, limit - len(taken), now, taken)
            if not call.has_ready:
                heapq.heappop(self._line)
                call.in_line = False
        self.size -= len(taken)
        return taken

    def remove(self, record: InputRecord) -> None:
        """Take out one that waits in front or for a delay."""
        if record.ticket:
            self._end_delay(record)
        elif record.call.front.pop(record.index, None) is not None:
            self.size -= 1
        self._sweep()

    def first(self) -> CallRecord | None:
        """Return the call that is served next."""
        while True:
            self._wake_first()
            if not self._line:
                return None
            call = self._line[0][2]
            if call.has_ready:
                return call
            heapq.heappop(self._line)
            call.in_line = False

    def in_line(self) -> Iterator[CallRecord]:
        """Iterate over the calls that only wait for room, first to last, to look at only.

        Costs what it yields, not what there is.
        """
        resting = filter(None, map(self._calls.peek, filter(self._calls.is_resting, self._resting)))
        return heapq.merge(
            self._with_records(), resting, key=lambda call: (call.order, call.number)
        )

    def _with_records(self) -> Iterator[CallRecord]:
        line = self._line
        # A heap is a tree in which every place comes before its two children: the next one is among the children seen.
        seen = [(line[0], 0)] if line else []
        while seen:
            (_, _, call), at = heapq.heappop(seen)
            for child in (2 * at + 1, 2 * at + 2):
                if child < len(line):
                    heapq.heappush(seen, (line[child], child))
            if call.has_ready:
                yield call

    def delayed(self) -> Iterator[InputRecord]:
        """Iterate over the inputs that wait for a delay, in no order."""
        return (record for _, ticket, record in self._delayed if ticket == record.ticket)

    def _take_from(
        self, call: CallRecord, limit: int, now: float, taken: list[InputRecord]
    ) -> None:
        while call.front and limit > 0:
            taken.append(call.front.popitem()[1])
            limit -= 1
        if limit > 0 and not call.is_blocked:
            for run in call.waiting.pop_first(limit):
                for index in run:
                    record = call.open[index] = InputRecord(call, index, now)
                    taken.append(record)

    def _wake_first(self) -> None:
        """Have the first resting call in line if its place is before all others."""
        while self._resting:
            place = self._calls.place(self._resting[0])
            if place is not None and self._line and self._line[0][:2] < place:
                return
            call_id = self._resting.popleft()
            if place is not None:
                self._calls.wake(call_id)
                return

    def _line_up(self, call: CallRecord) -> None:
        if not call.in_line:
            call.in_line = True
            heapq.heappush(self._line, (call.order, call.number, call))

    def _end_delay(self, record: InputRecord) -> None:
        record.ticket = 0
        record.retry_at = 0.0
        self.size -= 1
        self.late -= 1

    def _sweep(self) -> None:
        if len(self._line) > 2 * self.size + 64:
            for place in self._line:
                place[2].in_line = place[2].has_ready
            self._line = [place for place in self._line if place[2].in_line]
            heapq.heapify(self._line)
        if len(self._resting) > 2 * self.resting + 64:
            self._resting = deque(filter(self._calls.is_resting, self._resting))
        if len(self._delayed) > 2 * self.late + 64:
            self._delayed = [place for place in self._delayed if place[1] == place[2].ticket]
            heapq.heapify(self._delayed)


class Ended:
    """How an input ends."""

    __slots__ = ("blob", "body", "event", "failure", "reason")

    def __init__(
        self,
        event: InputEvent,
        failure: FailureKind | None,
        reason: str,
        body: bytes = b"",
        blob: str = "",
    ) -> None:
        self.event = event
        self.failure = failure
        self.reason = reason
        self.body = body
        self.blob = blob
