"""Removing what ended long ago, a bounded piece at a time.

Theory of operation. A pass first makes calls invisible: it deletes their rows of `calls`, through which every reader goes,
and keeps their keys in `collected_calls`. Then it removes what hangs on those keys, up to its limit; the next pass, or the
next server, goes on there. Only when nothing is left of any of them are the keys forgotten and further calls taken, so
that the walk over ranges that are empty already stays short. A row that reaches over several pages counts as several.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from offload.control.ports.records import Collected
from offload.control.stores.sqlite.statements import statements

if TYPE_CHECKING:
    import sqlite3

_KINDS = ("inputs", "outcomes", "items", "outcome_runs", "histories")

# A finished call has hardly ever less: itself, an input, an outcome and its count.
_ROWS_PER_CALL = 4


def collect(connection: sqlite3.Connection, before: float, limit: int) -> Collected:
    """Carry out one pass inside the transaction that the caller opened."""
    one_pass = _Pass(connection, before, limit)
    one_pass.run()
    return Collected(one_pass.calls, one_pass.rows, one_pass.unused_blobs())


class _Pass:
    def __init__(self, connection: sqlite3.Connection, before: float, limit: int) -> None:
        self._connection = connection
        self._before = before
        self._left = limit
        self._blobs: set[str] = set()
        self.calls = 0
        self.rows = 0

    def run(self) -> None:
        while self._left > 0:
            self._empty_collected_calls()
            if self._left <= 0 or not self._take_calls():
                break
        if self._left > 0:
            self._remove_apps()
        if self._left > 0:
            self._spend(self._change("remove_logs", before=self._before, limit=self._left))

    def unused_blobs(self) -> tuple[str, ...]:
        """Return those blobs of what was removed that nothing else names."""
        (used,) = self._read("read.sql", "blobs_in_use", sha256=json.dumps(list(self._blobs)))
        return tuple(sorted(self._blobs - set(json.loads(used))))

    def _take_calls(self) -> bool:
        limit = max(1, self._left // _ROWS_PER_CALL)
        (keys,) = self._read("collect.sql", "finished_calls", before=self._before, limit=limit)
        if keys == "[]":
            return False
        self._change("remember_calls", keys=keys)
        self._spend(self._change("hide_calls", keys=keys))
        return True

    def _empty_collected_calls(self) -> None:
        for kind in _KINDS:
            if self._left <= 0:
                return
            keys, blobs, cost = self._read("collect.sql", f"old_{kind}", limit=self._left)
            if cost:
                self._note_blobs(blobs)
                self.rows += self._change(f"remove_{kind}", keys=keys)
                self._left -= cost
        if self._left > 0:
            self._spend(self._change("remove_counts"))
            self.calls += self._change("forget_calls")

    def _remove_apps(self) -> None:
        (keys,) = self._read("collect.sql", "old_apps", before=self._before, limit=self._left)
        if keys != "[]":
            (blobs,) = self._read("collect.sql", "blobs_of_apps", keys=keys)
            self._note_blobs(blobs)
            self._spend(self._change("remove_functions", keys=keys))
            self._spend(self._change("remove_apps", keys=keys))

    def _spend(self, rows: int) -> None:
        self.rows += rows
        self._left -= rows

    def _note_blobs(self, blobs: str) -> None:
        self._blobs.update(blob for blob in json.loads(blobs) if blob)

    def _read(self, file_name: str, name: str, **parameters: object) -> sqlite3.Row:
        row: sqlite3.Row = self._connection.execute(
            statements(file_name)[name], parameters
        ).fetchone()
        return row

    def _change(self, name: str, **parameters: object) -> int:
        return self._connection.execute(statements("collect.sql")[name], parameters).rowcount
