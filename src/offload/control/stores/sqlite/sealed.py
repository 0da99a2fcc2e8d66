"""What is in secrets, inside the transaction that the caller opened."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from offload.control.ports.sealed import Sealed
from offload.control.stores.sqlite.statements import statements

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from offload.control.ports.sealed import Reseal


def read_secret(reader: sqlite3.Connection, object_id: str) -> Sealed | None:
    """Read what is in one."""
    row = _run(reader, "secret", object_id=object_id).fetchone()
    return None if row is None else _sealed(row)


def other_keys(reader: sqlite3.Connection, key_id: str, limit: int) -> list[tuple[str, Sealed]]:
    """List those that another key has sealed, by their objects' ids."""
    rows = _run(reader, "other_keys", key_id=key_id, limit=limit)
    return [(row["object_id"], _sealed(row)) for row in rows]


def put_secret(writer: sqlite3.Connection, object_id: str, sealed: Sealed) -> None:
    """Set or replace what is in one."""
    _run(
        writer,
        "put_secret",
        object_id=object_id,
        names=json.dumps(sealed.names),
        key_id=sealed.key_id,
        box=sealed.box,
        updated_at=sealed.updated_at,
    )


def reseal(writer: sqlite3.Connection, order: Reseal) -> bool:
    """Replace a box unless it was replaced; return whether it was."""
    done = _run(
        writer,
        "reseal",
        object_id=order.object_id,
        old_box=order.old_box,
        key_id=order.sealed.key_id,
        box=order.sealed.box,
    )
    return bool(done.rowcount)


def forget_secrets(writer: sqlite3.Connection, object_ids: Sequence[str]) -> None:
    """Remove what is in objects that are about to go."""
    _run(writer, "forget_secrets", object_ids=json.dumps(object_ids))


def _sealed(row: sqlite3.Row) -> Sealed:
    return Sealed(tuple(json.loads(row["names"])), row["key_id"], row["box"], row["updated_at"])


def _run(connection: sqlite3.Connection, statement: str, /, **parameters: object) -> sqlite3.Cursor:
    return connection.execute(statements("secrets.sql")[statement], parameters)
