"""How ids become integers: an input's key is its call's key and its index in one 64-bit number."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from offload.control.core.ids import MAX_INPUTS_PER_CALL, split_input_id
from offload.control.stores.sqlite.statements import statements

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

# A key is looked up again when forgotten; what matters is that the calls of the moment are known.
_REMEMBERED_CALLS = 10_000


class CallKeys:
    """The keys that the writer remembers and gives out.

    New calls get their key from here and not from SQLite, which would give the key of the newest call again once that is
    collected, while rows under it are still being removed.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        (last,) = connection.execute(statements("read.sql")["last_call_key"]).fetchone()
        self._next: int = last + 1
        self.known: dict[str, int] = {}

    def new(self) -> int:
        """Return a key that no call has or had in the life of this object."""
        self._next += 1
        return self._next - 1

    def remember(self, found: dict[str, int]) -> None:
        """Spare later commits the lookup. Only for what is committed: the keys of a rolled back commit name nothing."""
        if len(self.known) > _REMEMBERED_CALLS:
            self.known.clear()
        self.known.update(found)

    def forget(self) -> None:
        """Look all up again, because some calls are gone."""
        self.known.clear()


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
