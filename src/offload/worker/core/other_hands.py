"""The hands of containers that do not run one input after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.worker.core.hands import HAND_BYTES, SURPLUS_SECONDS, Hand, Interrupt

if TYPE_CHECKING:
    from offload.worker.core.values import Function, Task


class WideHand(Hand):
    """The hand of a container that runs several inputs at the same time: the first `width` of what it has not ended.

    So an input that does not end takes one place, and the others go on around it.
    """

    __slots__ = ("_behind", "_ending", "_since", "width")

    def __init__(self, container_id: str, width: int) -> None:
        super().__init__(container_id)
        self.width = width
        self._since: dict[str, float] = {}  # what runs, as far as the order tells
        self._behind: dict[str, None] = {}  # what waits behind that
        self._ending: dict[str, float] = {}  # since when what is interrupted has not ended

    @property
    def is_full(self) -> bool:
        """See `Hand`; what it can run at once it may be given, however large."""
        return len(self.tasks) >= self.width and self._bytes >= HAND_BYTES

    @property
    def can_take(self) -> bool:
        """See `Hand`; that one of its inputs is to end does not disturb the others."""
        if self.is_stopping or self.is_taking_back:
            return False
        head = self.head
        return head is None or not head.alone

    @property
    def has_place(self) -> bool:
        """See `Hand`."""
        return self.can_take and len(self.tasks) < self.width

    @property
    def current(self) -> str:
        """See `Hand`."""
        return next(iter(self.tasks)) if len(self.tasks) == 1 else ""

    @property
    def suspects(self) -> tuple[str, ...]:
        """See `Hand`."""
        return tuple(input_id for input_id in self.tasks if input_id in self._since)

    def room(self, depth: int, now: float) -> int:
        """See `Hand`."""
        if not self.can_take:
            return 0
        places = max(0, self.width - len(self.tasks))
        if self.is_full or self.is_slow(now):
            return places
        return max(places, depth - len(self.tasks))

    def is_slow(self, now: float) -> bool:
        """See `Hand`; it is where all places are taken and none has become free for long."""
        return len(self.tasks) >= self.width and super().is_slow(now)

    def window(self, depth: int, now: float) -> int:
        """See `Hand`."""
        is_stuck = len(self.tasks) >= self.width and now - self.head_since > SURPLUS_SECONDS
        return self.width if is_stuck else depth

    def hides(self, now: float, patience: float) -> bool:
        """See `Hand`."""
        return len(self.tasks) > self.width and self.can_take and now - self.head_since > patience

    def overdue(self, now: float, timeout_seconds: float) -> list[str]:
        """See `Hand`."""
        self._move_up(now)
        return [
            input_id
            for input_id, since in self._since.items()
            if now - since >= timeout_seconds and input_id not in self.interrupts
        ]

    def give(self, task: Task, now: float) -> None:
        """See `Hand`."""
        super().give(task, now)
        self._behind[task.input_id] = None
        self._move_up(now)
        if len(self.tasks) == self.width:
            self.head_since = now

    def take(self, input_id: str, attempt: int, now: float) -> Task | None:
        """See `Hand`."""
        task = super().take(input_id, attempt, now)
        self._move_up(now)
        return task

    def _remove(self, task: Task) -> None:
        super()._remove(task)
        self._since.pop(task.input_id, None)
        self._behind.pop(task.input_id, None)
        self._ending.pop(task.input_id, None)

    def began(self, input_id: str, attempt: int, now: float) -> bool:
        """See `Hand`."""
        task = self.tasks.get(input_id)
        if task is None or task.attempt != attempt:
            return False
        self._behind.pop(input_id, None)
        self._since[input_id] = now
        return True

    def interrupt(self, input_id: str, interrupt: Interrupt, now: float) -> None:
        """See `Hand`."""
        super().interrupt(input_id, interrupt, now)
        self._ending.setdefault(input_id, now)

    def is_stuck(self, now: float, grace_seconds: float) -> bool:
        """See `Hand`."""
        since = self._since
        return any(
            input_id in since and now - max(at, since[input_id]) >= grace_seconds
            for input_id, at in self._ending.items()
        )

    def _move_up(self, now: float) -> None:
        while self._behind and len(self._since) < self.width:
            input_id = next(iter(self._behind))
            del self._behind[input_id]
            self._since[input_id] = now


class SingleUseHand(Hand):
    """The hand of a container that runs one input and ends."""

    __slots__ = ("_was_given",)

    def __init__(self, container_id: str) -> None:
        super().__init__(container_id)
        self._was_given = False

    @property
    def can_take(self) -> bool:
        """See `Hand`."""
        return super().can_take and not self._was_given

    @property
    def is_spent(self) -> bool:
        """See `Hand`."""
        return self._was_given and not self.tasks

    def room(self, depth: int, now: float) -> int:
        """See `Hand`."""
        return min(1, super().room(depth, now))

    def window(self, _depth: int, _now: float) -> int:
        """See `Hand`."""
        return 0 if self.is_spent else 1

    def give(self, task: Task, now: float) -> None:
        """See `Hand`."""
        super().give(task, now)
        self._was_given = True

    def take_back(self, input_id: str) -> Task | None:
        """See `Hand`; what came back unbegun has left no trace."""
        task = super().take_back(input_id)
        if task is not None:
            self._was_given = False
        return task


def make_hand(function: Function, container_id: str) -> Hand:
    """Return the hand of a new container of the function."""
    if function.is_single_use:
        return SingleUseHand(container_id)
    if function.max_inputs > 1:
        return WideHand(container_id, function.max_inputs)
    return Hand(container_id)
