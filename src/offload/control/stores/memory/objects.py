"""Objects with a name, kept in memory; see `ObjectStore`."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from offload.control.ports.contents import Entry, Item, Value
from offload.control.ports.objects import (
    Answer,
    CreateObject,
    DeleteObjects,
    NoteUse,
    Operation,
    Refusal,
    RenameObject,
)
from offload.control.ports.sealed import PutSecret, Reseal, Sealed
from offload.control.stores.memory.contents import MemoryContents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offload.control.core.objects import ObjectKind, Scope, StoredObject
    from offload.control.ports.objects import Times


class MemoryObjects:
    """See `ObjectStore`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, StoredObject] = {}
        self._contents = MemoryContents()
        self._sealed: dict[str, Sealed] = {}

    def apply(self, operations: Sequence[Operation]) -> Sequence[Answer]:
        """See `ObjectStore`."""
        with self._lock:
            return [self._apply(operation) for operation in operations]

    def find(self, kind: ObjectKind, scope: Scope, name: str) -> StoredObject | None:
        """See `ObjectStore`."""
        with self._lock:
            return self._named(kind, scope, name)

    def get(self, object_id: str) -> StoredObject | None:
        """See `ObjectStore`."""
        with self._lock:
            return self._objects.get(object_id)

    def list(
        self, kind: ObjectKind, scope: Scope, after_name: str, limit: int
    ) -> Sequence[StoredObject]:
        """See `ObjectStore`."""
        with self._lock:
            found = [
                each
                for each in self._objects.values()
                if each.kind is kind and each.scope == scope and each.name > after_name
            ]
        return sorted(found, key=lambda each: each.name)[:limit]

    def anonymous(self) -> Sequence[StoredObject]:
        """See `ObjectStore`."""
        with self._lock:
            return [each for each in self._objects.values() if not each.name]

    def collect(self, times: Times, limit: int) -> int:
        """See `ObjectStore`."""
        del limit
        with self._lock:
            return self._contents.collect(times)

    def sealed(self, object_id: str) -> Sealed | None:
        """See `ObjectStore`."""
        with self._lock:
            return self._sealed.get(object_id)

    def sealed_otherwise(self, key_id: str, limit: int) -> Sequence[tuple[str, Sealed]]:
        """See `ObjectStore`."""
        with self._lock:
            return [each for each in self._sealed.items() if each[1].key_id != key_id][:limit]

    def entry(self, object_id: str, key: bytes) -> Value | None:
        """See `ObjectStore`."""
        with self._lock:
            return self._contents.entry(object_id, key)

    def entries(
        self, object_id: str, after_key: bytes, limit: int, *, without_values: bool
    ) -> Sequence[Entry]:
        """See `ObjectStore`."""
        with self._lock:
            found = self._contents.entries(object_id, after_key)[:limit]
        return [Entry(each.key, b"") for each in found] if without_values else found

    def entry_count(self, object_id: str) -> int:
        """See `ObjectStore`."""
        with self._lock:
            return len(self._contents.entries(object_id, b""))

    def items(
        self, object_id: str, partition: str, after: int, now: float, limit: int
    ) -> Sequence[Item]:
        """See `ObjectStore`."""
        with self._lock:
            found = self._contents.items(object_id, partition, now)
        return [item for item in found if item.position > after][:limit]

    def item_count(self, object_id: str, partition: str | None, now: float) -> int:
        """See `ObjectStore`."""
        with self._lock:
            return len(self._contents.items(object_id, partition, now))

    def blobs_in_use(self, sha256: Sequence[str]) -> set[str]:
        """See `ObjectStore`."""
        with self._lock:
            return self._contents.blobs() & set(sha256) - {""}

    def _named(self, kind: ObjectKind, scope: Scope, name: str) -> StoredObject | None:
        for each in self._objects.values():
            if name and each.kind is kind and each.scope == scope and each.name == name:
                return each
        return None

    def _apply(self, operation: Operation) -> Answer:
        match operation:
            case CreateObject(made):
                return self._create(made)
            case RenameObject(object_id, name):
                return self._rename(object_id, name)
            case DeleteObjects(object_ids):
                self._delete(object_ids)
            case NoteUse(object_ids, at):
                for object_id in object_ids:
                    if object_id in self._objects:
                        used = replace(self._objects[object_id], last_used_at=at)
                        self._objects[object_id] = used
            case PutSecret() | Reseal():
                return self._apply_to_secret(operation)
            case _:
                is_there = operation.object_id in self._objects
                return self._contents.apply(operation) if is_there else Refusal.GONE
        return None

    def _create(self, made: StoredObject) -> StoredObject | Literal[Refusal.TAKEN]:
        known = self._named(made.kind, made.scope, made.name)
        if known is not None:
            return known
        known = self._objects.setdefault(made.object_id, made)
        is_same = (known.kind, known.scope, known.name) == (made.kind, made.scope, made.name)
        return known if is_same else Refusal.TAKEN

    def _delete(self, object_ids: tuple[str, ...]) -> None:
        for object_id in object_ids:
            self._objects.pop(object_id, None)
            self._contents.remove(object_id)
            self._sealed.pop(object_id, None)

    def _apply_to_secret(self, operation: PutSecret | Reseal) -> Answer:
        if isinstance(operation, Reseal):
            known = self._sealed.get(operation.object_id)
            if known is None or known.box != operation.old_box:
                return False
            self._sealed[operation.object_id] = operation.sealed
            return True
        made = self._create(operation.made)
        if made is Refusal.TAKEN or made.object_id != operation.made.object_id:
            return Refusal.TAKEN
        self._sealed[made.object_id] = operation.sealed
        return made

    def _rename(self, object_id: str, name: str) -> Answer:
        known = self._objects.get(object_id)
        if known is None:
            return Refusal.GONE
        holder = self._named(known.kind, known.scope, name)
        if holder is not None and holder is not known:
            return Refusal.TAKEN
        renamed = self._objects[object_id] = replace(known, name=name)
        return renamed
