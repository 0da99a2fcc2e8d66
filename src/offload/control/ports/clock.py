"""The clock port: tests own time."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Tells the time, in two ways that agree when the process starts."""

    def now(self) -> float:
        """Return Unix seconds, as people count them: what is written down and shown."""

    def steady(self) -> float:
        """Return seconds that only pass while the machine runs: what is waited for.

        Setting the machine's clock does not change them, and a night that a laptop sleeps is none of them.
        """
