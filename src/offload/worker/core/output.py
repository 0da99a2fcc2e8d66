"""How much one container may print: in all for each input, and in a second. Pure."""

from __future__ import annotations

import enum
from typing import NamedTuple

_MIB = 1024 * 1024

# Ids remembered with what they printed. A container has far fewer inputs at once; what is older prints no more.
_REMEMBERED = 1024


class OutputLimits(NamedTuple):
    """What a container's output is held to. A guess that fits chatty programs and small servers."""

    bytes_per_input: int = 64 * _MIB
    bytes_per_second: int = 2 * _MIB
    burst_bytes: int = _MIB  # may come at once
    line_bytes: int = 256  # what a line costs beside its text in the server's store
    # What it costs beside its text in time, which worker and server take from everybody: 4,096 empty lines a second are
    # a fifth of what a slow core can take.
    hurried_line_bytes: int = 512


USUAL_OUTPUT = OutputLimits()


class Verdict(enum.Enum):
    """What becomes of a line."""

    KEEP = enum.auto()
    TRUNCATE = enum.auto()  # dropped, the first of its input: say so
    DROP = enum.auto()


class OutputBudget:
    """What one container has printed. A container beyond its rate is not listened to for `pause` seconds."""

    def __init__(self, limits: OutputLimits = USUAL_OUTPUT) -> None:
        self.limits = limits
        self._used: dict[str, int] = {}  # bytes, by input; empty: outside any
        self._level = 0.0  # bytes that are still to be worked off
        self._at = 0.0

    def take(self, input_id: str, size_bytes: int, now: float) -> Verdict:
        """Count a line of an input, or (with an empty id) of none; return what becomes of it."""
        limits = self.limits
        cost = size_bytes + limits.line_bytes
        self._level = self._left(now) + size_bytes + limits.hurried_line_bytes
        self._at = now
        used = self._used
        before = used.get(input_id)
        if before is None:
            before = 0
            used.pop("", None)  # outside of inputs is between two of them, and begins anew
            if len(used) >= _REMEMBERED:
                del used[next(iter(used))]
        if before > limits.bytes_per_input:
            return Verdict.DROP
        used[input_id] = before + cost
        return Verdict.TRUNCATE if before + cost > limits.bytes_per_input else Verdict.KEEP

    def pause(self, now: float) -> float:
        """Return for how many seconds nothing more of it is to be read."""
        return max(0.0, self._left(now) - self.limits.burst_bytes) / self.limits.bytes_per_second

    def _left(self, now: float) -> float:
        return max(0.0, self._level - (now - self._at) * self.limits.bytes_per_second)
