"""Tells whether a neighbour of an attempt has suffered, on a machine that may have others to serve."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# A neighbour counts as harmed beyond this: what the machine itself does to a median of some answers is well below. The
# milliseconds are those of a machine that has nothing else to do.
_SLOWER, _SLACK_MS, _LONGEST_MS = 3.0, 15.0, 1000.0
_WORK_SECONDS = 0.02


def is_slower(before: Mapping[str, object], during: Mapping[str, object]) -> bool:
    """Tell whether the neighbour answered so much later than before, in the middle or at worst."""
    p50s = [float(str(each["during_ms"])) for each in (before, during)]
    worst = [float(str(each["worst_ms"])) for each in (before, during)]
    busy = float(str(during["busy"]))
    return (
        p50s[1] > _SLOWER * p50s[0] + _SLACK_MS * busy
        or worst[1] > _SLOWER * worst[0] + _LONGEST_MS * busy
    )


def how_busy() -> float:
    """Return how many times as long some work takes now as on a machine that has nothing else to do."""
    began, end = time.perf_counter(), time.thread_time() + _WORK_SECONDS
    while time.thread_time() < end:
        pass
    return max(1.0, (time.perf_counter() - began) / _WORK_SECONDS)
