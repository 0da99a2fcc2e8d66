"""Which worker gets which input: as many as its window has room for, oldest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.instructions import Assign, AttemptStarting, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offload.control.core.records import Pool, Slot
    from offload.control.core.state import State


# With so many slots that have room, few inputs are handed out one by one instead of in proportion.
MANY_SLOTS = 16


def shares(waiting: int, rooms: Sequence[int]) -> list[int]:
    """Split what waits over the rooms, in proportion to their size.

    >>> shares(6, [8, 4])
    [4, 2]
    """
    total = sum(rooms)
    if waiting >= total:
        return list(rooms)
    parts = [waiting * room // total for room in rooms]
    left = waiting - sum(parts)
    by_room = sorted(range(len(rooms)), key=lambda i: parts[i] - rooms[i])
    for i in by_room[:left]:
        parts[i] += 1
    return parts


def refresh_room(slot: Slot) -> None:
    """Note whether the slot has room."""
    slot.pool.roomy.put(slot, slot.room)


def assign(state: State, pool: Pool) -> None:
    """Hand out what waits to the workers with room."""
    queue = pool.queue
    if not queue.size:
        return
    due = queue.release(state.now)
    if due is not None:
        state.wake(due, pool)
    if not pool.roomy:
        return
    waiting = queue.size - queue.late
    if len(pool.roomy) > max(waiting, MANY_SLOTS):
        for slot in pool.roomy.first(waiting):
            _hand_over(state, slot, 1)
        return
    slots = list(pool.roomy)
    if len(slots) == 1:
        _hand_over(state, slots[0], slots[0].room)
        return
    for slot, count in zip(slots, shares(waiting, [s.room for s in slots]), strict=True):
        _hand_over(state, slot, count)


def _hand_over(state: State, slot: Slot, count: int) -> None:
    pool = slot.pool
    is_generator = pool.function.is_generator
    tasks: list[Task] = []
    for record in pool.queue.take(count, state.now):
        attempt = record.attempts + 1
        state.attach(record, slot, attempt)
        tasks.append(Task(record.input_id, attempt, record.alone))
        if is_generator and attempt > 1:
            state.out.order(AttemptStarting(record.input_id, attempt))
    if tasks:
        state.out.order(Assign(slot.worker.info.worker_id, pool.function.function_id, tuple(tasks)))
        refresh_room(slot)
