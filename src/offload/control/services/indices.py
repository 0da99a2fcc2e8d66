"""Which inputs of a call are known: nearly always all below some number."""

from __future__ import annotations


class IndexSet:
    """A set of indices that costs nothing while they come in order."""

    __slots__ = ("_below", "_beyond")

    def __init__(self) -> None:
        self._below = 0
        self._beyond: set[int] = set()

    def __len__(self) -> int:
        return self._below + len(self._beyond)

    def add(self, index: int) -> bool:
        """Add an index; return whether it is new."""
        if index < self._below or index in self._beyond:
            return False
        if index != self._below:
            self._beyond.add(index)
            return True
        self._below += 1
        while self._beyond and self._below in self._beyond:
            self._beyond.remove(self._below)
            self._below += 1
        return True
