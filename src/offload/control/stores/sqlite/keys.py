"""How ids become integers: an input's key is its call's key and its index in one 64-bit number."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from offload.control.core.ids import MAX_INPUTS_PER_CALL, split_input_id
from offload.control.stores.sqlite.statements import statements

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable


def input_key(call_key: int, index: int) -> int:
    """Return the key of a call's input."""
    return call_key * MAX_INPUTS_PER_CALL + index


def split_input_key(key: int) -> tuple[int, int]:
    """Return the call's key and the index."""
    return divmod(key, MAX_INPUTS_PER_CALL)


def known_input_id(input_id: str) -> tuple[str, int] | None:
    """Return call id and index of an id that an input here can have; None otherwise."""
    try:
        call_id, index = split_input_id(input_id)
    except ValueError:
        return None
    return (call_id, index) if index < MAX_INPUTS_PER_CALL else None


def find_call_keys(connection: sqlite3.Connection, call_ids: Iterable[str]) -> dict[str, int]:
    """Return the keys of those calls that are there."""
    (found,) = connection.execute(
        statements("read.sql")["call_keys"], {"call_ids": json.dumps(list(call_ids))}
    ).fetchone()
    keys: dict[str, int] = json.loads(found)
    return keys
