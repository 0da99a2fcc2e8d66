"""A clock that stands still until told."""

from __future__ import annotations


class SettableClock:
    """See `offload.control.ports.clock.Clock`. `jump` is by how much somebody has set it since the start."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.time = now
        self.jump = 0.0

    def now(self) -> float:
        return self.time + self.jump

    def steady(self) -> float:
        return self.time
