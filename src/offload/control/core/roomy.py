"""The slots of a pool that have room for inputs."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from offload.control.core.records import Slot


class Roomy:
    """Slots with room, those with most of it first, to within a factor of two, and among these the longest unchanged.

    So one input for a thousand workers costs no look at a thousand slots.
    """

    __slots__ = ("_by_size", "_size")

    def __init__(self) -> None:
        self._by_size: list[dict[str, Slot]] = []  # by the bits of the room, by worker
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Slot]:
        for slots in reversed(self._by_size):
            yield from slots.values()

    def first(self, limit: int) -> list[Slot]:
        """Return some of those with most room."""
        return list(islice(self, limit))

    def put(self, slot: Slot, room: int) -> None:
        """Note how much room the slot has now."""
        worker_id = slot.worker.info.worker_id
        if slot.room_bits:
            del self._by_size[slot.room_bits][worker_id]
            self._size -= 1
        slot.room_bits = bits = room.bit_length() if room > 0 else 0
        if bits:
            while len(self._by_size) <= bits:
                self._by_size.append({})
            self._by_size[bits][worker_id] = slot
            self._size += 1
