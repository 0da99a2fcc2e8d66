"""Objects with a name, in the database of the store; see `ObjectStore`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

from offload.control.core.objects import ObjectKind, Scope, StoredObject
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
from offload.control.ports.sealed import PutSecret, Reseal
from offload.control.stores.sqlite.contents import Contents, collect, run
from offload.control.stores.sqlite.sealed import (
    forget_secrets,
    other_keys,
    put_secret,
    read_secret,
    reseal,
)
from offload.control.stores.sqlite.statements import statements

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from offload.control.ports.objects import Times
    from offload.control.ports.sealed import Sealed


class Connections(Protocol):
    """The store's connections; both raise `StoreError` alone."""

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """Open a transaction, one at a time, which is committed at the end."""

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Take a connection that sees what is committed."""


class SqliteObjects:
    """See `ObjectStore`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def apply(self, operations: Sequence[Operation]) -> Sequence[Answer]:
        """See `ObjectStore`."""
        with self._connections.writing() as writer:
            contents = Contents(writer)
            answers = [_apply(writer, contents, operation) for operation in operations]
            contents.finish()
            return answers

    def find(self, kind: ObjectKind, scope: Scope, name: str) -> StoredObject | None:
        """See `ObjectStore`."""
        with self._connections.reading() as reader:
            return _find(reader, kind, scope, name)

    def get(self, object_id: str) -> StoredObject | None:
        """See `ObjectStore`."""
        with self._connections.reading() as reader:
            return _get(reader, object_id)

    def list(
        self, kind: ObjectKind, scope: Scope, after_name: str, limit: int
    ) -> Sequence[StoredObject]:
        """See `ObjectStore`."""
        with self._connections.reading() as reader:
            found = _run(
                reader,
                "objects",
                kind=kind,
                workspace=scope.workspace,
                environment=scope.environment,
                after_name=after_name,
                limit=limit,
            )
            return [_object(row) for row in found]

    def anonymous(self) -> Sequence[StoredObject]:
        """See `ObjectStore`."""
        with self._connections.reading() as reader:
            return [_object(row) for row in _run(reader, "anonymous_objects")]

    def collect(self, times: Times, limit: int) -> int:
        """See `ObjectStore`."""
        with self._connections.writing() as writer:
            removed = collect(writer, times, limit)
            if removed < limit:  # then nothing is left of what was deleted
                _run(writer, "forget_deleted")
            return removed

    def sealed(self, object_id: str) -> Sealed | None:
        """See `ObjectStore`."""
        with self._connections.reading() as reader:
            return read_secret(reader, object_id)

    def sealed_otherwise(self, key_id: str, limit: int) -> Sequence[tuple[str, Sealed]]:
        """See `ObjectStore`."""
        with self._connections.reading() as reader:
            return other_keys(reader, key_id, limit)

    def entry(self, object_id: str, key: bytes) -> Value | None:
        """See `ObjectStore`."""
        with self._connections.reading() as reader:
            row = run(reader, "entry", object_id=object_id, key=key).fetchone()
            return None if row is None else Value(row["value"], row["blob"], row["used_at"])

    def entries(
        self, object_id: str, after_key: bytes, limit: int, *, without_values: bool
    ) -> Sequence[Entry]:
        """See `ObjectStore`."""
        statement = "keys" if without_values else "entries"
        with self._connections.reading() as reader:
            found = run(reader, statement, object_id=object_id, after_key=after_key, limit=limit)
            return [Entry(row["key"], row["value"], row["blob"]) for row in found]

    def entry_count(self, object_id: str) -> int:
        """See `ObjectStore`."""
        with self._connections.reading() as reader:
            count: int = run(reader, "entry_count", object_id=object_id).fetchone()[0]
            return count

    def items(
        self, object_id: str, partition: str, after: int, now: float, limit: int
    ) -> Sequence[Item]:
        """See `ObjectStore`."""
        with self._connections.reading() as reader:
            found = run(
                reader,
                "items",
                object_id=object_id,
                partition=partition,
                after=after,
                now=now,
                limit=limit,
            )
            return [Item(row["item_key"], row["value"]) for row in found]

    def item_count(self, object_id: str, partition: str | None, now: float) -> int:
        """See `ObjectStore`."""
        with self._connections.reading() as reader:
            found = run(reader, "item_count", object_id=object_id, partition=partition, now=now)
            count: int = found.fetchone()[0]
            return count

    def blobs_in_use(self, sha256: Sequence[str]) -> set[str]:
        """See `ObjectStore`."""
        with self._connections.reading() as reader:
            (found,) = run(reader, "blobs_in_use", sha256=json.dumps(list(sha256))).fetchone()
            return set(json.loads(found))


