"""Sets of whole numbers that are nearly always one run of them: the inputs of a call, a million as cheap as one."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Indices:
    """A set of whole numbers, kept as disjoint runs in rising order. Memory and time depend on the runs alone.

    The first run stands apart, because most sets have no other.
    """

    __slots__ = ("_end", "_more", "_size", "_start")

    def __init__(self, runs: Iterable[range] = ()) -> None:
        self._start = 0
        self._end = 0
        self._more: list[tuple[int, int]] | None = None  # further runs, each (start, end)
        self._size = 0
        for run in runs:
            self.add(run.start, run.stop)

    def __len__(self) -> int:
        return self._size

    def __contains__(self, index: int) -> bool:
        if self._start <= index < self._end:
            return True
        if self._more is None:
            return False
        place = bisect_right(self._more, index, key=lambda run: run[0]) - 1
        return place >= 0 and index < self._more[place][1]

    def __iter__(self) -> Iterator[int]:
        for run in self.runs():
            yield from run

    @property
    def is_run_from_zero(self) -> bool:
        """Whether it is all numbers below its size."""
        return self._more is None and (self._size == 0 or self._start == 0)

    def runs(self) -> list[range]:
        """Return the runs in rising order."""
        if not self._size:
            return []
        return [range(self._start, self._end), *(range(*run) for run in self._more or ())]

    def add(self, start: int, end: int) -> list[range]:
        """Add the numbers from `start` up to `end`, without it; return the runs of those that are new."""
        if start >= end:
            return []
        if not self._size:
            self._start, self._end, self._size = start, end, end - start
            return [range(start, end)]
        if self._more is None and start == self._end:
            self._end = end
            self._size += end - start
            return [range(start, end)]
        return self._merge(start, end)

    def pop_first(self, limit: int) -> list[range]:
        """Remove and return the `limit` lowest numbers, as runs."""
        taken: list[range] = []
        while limit > 0 and self._size:
            count = min(limit, self._end - self._start)
            taken.append(range(self._start, self._start + count))
            self._start += count
            self._size -= count
            limit -= count
            if self._start == self._end:
                self._shift()
        return taken

    def discard(self, index: int) -> bool:
        """Remove one number; return whether it was there."""
        if index not in self:
            return False
        if index == self._start:
            self.pop_first(1)
            return True
        self._size -= 1
        more = self._more or []
        if index < self._end:
            rest = (index + 1, self._end)
            self._end = index
            more[:0] = [rest] if rest[0] < rest[1] else []
        else:
            place = bisect_right(more, index, key=lambda run: run[0]) - 1
            start, end = more[place]
            parts = [(start, index), (index + 1, end)]
            more[place : place + 1] = [part for part in parts if part[0] < part[1]]
        self._more = more or None
        return True

    def clear(self) -> None:
        """Remove all."""
        self._set([])

    def _shift(self) -> None:
        if self._more:
            self._start, self._end = self._more.pop(0)
            self._more = self._more or None

    def _merge(self, start: int, end: int) -> list[range]:
        runs = [(self._start, self._end), *(self._more or ())]
        # Runs that touch [start, end) become one with it.
        first = bisect_left(runs, start, key=lambda run: run[1])
        last = bisect_right(runs, end, key=lambda run: run[0])
        touched = runs[first:last]
        new: list[range] = []
        at = start
        for run_start, run_end in touched:
            if at < run_start:
                new.append(range(at, min(run_start, end)))
            at = max(at, run_end)
        if at < end:
            new.append(range(at, end))
        if touched:
            start = min(start, touched[0][0])
            end = max(end, touched[-1][1])
        self._set([*runs[:first], (start, end), *runs[last:]])
        return new

    def _set(self, runs: list[tuple[int, int]]) -> None:
        self._start, self._end = runs[0] if runs else (0, 0)
        self._more = runs[1:] or None
        self._size = sum(end - start for start, end in runs)
