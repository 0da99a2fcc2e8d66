"""What is in dicts and queues: the operations, inside the transaction that the caller opened."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, assert_never

from offload.control.ports.contents import (
    ClearDict,
    ClearItems,
    ContentAnswer,
    ContentOperation,
    PopEntry,
    PutEntries,
    PutItems,
    TakeItems,
    TouchEntries,
    Value,
)
from offload.control.ports.objects import Refusal
from offload.control.stores.sqlite.statements import for_rows, statements

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from offload.control.ports.contents import Request
    from offload.control.ports.objects import Times

Row = tuple[object, ...]

# Each is a statement to compile; see `writing`.
_CHUNK_ROWS = (256, 64, 16, 4, 1)
# How many items are read to find as many as fit a message, where they may be large.
_FIRST_ITEMS = 64


class Contents:
    """One transaction's operations."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._answers: list[Row] = []
        self._keys: dict[str, int | None] = {}

    def apply(self, operation: ContentOperation) -> ContentAnswer | Refusal:
        """Carry out one."""
        object_key = self._key(operation.object_id)
        if object_key is None:
            return Refusal.GONE
        match operation:
            case PutEntries():
                return self._put_entries(object_key, operation)
            case PopEntry():
                return self._pop_entry(object_key, operation)
            case PutItems():
                return self._put_items(object_key, operation)
            case TakeItems():
                return self._take_items(object_key, operation)
            case TouchEntries(_, keys, at):
                for key in keys:
                    self._run("touch_entry", object_key=object_key, key=key, at=at)
            case ClearDict():
                self._run("clear_dict", object_key=object_key)
            case ClearItems(_, partition):
                self._run("clear_items", object_key=object_key, partition=partition)
            case _:
                assert_never(operation)
        return None

    def finish(self) -> None:
        """Keep what was answered."""
        self._insert("keep_answers", self._answers)

    def forget(self, object_ids: Sequence[str]) -> None:
        """Take note that these objects are gone."""
        for object_id in object_ids:
            self._keys[object_id] = None

    def _put_entries(self, object_key: int, put: PutEntries) -> ContentAnswer:
        known = self._answered(put.request)
        if known is not None:
            return _decode(known)
        rows = [(object_key, e.key, e.value, e.blob, put.request.at) for e in put.entries]
        count = self._insert("put_new_entries" if put.only_new else "put_entries", rows)
        return self._answer(put.request, count)

    def _pop_entry(self, object_key: int, pop: PopEntry) -> ContentAnswer:
        known = self._answered(pop.request)
        if known is not None:
            return _decode(known)
        row = self._run("pop_entry", object_key=object_key, key=pop.key).fetchone()
        return self._answer(pop.request, None if row is None else Value(row[0], row[1]))

    def _put_items(self, object_key: int, put: PutItems) -> ContentAnswer:
        known = self._answered(put.request)
        if known is not None:
            return _decode(known)
        taken = self._run(
            "room_taken",
            object_key=object_key,
            partition=put.partition,
            now=put.request.at,
            limit=put.max_items + 1,
        ).fetchone()[0]
        if taken + len(put.items) > put.max_items:
            return False
        rows = [(object_key, put.partition, i.value, i.blob, put.expires_at) for i in put.items]
        self._insert("put_items", rows)
        return self._answer(put.request, value=True)

    def _take_items(self, object_key: int, take: TakeItems) -> tuple[bytes, ...]:
        if take.received:
            self._run("forget_taken", request_ids=json.dumps(take.received))
        request = take.request
        if request.is_repeat:
            known = self._run("taken_items", request_id=request.request_id).fetchall()
            if known:
                return tuple(row[0] for row in known)
        keys, values = self._first_items(object_key, take)
        if keys:
            self._run(
                "take_items",
                request_id=request.request_id,
                at=request.at,
                item_keys=json.dumps(keys),
            )
        return tuple(values)

    def _first_items(self, object_key: int, take: TakeItems) -> tuple[list[int], list[bytes]]:
        keys: list[int] = []
        values: list[bytes] = []
        size_bytes = 0
        found = self._run(
            "first_items",
            object_key=object_key,
            partition=take.partition,
            now=take.request.at,
            limit=take.count,
        )
        while rows := found.fetchmany(_FIRST_ITEMS):
            for key, value in rows:
                size_bytes += len(value)
                if keys and size_bytes > take.size_bytes:
                    return keys, values
                keys.append(key)
                values.append(value)
        return keys, values

    def _key(self, object_id: str) -> int | None:
        if object_id not in self._keys:
            row = self._run("object_key", object_id=object_id).fetchone()
            self._keys[object_id] = None if row is None else row[0]
        return self._keys[object_id]

    def _answered(self, request: Request) -> sqlite3.Row | None:
        if not request.is_repeat:
            return None
        self._insert("keep_answers", self._answers)  # the first try may be in this very transaction
        self._answers.clear()
        row: sqlite3.Row | None = self._run("answer", request_id=request.request_id).fetchone()
        return row

    def _answer(self, request: Request, value: ContentAnswer) -> ContentAnswer:
        encoded, blob = _encode(value)
        self._answers.append((request.request_id, encoded, blob, request.at))
        return value

    def _insert(self, name: str, rows: Sequence[Row]) -> int:
        count = start = 0
        while start < len(rows):
            size = next(size for size in _CHUNK_ROWS if size <= len(rows) - start)
            values = list(chain.from_iterable(rows[start : start + size]))
            sql = for_rows(name, size, "contents.sql")
            count += self._connection.execute(sql, values).rowcount
            start += size
        return count

    def _run(self, name: str, **parameters: object) -> sqlite3.Cursor:
        return run(self._connection, name, **parameters)


def run(connection: sqlite3.Connection, name: str, /, **parameters: object) -> sqlite3.Cursor:
    """Execute a named statement."""
    return connection.execute(statements("contents.sql")[name], parameters)


def collect(connection: sqlite3.Connection, times: Times, limit: int) -> int:
    """See `ObjectStore.collect`."""
    removed = 0
    for name in (
        "collect_entries",
        "collect_items",
        "collect_unused_entries",
        "collect_expired_items",
        "collect_answers",
    ):
        parameters = {
            "now": times.now,
            "unused_since": times.unused_since,
            "answered_before": times.answered_before,
            "limit": limit - removed,
        }
        removed += connection.execute(statements("contents.sql")[name], parameters).rowcount
        if removed >= limit:
            break
    return removed


def _encode(value: ContentAnswer) -> tuple[bytes, str]:
    if isinstance(value, Value):
        return b"v" + value.value, value.blob
    return str(int(value)).encode() if isinstance(value, int) else b"", ""


def _decode(row: sqlite3.Row) -> ContentAnswer:
    answer: bytes = row["answer"]
    if answer.startswith(b"v"):
        return Value(answer[1:], row["blob"])
    return int(answer) if answer else None