def _apply(writer: sqlite3.Connection, contents: Contents, operation: Operation) -> Answer:
    match operation:
        case CreateObject(made):
            return _create(writer, made)
        case RenameObject(object_id, name):
            return _rename(writer, object_id, name)
        case DeleteObjects(object_ids):
            forget_secrets(writer, object_ids)
            _run(writer, "remember_deleted", object_ids=json.dumps(object_ids))
            _run(writer, "delete_objects", object_ids=json.dumps(object_ids))
            contents.forget(object_ids)
        case NoteUse(object_ids, at):
            _run(writer, "note_use", object_ids=json.dumps(object_ids), at=at)
        case PutSecret() | Reseal():
            return _apply_to_secret(writer, operation)
        case _:
            return contents.apply(operation)
    return None


def _apply_to_secret(writer: sqlite3.Connection, operation: PutSecret | Reseal) -> Answer:
    if isinstance(operation, Reseal):
        return reseal(writer, operation)
    known = _create(writer, operation.made)
    if not isinstance(known, StoredObject) or known.object_id != operation.made.object_id:
        return Refusal.TAKEN
    put_secret(writer, known.object_id, operation.sealed)
    return known


def _create(writer: sqlite3.Connection, made: StoredObject) -> Answer:
    is_new = _run(
        writer,
        "insert_object",
        object_id=made.object_id,
        kind=made.kind,
        workspace=made.scope.workspace,
        environment=made.scope.environment,
        name=made.name,
        app_id=made.app_id,
        created_at=made.created_at,
        last_used_at=made.last_used_at,
    ).rowcount
    if is_new:
        return made
    if made.name:
        return _find(writer, made.kind, made.scope, made.name) or Refusal.TAKEN
    known = _get(writer, made.object_id)
    is_same = known is not None and (known.kind, known.scope, known.name) == (
        made.kind,
        made.scope,
        "",
    )
    return known if is_same else Refusal.TAKEN


def _rename(writer: sqlite3.Connection, object_id: str, name: str) -> Answer:
    _run(writer, "rename_object", object_id=object_id, name=name)
    known = _get(writer, object_id)
    if known is None:
        return Refusal.GONE
    return known if known.name == name else Refusal.TAKEN


def _find(
    connection: sqlite3.Connection, kind: ObjectKind, scope: Scope, name: str
) -> StoredObject | None:
    row = _run(
        connection,
        "named_object",
        kind=kind,
        workspace=scope.workspace,
        environment=scope.environment,
        name=name,
    ).fetchone()
    return None if row is None else _object(row)


def _get(connection: sqlite3.Connection, object_id: str) -> StoredObject | None:
    row = _run(connection, "object", object_id=object_id).fetchone()
    return None if row is None else _object(row)


def _object(row: sqlite3.Row) -> StoredObject:
    return StoredObject(
        object_id=row["object_id"],
        kind=ObjectKind(row["kind"]),
        scope=Scope(row["workspace"], row["environment"]),
        name=row["name"],
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        app_id=row["app_id"],
    )


def _run(connection: sqlite3.Connection, statement: str, /, **parameters: object) -> sqlite3.Cursor:
    return connection.execute(statements("objects.sql")[statement], parameters)
