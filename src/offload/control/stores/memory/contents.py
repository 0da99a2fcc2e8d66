"""What is in dicts and queues, in memory; the plainest statement of what the operations do."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from offload.control.ports.contents import (
    ClearDict,
    ClearItems,
    ContentAnswer,
    ContentOperation,
    Entry,
    Item,
    PopEntry,
    PutEntries,
    PutItems,
    TakeItems,
    TouchEntries,
    Value,
)

if TYPE_CHECKING:
    from offload.control.ports.objects import Times


@dataclass(frozen=True, slots=True)
class _Entry:
    value: Value
    used_at: float


@dataclass(frozen=True, slots=True)
class _Item:
    position: int
    partition: str
    value: Value
    expires_at: float
    taken: str = ""


class MemoryContents:
    """Not thread-safe: its store holds a lock."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[bytes, _Entry]] = defaultdict(dict)
        self._items: dict[str, list[_Item]] = defaultdict(list)
        self._answers: dict[str, tuple[ContentAnswer, float]] = {}
        self._position = 0

    def apply(self, operation: ContentOperation) -> ContentAnswer:
        """Carry out one, on an object that there is."""
        match operation:
            case PutEntries() | PopEntry() | PutItems():
                request = operation.request
                if request.is_repeat and request.request_id in self._answers:
                    return self._answers[request.request_id][0]
                answer = self._do(operation)
                if answer is not False:
                    self._answers.setdefault(request.request_id, (answer, request.at))
                return answer
            case TakeItems():
                return self._take(operation)
            case TouchEntries(object_id, keys, at):
                entries = self._entries[object_id]
                for key in keys:
                    if key in entries and entries[key].used_at < at:
                        entries[key] = replace(entries[key], used_at=at)
            case ClearDict(object_id):
                self._entries.pop(object_id, None)
            case ClearItems(object_id, partition):
                self._items[object_id] = [
                    item
                    for item in self._items[object_id]
                    if item.taken or partition not in (None, item.partition)
                ]
        return None

    def remove(self, object_id: str) -> None:
        """Forget what was in an object."""
        self._entries.pop(object_id, None)
        self._items.pop(object_id, None)

    def collect(self, times: Times) -> int:
        """Remove all that is too old."""
        before = self._row_count()
        for object_id, entries in self._entries.items():
            kept = {k: e for k, e in entries.items() if e.used_at >= times.unused_since}
            self._entries[object_id] = kept
        for object_id, items in self._items.items():
            self._items[object_id] = [
                item
                for item in items
                if item.expires_at >= (times.answered_before if item.taken else times.now)
            ]
        self._answers = {
            name: (answer, at)
            for name, (answer, at) in self._answers.items()
            if at >= times.answered_before
        }
        return before - self._row_count()

    def entry(self, object_id: str, key: bytes) -> Value | None:
        """See `ObjectStore`."""
        found = self._entries[object_id].get(key)
        return None if found is None else replace(found.value, used_at=found.used_at)

    def entries(self, object_id: str, after_key: bytes) -> list[Entry]:
        """Return all entries behind a key."""
        found = sorted(self._entries[object_id].items())
        return [Entry(k, e.value.value, e.value.blob) for k, e in found if k > after_key]

    def items(self, object_id: str, partition: str | None, now: float) -> list[Item]:
        """Return all items of a partition, or of all, that can be taken."""
        return [
            Item(item.position, item.value.value)
            for item in self._items[object_id]
            if not item.taken and item.expires_at > now and partition in (None, item.partition)
        ]

    def blobs(self) -> set[str]:
        """Return every blob that is named."""
        values = [entry.value for of in self._entries.values() for entry in of.values()]
        values += [item.value for of in self._items.values() for item in of]
        values += [a for a, _ in self._answers.values() if isinstance(a, Value)]
        return {value.blob for value in values}

    def _do(self, operation: PutEntries | PopEntry | PutItems) -> ContentAnswer:
        if isinstance(operation, PutEntries):
            return self._put_entries(operation)
        if isinstance(operation, PutItems):
            return self._put_items(operation)
        popped = self._entries[operation.object_id].pop(operation.key, None)
        return None if popped is None else popped.value

    def _put_entries(self, put: PutEntries) -> int:
        entries = self._entries[put.object_id]
        count = 0
        for entry in put.entries:
            if not put.only_new or entry.key not in entries:
                value = Value(entry.value, entry.blob)
                entries[entry.key] = _Entry(value, put.request.at)
                count += 1
        return count

    def _put_items(self, put: PutItems) -> bool:
        present = len(self.items(put.object_id, put.partition, put.request.at))
        if present + len(put.items) > put.max_items:
            return False
        for value in put.items:
            self._position += 1
            item = _Item(self._position, put.partition, value, put.expires_at)
            self._items[put.object_id].append(item)
        return True

    def _take(self, take: TakeItems) -> tuple[bytes, ...]:
        items = [
            item
            for item in self._items[take.object_id]
            if not item.taken or item.taken not in take.received
        ]
        self._items[take.object_id] = items
        request = take.request
        known = [item.value.value for item in items if item.taken == request.request_id]
        if request.is_repeat and known:
            return tuple(known)
        taken: list[bytes] = []
        size_bytes = 0
        for index, item in enumerate(items):
            is_there = item.partition == take.partition and not item.taken
            if not is_there or item.expires_at <= request.at:
                continue
            size_bytes += len(item.value.value)
            if len(taken) == take.count or (taken and size_bytes > take.size_bytes):
                break
            taken.append(item.value.value)
            items[index] = replace(item, taken=request.request_id, expires_at=request.at)
        return tuple(taken)

    def _row_count(self) -> int:
        entries = sum(map(len, self._entries.values()))
        return entries + sum(map(len, self._items.values())) + len(self._answers)
