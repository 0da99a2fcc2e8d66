"""The store: one writing connection, a pool of reading ones, and a lock against a second server."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from offload.control.ports.store import StoreError
from offload.control.stores.sqlite.collecting import collect
from offload.control.stores.sqlite.connection import connect, explained, lock
from offload.control.stores.sqlite.keys import CallKeys
from offload.control.stores.sqlite.migrate import migrate
from offload.control.stores.sqlite.objects import SqliteObjects
from offload.control.stores.sqlite.reading import Reader
from offload.control.stores.sqlite.volumes import SqliteVolumes
from offload.control.stores.sqlite.writing import apply

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from offload.control.ports.records import Collected, Record

# Checking a whole database reads all of it; up to this size that is some ten milliseconds at start.
_CHECKED_SIZE_BYTES = 16 * 1024 * 1024


class SqliteStore(Reader):
    """See `Store`. Creates the file, brings an older one up to date, and holds `<path>.lock` until closed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._lock_descriptor = lock(path)
        self._writing = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self.volumes = SqliteVolumes(self)
        self.objects = SqliteObjects(self)
        try:
            with explained(path):
                self._writer = connect(path, read_only=False)
                migrate(self._writer, path)
                _check(self._writer, path)
                self._keys = CallKeys(self._writer)
        except StoreError:
            self.close()
            raise

    def commit(self, records: Sequence[Record]) -> None:
        """See `Store`."""
        with self._writing, explained(self._path):
            with self._transaction() as writer:
                found = apply(writer, records, self._keys)
            self._keys.remember(found)

    def collect(self, before: float, limit: int) -> Collected:
        """See `Store`."""
        with self._writing, explained(self._path):
            with self._transaction() as writer:
                collected = collect(writer, before, limit)
            self._keys.forget()
            return collected

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """See `Connections`."""
        with self._writing, explained(self._path), self._transaction() as writer:
            yield writer

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        writer = self._writer
        if writer is None:
            raise StoreError(f"The database {self._path} is closed.")
        writer.execute("BEGIN IMMEDIATE")
        try:
            yield writer
            writer.execute("COMMIT")
        finally:
            if writer.in_transaction:  # SQLite ends it by itself after some errors
                writer.execute("ROLLBACK")

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
