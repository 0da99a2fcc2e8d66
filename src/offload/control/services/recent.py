"""The calls that ended a short while ago: a repeated request must find them, whatever the store's state."""

from __future__ import annotations

GENERATION_SIZE = 50_000


class RecentIds:
    """Remembers the last 50,000 to 100,000 ids in bounded memory."""

    def __init__(self) -> None:
        self._young: set[str] = set()
        self._old: set[str] = set()

    def __contains__(self, call_id: str) -> bool:
        return call_id in self._young or call_id in self._old

    def add(self, call_id: str) -> None:
        """Remember one more id, and forget the oldest in time."""
        if len(self._young) >= GENERATION_SIZE:
            self._old, self._young = self._young, set()
        self._young.add(call_id)
