"""How many containers a function should have."""

from __future__ import annotations

import zlib
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from offload.control.core.model import RetryPolicy, Scaling


def wanted_containers(open_inputs: int, scaling: Scaling, each: int = 1, loners: int = 0) -> int:
    """Return one container for `each` so many open inputs, and the buffer while there are any, within the bounds.

    Of the open inputs, the `loners` need a container each.

    >>> from offload.control.core.model import Scaling
    >>> wanted_containers(5, Scaling(max_containers=3))
    3
    >>> wanted_containers(1, Scaling(buffer_containers=2)), wanted_containers(0, Scaling(buffer_containers=2))
    (3, 0)
    >>> wanted_containers(21, Scaling(), each=10), wanted_containers(21, Scaling(), each=10, loners=1)
    (3, 3)
    """
    needed = open_inputs if each == 1 else loners - (loners - open_inputs) // each
    wanted = needed + scaling.buffer_containers if open_inputs else 0
    wanted = max(wanted, scaling.min_containers)
    return min(wanted, scaling.max_containers) if scaling.max_containers else wanted


def retry_delay_seconds(retry: int, policy: RetryPolicy, seed: str) -> float:
    """Return the delay before the n-th retry: drawn from the upper half of what the policy says.

    Inputs that failed together are spread out. The draw depends on the seed alone, so that a run can be repeated.
    """
    try:
        full = policy.initial_delay_seconds * policy.backoff_coefficient ** (retry - 1)
    except OverflowError:
        full = policy.max_delay_seconds
    draw = zlib.crc32(f"{seed}/{retry}".encode()) / 0xFFFFFFFF
    return min(policy.max_delay_seconds, full) * (0.5 + 0.5 * draw)


class RecentPeak:
    """The greatest of a value's levels within a window that ends now.

    Only levels that were higher than every later one can ever be the greatest, so no others are kept.
    """

    __slots__ = ("_level", "_past", "_window_seconds")

    def __init__(self, window_seconds: float) -> None:
        self._window_seconds = window_seconds
        self._level = 0
        self._past: deque[tuple[float, int]] = deque()  # (when it was left, level), falling levels

    def resize(self, window_seconds: float) -> None:
        """Look back this far from now on."""
        self._window_seconds = window_seconds

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
