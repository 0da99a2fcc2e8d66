"""Which workers have room for a container, the best first, without looking at all of them.

For each kind of needs there is a heap of the workers that fit. It is brought up to date when it is asked, from the list of
workers that changed since it was last: so a change costs the same whatever waits, and a question what has changed since. A
place in a heap is void once the worker has other room than it says; the worker has a newer place then, or does not fit.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from offload.control.core.feasibility import has_room, is_feasible

if TYPE_CHECKING:
    from collections.abc import Callable

    from offload.control.core.model import Needs
    from offload.control.core.records import WorkerRecord


class Candidates:
    """The workers with room for each kind of needs: those with most cpu left first, or with least where `packs`."""

    def __init__(self, workers: dict[str, WorkerRecord], *, packs: bool) -> None:
        self._workers = workers
        self._sign = 1 if packs else -1
        self._lines: dict[Needs, _Line] = {}
        self._changed: list[WorkerRecord] = []
        self._forgotten = 0  # changes that are not in the list any more

    def note(self, worker: WorkerRecord) -> None:
        """Take note that the worker has other room than before, or takes work where it did not."""
        self._changed.append(worker)
        if len(self._changed) > 2 * len(self._workers) + 256:
            self._forgotten += len(self._changed)
            self._changed.clear()

    def first(
        self, needs: Needs, is_taken: Callable[[WorkerRecord], bool] = lambda _: False
    ) -> WorkerRecord | None:
        """Return the best worker with room that `is_taken` does not refuse."""
        line = self._line(needs)
        refused: list[tuple[int, str]] = []
        found: WorkerRecord | None = None
        while line.heap and found is None:
            cpu, worker_id = line.heap[0]
            worker = self._workers.get(worker_id)
            if worker is None or cpu != self._sign * worker.free_cpu or not has_room(worker, needs):
                heapq.heappop(line.heap)
            elif is_taken(worker):
                refused.append(heapq.heappop(line.heap))
            else:
                found = worker
        for place in refused:
            heapq.heappush(line.heap, place)
        return found

    def _line(self, needs: Needs) -> _Line:
        line = self._lines.get(needs)
        now = self._forgotten + len(self._changed)
        is_too_long = line is not None and len(line.heap) > 4 * len(self._workers) + 64
        if line is None or line.seen < self._forgotten or is_too_long:
            line = self._lines[needs] = _Line()
            changed = list(self._workers.values())
            self._drop_unused()
        else:
            changed = self._changed[line.seen - self._forgotten :]
        line.seen = now
        for worker in changed:
            if has_room(worker, needs) and is_feasible(worker, needs):
                place = self._sign * worker.free_cpu, worker.info.worker_id
                heapq.heappush(line.heap, place)
        return line

    def _drop_unused(self) -> None:
        # A line that missed changes is made anew when it is asked for again.
        for needs in [n for n, line in self._lines.items() if 0 <= line.seen < self._forgotten]:
            del self._lines[needs]


class _Line:
    """The workers that fit one kind of needs."""

    __slots__ = ("heap", "seen")

    def __init__(self) -> None:
        self.heap: list[tuple[int, str]] = []
        self.seen = -1  # how many changes it has taken in
