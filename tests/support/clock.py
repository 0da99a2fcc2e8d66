"""A clock that stands still until told."""

from __future__ import annotations


class SettableClock:
    """See `offload.control.ports.clock.Clock`."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time
