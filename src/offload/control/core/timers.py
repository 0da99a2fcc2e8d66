"""What waits for its time."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

from offload.control.core.calls import CallRecord
from offload.control.core.model import ContainerState
from offload.control.core.records import ContainerRecord, Pool, WorkerRecord
from offload.control.core.waiters import Early, Overdue, Stranded

if TYPE_CHECKING:
    from offload.control.core.call_table import CallTable
    from offload.control.core.waiters import Waiter


class Timers:
    """Waiters by their time.

    Most of what waits is over long before: calls before their deadline, containers before they are given up. So what is void
    is swept away whenever their number has doubled.
    """

    def __init__(self, calls: CallTable, workers: dict[str, WorkerRecord]) -> None:
        self._calls = calls
        self._workers = workers
        self._heap: list[tuple[float, int, Waiter]] = []
        self._numbers = itertools.count()
        self._limit = 64

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, at: float, waiter: Waiter) -> None:
        """Have the waiter popped then; a pool only once, at the earliest of its times."""
        if isinstance(waiter, Pool):
            if waiter.timer_at is not None and waiter.timer_at <= at:
                return
            waiter.timer_at = at
        heapq.heappush(self._heap, (at, next(self._numbers), waiter))
        if len(self._heap) > self._limit:
            self._heap = [place for place in self._heap if not self._is_void(place[0], place[2])]
            heapq.heapify(self._heap)
            self._limit = 2 * len(self._heap) + 64

    def next(self) -> float | None:
        """Return when the first waiter is due."""
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> list[Waiter]:
        """Take the waiters whose time has come."""
        due: list[Waiter] = []
        while self._heap and self._heap[0][0] <= now:
            at, _, waiter = heapq.heappop(self._heap)
            if self._is_void(at, waiter):
                continue
            if isinstance(waiter, Pool):
                waiter.timer_at = None
            due.append(waiter)
        return due

    def _is_void(self, at: float, waiter: Waiter) -> bool:
        is_void = False
        match waiter:
            case Pool():
                is_void = waiter.timer_at != at
            case CallRecord():
                is_void = self._calls.get(waiter.call.call_id) is not waiter
            case Early():
                is_void = self._calls.get(waiter.call.call.call_id) is not waiter.call
            case ContainerRecord():
                is_void = waiter.state is not ContainerState.STARTING
            case WorkerRecord():
                is_void = self._workers.get(waiter.info.worker_id) is not waiter
            case Overdue():
                is_void = waiter.slot.overdue_at != at
            case Stranded():
                is_void = bool(waiter.slot.containers)
            case _:
                pass
        return is_void
