"""Dicts. What was read or written last is in memory, so that most reads neither wait for a thread nor touch the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.objects import ObjectKind
from offload.control.ports.contents import (
    ClearDict,
    Entry,
    PopEntry,
    PutEntries,
    Request,
    TouchEntries,
    Value,
)
from offload.control.ports.objects import Refusal
from offload.control.services.entry_cache import EntryCache
from offload.control.services.objects import gone

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from offload.control.ports.clock import Clock
    from offload.control.ports.objects import Answer, Operation
    from offload.control.services.entry_cache import Known
    from offload.control.services.grouping import Grouping
    from offload.control.services.objects import Objects
    from offload.control.services.reading import Reading

MAX_KEY_BYTES = 16 * 1024
MEMORY_BYTES = 64 * 1024 * 1024
PAGE_ENTRIES = 256
# How exactly the last use of an entry is noted, as a part of how long it is kept unused.
USE_PART = 0.05


class Dicts:
    """Reads and changes entries. Every method raises `DomainError`."""

    def __init__(
        self,
        reading: Reading,
        writing: Grouping[Operation, Answer],
        objects: Objects,
        clock: Clock,
        kept_seconds: float,
    ) -> None:
        self._reading = reading
        self._store = reading.store.objects
        self._writing = writing
        self._objects = objects
        self._clock = clock
        self._use_seconds = kept_seconds * USE_PART
        self._cache = EntryCache(MEMORY_BYTES)
        objects.on_delete(self._cache.drop_objects)

    def peek(self, object_id: str, key: bytes) -> Known | None:
        """Return what is known of a key without looking into the store; None: nothing."""
        if self._objects.known(object_id) is None:
            return None
        known = self._cache.get((object_id, key))
        if known is not None and known.value is not None:
            self._note_use(object_id, key, known)
        return known

    async def get(self, object_id: str, key: bytes) -> Value | None:
        """Return the value of a key, or None."""
        await self._require(object_id)
        with self._cache.reading((object_id, key)) as reading:
            value = await self._reading.get(self._store.entry, object_id, key)
        if not reading.is_stale:
            used_at = value.used_at if value is not None else 0.0
            self._cache.keep((object_id, key), value, used_at)
        self.peek(object_id, key)  # notes the use
        return value

    async def put(
        self, object_id: str, entries: Sequence[Entry], request: Request, *, only_new: bool
    ) -> int:
        """Set entries, all or none; return how many were set."""
        await self._require(object_id)
        for entry in entries:
            _check_key(entry.key)
        if not entries:
            return 0
        answer = await self._change(PutEntries(object_id, tuple(entries), only_new, request))
        if only_new or request.is_repeat:
            self._cache.drop((object_id, entry.key) for entry in entries)
        else:
            for entry in entries:
                value = Value(entry.value, entry.blob)
                self._cache.keep((object_id, entry.key), value, request.at)
        return answer if isinstance(answer, int) else 0

    async def pop(self, object_id: str, key: bytes, request: Request) -> Value | None:
        """Remove an entry and return its value, or None where there was none."""
        await self._require(object_id)
        answer = await self._change(PopEntry(object_id, key, request))
        self._cache.drop([(object_id, key)])
        return answer if isinstance(answer, Value) else None

    async def length(self, object_id: str) -> int:
        """Return how many entries there are."""
        await self._require(object_id)
        return await self._reading.get(self._store.entry_count, object_id)

    async def clear(self, object_id: str) -> None:
        """Remove all entries."""
        await self._require(object_id)
        await self._change(ClearDict(object_id))
        self._cache.drop_objects([object_id])

    async def entries(
        self, object_id: str, after_key: bytes, *, without_values: bool
    ) -> AsyncGenerator[Sequence[Entry], None]:
        """Yield all entries in the order of their keys' bytes, in pages."""
        await self._require(object_id)

        def read(after: bytes) -> Sequence[Entry]:
            return self._store.entries(
                object_id, after, PAGE_ENTRIES, without_values=without_values
            )

        while page := await self._reading.get(read, after_key):
            yield page
            after_key = page[-1].key

    async def _require(self, object_id: str) -> None:
        await self._objects.require(object_id, ObjectKind.DICT, None)

    async def _change(self, operation: PutEntries | PopEntry | ClearDict) -> Answer:
        answer = await self._writing.answer(operation)
        if answer is Refusal.GONE:
            raise gone(operation.object_id, ObjectKind.DICT)
        return answer

    def _note_use(self, object_id: str, key: bytes, known: Known) -> None:
        now = self._clock.now()
        if now - known.used_at > self._use_seconds:
            known.used_at = now
            self._writing.later(TouchEntries(object_id, (key,), now))


def _check_key(key: bytes) -> None:
    if not 0 < len(key) <= MAX_KEY_BYTES:
        raise DomainError(
            ErrorCode.INVALID,
            f"A key of {len(key)} bytes cannot be kept: at most {MAX_KEY_BYTES} bytes, pickled. Use a digest of it.",
        )
