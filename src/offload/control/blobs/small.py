"""Small blobs as rows of one SQLite file.

A file for each would cost a sync for each: committing 10,000 of them took 8 s here, and 0.1 s as rows of one
transaction. Rows are no larger than what travels inline elsewhere; beyond that files are faster.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from offload.control.ports.blobs import BlobCorruptError, BlobError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from offload.control.ports.clock import Clock

MAX_SMALL_BYTES = 64 * 1024

_SCHEMA = """
CREATE TABLE IF NOT EXISTS blobs (
    blob_key INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, time REAL NOT NULL, data BLOB NOT NULL
)
"""
_ROWS = 500


class SmallBlobs:
    """The part of `Blobs` that is one file. Any thread may call it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        with self._explained():
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=60
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(_SCHEMA)

    def put(self, blobs: Mapping[str, bytes]) -> None:
        """Keep verified blobs, all or none, durably. What is there already keeps its bytes, and its time is now."""
        now = self._clock.now()
        rows = list(blobs.items())
        with self._transaction(is_durable=True):
            for start in range(0, len(rows), _ROWS):
                part = rows[start : start + _ROWS]
                values = [value for name, data in part for value in (name, now, data)]
                self._connection.execute(
                    f"INSERT INTO blobs (sha256, time, data) VALUES {', '.join(['(?, ?, ?)'] * len(part))} "  # noqa: S608 - nothing but question marks
                    "ON CONFLICT (sha256) DO UPDATE SET time = excluded.time",
                    values,
                )

    def get(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return those of the blobs that are here, verified. A damaged one is removed, and raises `BlobCorruptError`."""
        with self._lock, self._explained():
            found = dict(
                self._connection.execute(
                    "SELECT sha256, data FROM blobs WHERE sha256 IN (SELECT value FROM json_each(?))",
                    [json.dumps(list(names))],
                ).fetchall()
            )
        for sha256, data in found.items():
            if hashlib.sha256(data).hexdigest() != sha256:
                self._drop(sha256)
                raise BlobCorruptError(
                    f"The blob {sha256} was damaged in {self._path}, and is removed: upload it again."
                )
        return found

    def touch(self, names: Sequence[str]) -> set[str]:
        """Set the time of these blobs to now; return those that are here."""
        wanted = json.dumps(list(names))
        with self._transaction(is_durable=False):
            self._connection.execute(
                "UPDATE blobs SET time = ? WHERE sha256 IN (SELECT value FROM json_each(?))",
                [self._clock.now(), wanted],
            )
            found = self._connection.execute(
                "SELECT sha256 FROM blobs WHERE sha256 IN (SELECT value FROM json_each(?))",
                [wanted],
            )
            return {sha256 for (sha256,) in found}

    def remove(self, sha256: str, older_than: float) -> bool:
        """See `Blobs`."""
        with self._transaction(is_durable=False):
            return (
                self._connection.execute(
                    "DELETE FROM blobs WHERE sha256 = ? AND time < ?", [sha256, older_than]
                ).rowcount
                > 0
            )

    def stale(self, older_than: float, after: str, limit: int) -> list[str]:
        """See `Blobs`."""
        with self._lock, self._explained():
            found = self._connection.execute(
                "SELECT sha256 FROM blobs WHERE sha256 > ? AND time < ? ORDER BY sha256 LIMIT ?",
                [after, older_than, limit],
            )
            return [sha256 for (sha256,) in found]

    def _drop(self, sha256: str) -> None:
        with self._transaction(is_durable=False):
            self._connection.execute("DELETE FROM blobs WHERE sha256 = ?", [sha256])

    @contextmanager
    def _transaction(self, *, is_durable: bool) -> Iterator[None]:
        with self._lock, self._explained():
            # A time that is lost with the power is one that is asked for again.
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'NORMAL'}")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise BlobError(
                f"The small blobs in {self._path} cannot be had ({error}): "
                "make room on its disk, or put back a copy of the file."
            ) from error

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        self._connection.close()


class SmallReader:
    """See `BlobReader`."""

    def __init__(self, content: bytes, offset: int) -> None:
        self.size_bytes = len(content)
        self._content = content
        self._position = offset

    def read(self, size_bytes: int) -> bytes:
        """See `BlobReader`."""
        data = self._content[self._position : self._position + size_bytes]
        self._position += len(data)
        return data

    def close(self) -> None:
        """See `BlobReader`."""
        self._content = b""
