"""The order and the bounds of a map, apart from the sending. Pure."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

# Inputs under way, and the bytes of their arguments, that have not been yielded yet.
WINDOW_INPUTS = 4000
WINDOW_BYTES = 32 * 1024 * 1024

BATCH_INPUTS = 1000


class Window:
    """How much may be under way at once. One input always may, however large."""

    __slots__ = ("_bytes", "_inputs", "_limit_bytes", "_limit_inputs", "_sizes")

    def __init__(self, limit_inputs: int = WINDOW_INPUTS, limit_bytes: int = WINDOW_BYTES) -> None:
        self._limit_inputs = limit_inputs
        self._limit_bytes = limit_bytes
        self._inputs = 0
        self._bytes = 0
        self._sizes: dict[int, int] = {}

    @property
    def has_room(self) -> bool:
        """Whether another input may be taken."""
        return self._inputs < self._limit_inputs and self._bytes < self._limit_bytes

    def take(self, index: int, size_bytes: int) -> None:
        """Note that an input is under way."""
        self._inputs += 1
        self._bytes += size_bytes
        self._sizes[index] = size_bytes

    def release(self, index: int) -> None:
        """Note that an input's result has been yielded."""
        self._inputs -= 1
        self._bytes -= self._sizes.pop(index)


class Batcher:
    """Inputs that wait to be sent, cut into messages by count and by bytes."""

    __slots__ = ("_limit_bytes", "_limit_inputs", "_waiting")

    def __init__(self, limit_inputs: int, limit_bytes: int) -> None:
        self._limit_inputs = limit_inputs
        self._limit_bytes = limit_bytes
        self._waiting: deque[tuple[int, bytes]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, index: int, data: bytes) -> None:
        """Append an input."""
        self._waiting.append((index, data))

    def cut(self) -> list[tuple[int, bytes]]:
        """Remove and return the next message's inputs: at least one, where any waits."""
        batch: list[tuple[int, bytes]] = []
        size = 0
        while self._waiting and len(batch) < self._limit_inputs:
            size += len(self._waiting[0][1])
            if batch and size > self._limit_bytes:
                break
            batch.append(self._waiting.popleft())
        return batch


class Ordering(Generic[T]):
    """Hands results on as they come, or holds each back until all before it have come."""

    __slots__ = ("_early", "_in_order", "_next")

    def __init__(self, *, in_order: bool) -> None:
        self._in_order = in_order
        self._next = 0
        self._early: dict[int, T] = {}

    def put(self, index: int, result: T) -> list[tuple[int, T]]:
        """Take in one result; return those whose turn it is."""
        if not self._in_order:
            return [(index, result)]
        if index != self._next:
            self._early[index] = result
            return []
        ready = [(index, result)]
        self._next += 1
        while self._next in self._early:
            ready.append((self._next, self._early.pop(self._next)))
            self._next += 1
        return ready
