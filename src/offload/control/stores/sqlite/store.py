"""The store: one writing connection, a pool of reading ones, and a lock against a second server."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from offload.control.ports.store import StoreError
from offload.control.stores.sqlite.connection import connect, explained, lock
from offload.control.stores.sqlite.migrate import migrate
from offload.control.stores.sqlite.reading import Reader
from offload.control.stores.sqlite.writing import apply

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from offload.control.ports.store import Record

# Checking a whole database reads all of it; up to this size that is some ten milliseconds at start.
_CHECKED_SIZE_BYTES = 16 * 1024 * 1024

# A key is looked up again when forgotten; what matters is that the calls of the moment are known.
_REMEMBERED_CALLS = 10_000


class SqliteStore(Reader):
    """See `Store`. Creates the file, brings an older one up to date, and holds `<path>.lock` until closed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._lock_descriptor = lock(path)
        self._writing = threading.Lock()
        self._call_keys: dict[str, int] = {}
        self._writer: sqlite3.Connection | None = None
        try:
            with explained(path):
                self._writer = connect(path, read_only=False)
                migrate(self._writer, path)
                _check(self._writer, path)
        except StoreError:
            self.close()
            raise

    def commit(self, records: Sequence[Record]) -> None:
        """See `Store`."""
        with self._writing, explained(self._path):
            writer = self._writer
            if writer is None:
                raise StoreError(f"The database {self._path} is closed.")
            writer.execute("BEGIN IMMEDIATE")
            try:
                found = apply(writer, records, self._call_keys)
                writer.execute("COMMIT")
            finally:
                if writer.in_transaction:  # SQLite ends it by itself after some errors
                    writer.execute("ROLLBACK")
            self._remember(found)  # only now: keys of a rolled back commit would be given again

    def _remember(self, found: dict[str, int]) -> None:
        if len(self._call_keys) > _REMEMBERED_CALLS:
            self._call_keys.clear()
        self._call_keys.update(found)

    def close(self) -> None:
        """See `Store`."""
        super().close()
        with self._writing:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            if self._lock_descriptor >= 0:
                os.close(self._lock_descriptor)
                self._lock_descriptor = -1


def _check(writer: sqlite3.Connection, path: Path) -> None:
    # A file that may only be read opens all the same, and even BEGIN IMMEDIATE succeeds; only a write is refused. Now is
    # the time for that, not the first commit.
    writer.execute("BEGIN IMMEDIATE")
    try:
        writer.execute("PRAGMA user_version = 0")
    finally:
        if writer.in_transaction:  # SQLite ends it by itself after some errors
            writer.execute("ROLLBACK")
    if path.stat().st_size > _CHECKED_SIZE_BYTES:
        return
    (verdict,) = writer.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StoreError(
            f"The database {path} is damaged ({' '.join(verdict.split())}): "
            "restore it from a backup, or move it away to start empty."
        )
