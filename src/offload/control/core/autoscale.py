"""How many containers a function should have."""

from __future__ import annotations

from collections import deque


def wanted_containers(open_inputs: int, minimum: int, maximum: int) -> int:
    """Return one container per open input within the bounds; a maximum of 0 means as many as fit.

    >>> wanted_containers(5, minimum=0, maximum=3)
    3
    """
    wanted = max(open_inputs, minimum)
    return min(wanted, maximum) if maximum else wanted


def start_delay_seconds(failures_in_a_row: int) -> float:
    """Return how long to wait after the n-th failed start in a row: 1 s, 2 s, 4 s, at most a minute."""
    return float(min(60.0, 2.0 ** min(failures_in_a_row - 1, 6)))


def retry_delay_seconds(
    retry: int, initial_seconds: float, coefficient: float, max_seconds: float
) -> float:
    """Return the delay before the n-th retry."""
    try:
        return min(max_seconds, initial_seconds * coefficient ** (retry - 1))
    except OverflowError:
        return max_seconds


class RecentPeak:
    """The greatest of a value's levels within a window that ends now.

    Only levels that were higher than every later one can ever be the greatest, so no others are kept.
    """

    __slots__ = ("_level", "_past", "_window_seconds")

    def __init__(self, window_seconds: float) -> None:
        self._window_seconds = window_seconds
        self._level = 0
        self._past: deque[tuple[float, int]] = deque()  # (when it was left, level), falling levels

    def see(self, level: int, now: float) -> int:
        """Note the level from now on; return the greatest of the window."""
        past = self._past
        if level != self._level:
            while past and past[-1][1] <= self._level:
                past.pop()
            past.append((now, self._level))
            self._level = level
        while past and (past[0][1] <= level or past[0][0] + self._window_seconds <= now):
            past.popleft()
        return past[0][1] if past else level

    def falls_at(self) -> float | None:
        """Return when the greatest leaves the window; None while it is the present level."""
        return self._past[0][0] + self._window_seconds if self._past else None
