"""How many inputs a container may have in hand, so that it never waits for the network."""

from __future__ import annotations

# A container holds about this much work ahead. It bounds how long a fast input waits behind others that turn out slow.
PREFETCH_SECONDS = 0.05

MAX_DEPTH = 512

# Share of the newest measurement in the moving average; a guess that follows a change within some ten inputs.
_WEIGHT = 0.2


class RunTimes:
    """The moving average of a function's run times."""

    __slots__ = ("mean_seconds",)

    def __init__(self) -> None:
        self.mean_seconds: float | None = None  # None until something has been measured

    def measured(self, seconds: float) -> None:
        """Take note of one run. What a container claims is cut to what can be."""
        seconds = seconds if 0.0 <= seconds < 1e9 else 0.0
        mean = self.mean_seconds
        self.mean_seconds = seconds if mean is None else mean + _WEIGHT * (seconds - mean)

    @property
    def depth(self) -> int:
        """Inputs that one container may have in hand, at least the one it runs."""
        mean = self.mean_seconds
        if mean is None:
            return 1
        if mean * MAX_DEPTH <= PREFETCH_SECONDS:
            return MAX_DEPTH
        return min(MAX_DEPTH, 1 + int(PREFETCH_SECONDS / mean))


def is_worth_announcing(announced: int, window: int) -> bool:
    """Whether a window has changed by enough: the mean moves with every input, and a message has its price."""
    return abs(window - announced) * 8 > announced
