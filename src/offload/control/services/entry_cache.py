"""The entries of dicts that were read or written last, bounded in bytes.

What it holds is what is on disk. A read of the store that began before a change must not bring the old value back: it may
leave what it found only where its key has not changed meanwhile.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from offload.control.ports.contents import Value

ENTRY_BYTES = 400  # what an entry takes beside its bytes

Key = tuple[str, bytes]  # the object's id and the entry's key


@dataclass(slots=True)
class Known:
    """What is known of a key."""

    value: Value | None  # None: it has none
    used_at: float  # as noted on disk
    size_bytes: int


class Reading:
    """A read of one key that is under way."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.is_stale = False


class EntryCache:
    """Entries by their keys."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._known: OrderedDict[Key, Known] = OrderedDict()
        self._size_bytes = 0
        self._readings: set[Reading] = set()

    def get(self, key: Key) -> Known | None:
        """Return what is known of a key; None: nothing."""
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
        return known

    @contextmanager
    def reading(self, key: Key) -> Iterator[Reading]:
        """Notice changes of a key while it is being read."""
        reading = Reading(key)
        self._readings.add(reading)
        try:
            yield reading
        finally:
            self._readings.discard(reading)

    def keep(self, key: Key, value: Value | None, used_at: float) -> None:
        """Hold what is on disk now."""
        self.drop((key,))
        size_bytes = ENTRY_BYTES + len(key[1]) + (len(value.value) if value is not None else 0)
        self._known[key] = Known(value, used_at, size_bytes)
        self._size_bytes += size_bytes
        while self._size_bytes > self._max_bytes:
            _, old = self._known.popitem(last=False)
            self._size_bytes -= old.size_bytes

    def drop(self, keys: Iterable[Key]) -> None:
        """Forget what may have changed."""
        for key in keys:
            known = self._known.pop(key, None)
            if known is not None:
                self._size_bytes -= known.size_bytes
            for reading in self._readings:
                if reading.key == key:
                    reading.is_stale = True

    def drop_objects(self, object_ids: Iterable[str]) -> None:
        """Forget all entries of these."""
        gone = set(object_ids)
        self.drop([key for key in self._known if key[0] in gone])
        for reading in self._readings:
            if reading.key[0] in gone:
                reading.is_stale = True
