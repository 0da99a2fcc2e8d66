"""Whose container must give way to whom.

A container whose end makes room ends as it would when idle for too long: it finishes what it runs. Who may take whose:

- an idle one that its pool does not need: any pool of the same workspace, and one of a workspace that has a smaller share;
  so what a workspace keeps warm within its share is left to it until its scaledown window is over;
- a busy one, for an input that waits:
  - within a workspace, a pool whose input has a higher priority; and a pool without any container, from one whose input has no
    higher priority and that has several, or has had its turn;
  - between workspaces, one whose share stays the smaller one also with the container; one without any container, from one
    that has more and has had its turn; and a pool that has waited without any container for a step of priority.

The last container of a pool is left to it for its turn in every case, so that nobody's start is for nothing. What a pool was
promised counts as what it has. So no two can take the same container from one another again and again: the one has less,
or a lower priority, or no turn yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.model import ContainerState
from offload.control.core.scaling import surplus

if TYPE_CHECKING:
    from offload.control.core.records import ContainerRecord, Pool, Workspace
    from offload.control.core.state import State

# Below every priority: of a pool in which nothing waits.
MIN_LEVEL = -1_000_000


def level(state: State, pool: Pool) -> int:
    """Return the priority of the pool's next input; while the pool has no container it rises with the time it waits."""
    first = pool.queue.first()
    priority = first.call.priority if first is not None else MIN_LEVEL
    if pool.live or pool.promises:
        return priority
    return priority + int((state.now - pool.waits_since) / state.policy.ageing_seconds)


class Claim:
    """What one pool may take from others for one container of its own, given what it takes already."""

    def __init__(self, state: State, pool: Pool) -> None:
        self._state = state
        self.pool = pool
        self._has_none = not (pool.live or pool.promises)
        self._is_waiting = pool.queue.first() is not None
        self._level = level(state, pool)
        self._has_aged = self._has_none and (
            pool.waits_since + state.policy.ageing_seconds <= state.now
        )
        self._mine = state.share(pool.workspace)
        self._with_one_more = state.share(pool.workspace, plus=[pool.function.needs])
        self._workspace_has_none = pool.workspace.containers + pool.workspace.promised == 0
        self._taken: list[ContainerRecord] = []

    @property
    def kind(self) -> tuple[object, ...]:
        """What the answers depend on: two pools of one kind may take the same."""
        pool = self.pool
        return (
            pool.workspace.name,
            pool.workspace.is_full,
            pool.function.needs,
            self._level,
            self._has_none,
            self._is_waiting,
            self._has_aged,
        )

    def take_none(self) -> None:
        """Begin anew."""
        self._taken.clear()

    def take(self, container: ContainerRecord) -> None:
        """Take note that the container is to give way."""
        self._taken.append(container)

    def may_take_some(self, giver: Pool) -> bool:
        """Whether a container of the pool might have to give way; a quick look at the pool alone."""
        is_same = giver.workspace is self.pool.workspace
        if surplus(giver) > 0:
            return is_same or self._is_poorer(giver)
        if not self._is_waiting:
            return False
        if is_same:
            its_level = _level_of_next(giver)
            return self._level > its_level or (self._has_none and self._level == its_level)
        if self._has_aged:
            return True
        return self._is_poorer(giver) and (
            self._workspace_has_none
            or self._with_one_more
            <= self._state.share(giver.workspace, minus=[giver.function.needs])
        )

    def may_take(self, container: ContainerRecord) -> bool:
        """Whether the container must give way to the pool."""
        if container.lends:
            return False  # it ends after what it waits for, which may be what the pool is to run
        giver = container.slot.pool
        taken = sum(other.slot.pool is giver for other in self._taken) if self._taken else 0
        is_same = giver.workspace is self.pool.workspace
        if surplus(giver) > taken and container.running == 0:
            return is_same or self._is_poorer(giver)
        is_last = giver.live - taken <= 1
        had_turn = self._had_turn(container)
        if not self._is_waiting or (is_last and not had_turn):
            return False
        if is_same:
            its_level = _level_of(container)
            is_next = self._has_none and self._level >= its_level
            return is_next or self._level > its_level
        if self._has_aged and had_turn:
            return True
        return self._is_poorer(giver) and (
            self._is_fairer_without(container) or (had_turn and self._workspace_has_none)
        )

    def _had_turn(self, container: ContainerRecord) -> bool:
        """Whether it has been ready for so long that it did something for its pool."""
        turn_seconds = self._state.policy.turn_seconds
        is_up = container.state is ContainerState.READY
        return is_up and container.ready_at + turn_seconds <= self._state.now

    def _is_poorer(self, giver: Pool) -> bool:
        return self._mine < self._share(giver.workspace)

    def _is_fairer_without(self, container: ContainerRecord) -> bool:
        """Whether the pool's workspace stays the poorer one with its new container, and the giver without this one."""
        return self._with_one_more <= self._share(container.slot.pool.workspace, container)

    def _share(self, workspace: Workspace, without: ContainerRecord | None = None) -> float:
        gone = [*self._taken, without] if without is not None else self._taken
        return self._state.share(
            workspace, minus=[c.needs for c in gone if c.slot.pool.workspace is workspace]
        )


def _level_of(container: ContainerRecord) -> int:
    """Return the priority of what the container runs or would run next."""
    slot = container.slot
    held = next(iter(slot.held.values()), None)
    of_held = held.call.call.priority if held is not None else MIN_LEVEL
    return max(of_held, _level_of_next(slot.pool))


def _level_of_next(pool: Pool) -> int:
    first = pool.queue.first()
    return first.call.priority if first is not None else MIN_LEVEL
