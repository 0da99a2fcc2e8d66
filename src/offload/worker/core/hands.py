"""Which container gets which input.

A function has a queue of inputs and its ready containers; what a container has been given and has not ended is its
hand. The runner works through a hand in order, so the first of it is what runs. Everything here is a decision; the
inputs desk does what comes out.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from offload.worker.core.prefetch import MAX_DEPTH, PREFETCH_SECONDS, RunTimes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from offload.worker.core.values import Task

# How long an interrupted input may take to end before its container is killed, where nobody says otherwise.
INTERRUPT_GRACE_SECONDS = 5.0

# After this long, inputs that wait behind a slow one go back to the server: another worker may be free.
SURPLUS_SECONDS = 1.0

# A hand takes no further input beyond this: a prefetch is for speed, and large arguments take long anyway.
HAND_BYTES = 1024 * 1024


class Hand:
    """The inputs that one ready container has been given, in the order it runs them."""

    __slots__ = (
        "_bytes",
        "begun",
        "container_id",
        "ending_since",
        "head_since",
        "interrupts",
        "is_stopping",
        "is_taking_back",
        "tasks",
    )

    def __init__(self, container_id: str) -> None:
        self.container_id = container_id
        self.tasks: dict[str, Task] = {}
        self.head_since = 0.0  # when the first of the hand became the first
        self.begun: str | None = (
            None  # what is known to run: the runner said so, and it has not ended
        )
        self.interrupts: dict[str, Interrupt] = {}
        self.ending_since: float | None = None  # since when an interrupted input has not ended
        self.is_stopping = False  # takes nothing more
        self.is_taking_back = False  # was asked for what has not begun and has not answered
        self._bytes = 0

    @property
    def head(self) -> Task | None:
        """What runs, as far as the order tells."""
        return next(iter(self.tasks.values()), None)

    @property
    def is_full(self) -> bool:
        """Whether it has as many bytes in hand as make sense."""
        return self._bytes >= HAND_BYTES

    @property
    def can_take(self) -> bool:
        """Whether the container may be given anything at all."""
        if self.is_stopping or self.is_taking_back or self.interrupts:
            return False
        head = self.head
        return head is None or not head.alone

    @property
    def has_place(self) -> bool:
        """Whether what it is given next begins at once."""
        return self.can_take and not self.tasks

    @property
    def is_spent(self) -> bool:
        """Whether the container has done all that it is there for."""
        return False

    @property
    def current(self) -> str:
        """The input that is sure to be the one that runs, if any does; empty where that is not sure."""
        head = self.head
        return head.input_id if head else ""

    @property
    def suspects(self) -> tuple[str, ...]:
        """Of what is in hand, those that may have begun."""
        return tuple(self.tasks)

    def room(self, depth: int, now: float) -> int:
        """How many further inputs it may be given."""
        if not self.can_take or self.is_full:
            return 0
        if self.tasks and self.is_slow(now):
            return 0
        return max(0, depth - len(self.tasks))

    def is_slow(self, now: float) -> bool:
        """Whether its first input has run longer than anything may wait behind another."""
        return bool(self.tasks) and now - self.head_since > PREFETCH_SECONDS

    def window(self, depth: int, now: float) -> int:
        """How many inputs it makes sense to hold for the container, those in hand included."""
        return 1 if self.tasks and now - self.head_since > SURPLUS_SECONDS else depth

    def hides(self, now: float, patience: float) -> bool:
        """Whether inputs have waited in it for so long that they should be run elsewhere."""
        return len(self.tasks) > 1 and self.can_take and now - self.head_since > patience

    def overdue(self, now: float, timeout_seconds: float) -> list[str]:
        """Return what runs for longer than its timeout and has not been asked to end."""
        head = self.head
        if head is None or now - self.head_since < timeout_seconds:
            return []
        return [] if head.input_id in self.interrupts else [head.input_id]

    def give(self, task: Task, now: float) -> None:
        """Put an input at the end of the hand."""
        if not self.tasks:
            self.head_since = now
        self.tasks[task.input_id] = task
        self._bytes += len(task.args.inline) + task.args.size_bytes

    def take(self, input_id: str, attempt: int, now: float) -> Task | None:
        """Remove an input that ended or came back; None where the container never had this attempt of it."""
        task = self.tasks.get(input_id)
        if task is None or task.attempt != attempt:
            return None
        self._remove(task)
        self.head_since = now
        return task

    def take_back(self, input_id: str) -> Task | None:
        """Remove an input that has not begun; what runs goes on running."""
        task = self.tasks.get(input_id)
        if task is not None:
            self._remove(task)
        return task

    def _remove(self, task: Task) -> None:
        input_id = task.input_id
        del self.tasks[input_id]
        if self.begun == input_id:
            self.begun = None
        self._bytes -= len(task.args.inline) + task.args.size_bytes
        if self.interrupts:
            self.interrupts.pop(input_id, None)
        if not self.interrupts:
            self.ending_since = None
        if not self.tasks:
            self.is_taking_back = False

    def began(self, input_id: str, attempt: int, now: float) -> bool:
        """Take note that an input runs; return whether the container has it."""
        task = self.tasks.get(input_id)
        if task is None or task.attempt != attempt:
            return False
        self.begun = input_id
        self.head_since = now
        return True

    def interrupt(self, input_id: str, interrupt: Interrupt, now: float) -> None:
        """Take note that an input is to end before its time; the first reason given stays."""
        self.interrupts.setdefault(input_id, interrupt)
        if self.ending_since is None:
            self.ending_since = now

    def is_stuck(self, now: float, grace_seconds: float) -> bool:
        """Whether what runs was interrupted and has had its grace.

        An interrupted input behind it is waited for: the container is not to end under an innocent one.
        """
        head = self.head
        if self.ending_since is None or head is None or head.input_id not in self.interrupts:
            return False
        return now - max(self.ending_since, self.head_since) >= grace_seconds


class Interrupt(NamedTuple):
    """Why an input is to end before its time."""

    timed_out: bool
    reason: str


class Late(NamedTuple):
    """What has taken too long, per hand."""

    timed_out: list[Hand]  # an input has passed the function's timeout
    stuck: list[Hand]  # an interrupted input has not ended within its grace
    hiding: list[Hand]  # inputs wait behind a slow one, and could be run elsewhere


class FunctionQueue:
    """One function's waiting inputs and the hands of its ready containers."""

    def __init__(
        self,
        timeout_seconds: float,
        grace_seconds: float = INTERRUPT_GRACE_SECONDS,
        width: int = 1,
    ) -> None:
        self.timeout_seconds = timeout_seconds  # 0: none
        self._grace_seconds = grace_seconds  # for an interrupted input to end in
        self._width = width  # how many inputs each container runs at the same time
        self.hands: dict[str, Hand] = {}
        self.times = RunTimes()
        self._waiting: deque[Task] = deque()

    @property
    def waiting(self) -> int:
        """How many inputs wait for a container."""
        return len(self._waiting)

    @property
    def held(self) -> int:
        """How many inputs wait or are in hand."""
        return len(self._waiting) + sum(len(hand.tasks) for hand in self.hands.values())

    @property
    def _depth(self) -> int:
        """How many inputs each container may have in hand."""
        depth, width = self.times.depth, self._width
        # Whole rounds: the rest of one would be a batch that waits to be filled.
        return max(width, min(MAX_DEPTH // width, depth) * width)

    def window(self, now: float) -> int:
        """How many inputs it makes sense to hold, those in hand included."""
        depth = self._depth
        return sum(hand.window(depth, now) for hand in self.hands.values() if not hand.is_stopping)

    def add(self, tasks: Iterable[Task]) -> None:
        """Put inputs at the end of the queue."""
        self._waiting.extend(tasks)

    def put_back(self, tasks: list[Task]) -> None:
        """Put inputs at the front of the queue, in their order."""
        self._waiting.extendleft(reversed(tasks))

    def drop(self, input_ids: AbstractSet[str]) -> list[Task]:
        """Remove those of these inputs that wait, in one pass however many they are, and return them."""
        dropped = [task for task in self._waiting if task.input_id in input_ids]
        if dropped:
            self._waiting = deque(t for t in self._waiting if t.input_id not in input_ids)
        return dropped

    def drain(self, keep: int = 0) -> list[Task]:
        """Remove all waiting inputs but the first `keep`, and return them."""
        surplus = list(self._waiting)[keep:]
        self._waiting = deque(list(self._waiting)[:keep])
        return surplus

    def place(self, now: float) -> list[tuple[Hand, list[Task]]]:
        """Give waiting inputs to containers, evenly, and return who got what."""
        if not self._waiting:
            return []
        depth = self._depth
        takers = [(hand, room) for hand in self.hands.values() if (room := hand.room(depth, now))]
        if len(takers) > 1:
            takers.sort(key=lambda taker: len(taker[0].tasks))
        placed = []
        total = len(self._waiting) + sum(len(hand.tasks) for hand, _ in takers)
        # Level the hands: nobody gets a second input while another container has none.
        level = -(-total // len(takers)) if takers else 0
        for hand, room in takers:
            given = self._fill(hand, min(room, level - len(hand.tasks)), now)
            if given:
                placed.append((hand, given))
        return placed

    def late(self, now: float) -> Late:
        """Say what has taken too long."""
        late = Late([], [], [])
        has_idle = any(hand.has_place for hand in self.hands.values())
        for hand in self.hands.values():
            if hand.is_stuck(now, self._grace_seconds):
                late.stuck.append(hand)
            elif self.timeout_seconds > 0 and hand.overdue(now, self.timeout_seconds):
                late.timed_out.append(hand)
            elif hand.hides(now, PREFETCH_SECONDS if has_idle else SURPLUS_SECONDS):
                late.hiding.append(hand)
        return late

    def _fill(self, hand: Hand, count: int, now: float) -> list[Task]:
        given: list[Task] = []
        waiting = self._waiting
        while waiting and len(given) < count and not hand.is_full:
            task = waiting[0]
            if task.alone:
                if not hand.tasks:
                    hand.give(waiting.popleft(), now)
                    given.append(task)
                # Nothing overtakes it: so the hands run empty, and one is free for it.
                break
            hand.give(waiting.popleft(), now)
            given.append(task)
        return given
