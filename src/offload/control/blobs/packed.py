"""Blobs that come by the thousand: small ones as rows of an SQLite file, larger ones many to a file, a *pack*.

A file for each would cost a sync for each. Measured here: 10,000 blobs of 1 kB took 8 s as files and take 0.1 s as rows of one
transaction; 300 MB in chunks of 256 KiB took 0.7 s of the kernel's time as files and take 0.2 s as packs.

A pack is written and synced before the transaction that says what is in it, so that a row never names what is not there; one
that no row names is removed at the next start. A pack of which less than half is in use is written anew without the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
import threading
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from offload.control.blobs.landing import Landing, name_all
from offload.control.ports.blobs import BlobCorruptError, BlobError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from offload.control.ports.clock import Clock

# As much as travels inline elsewhere.
MAX_ROW_BYTES = 64 * 1024

_SCHEMA = """
CREATE TABLE IF NOT EXISTS blobs (
    blob_key INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, time REAL NOT NULL,
    data BLOB, pack TEXT, offset INTEGER, size_bytes INTEGER
);
CREATE INDEX IF NOT EXISTS packs ON blobs (pack) WHERE pack IS NOT NULL;
"""
_ROWS = 500


class _Row(NamedTuple):
    sha256: str
    time: float
    data: bytes | None  # or it is in a pack
    pack: str | None = None
    offset: int | None = None
    size_bytes: int | None = None


class PackedBlobs:
    """The part of `Blobs` that comes in batches. Any thread may call it."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._lock = threading.Lock()
        with self._explained():
            directory.mkdir(mode=0o700, exist_ok=True)
            self._connection = sqlite3.connect(
                directory / "index.db", isolation_level=None, check_same_thread=False, timeout=60
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.executescript(_SCHEMA)
            self._remove_unnamed()
            self._landing = Landing(directory)

    def put(self, blobs: Mapping[str, bytes]) -> None:
        """Keep verified blobs, all or none, durably. What is there already keeps its bytes, and its time is now."""
        known = self.touch(list(blobs))
        new = {sha256: data for sha256, data in blobs.items() if sha256 not in known}
        now = self._clock.now()
        rows = [_Row(name, now, data) for name, data in new.items() if len(data) <= MAX_ROW_BYTES]
        large = {name: data for name, data in new.items() if len(data) > MAX_ROW_BYTES}
        rows += [row._replace(time=now) for row in self._write_pack(large)]
        self._insert(rows)

    def landing(self, machine: str) -> str:
        """See `Blobs`."""
        with self._explained():
            return self._landing.offer(machine, self._clock.now())

    def adopt(self, name: str, sizes: Sequence[int]) -> list[str]:
        """See `Blobs`. What no row names yet when the server ends is removed at the next start, as with a pack of our own."""
        pack, now = secrets.token_hex(16), self._clock.now()
        with self._explained(), self._landing.take(name, self._place(pack)) as file:
            names = name_all(file, sizes)
            os.fsync(file.fileno())
            self._sync_directory()
        self._insert(
            [
                _Row(sha256, now, None, pack, end - size_bytes, size_bytes)
                for sha256, size_bytes, end in zip(names, sizes, accumulate(sizes), strict=True)
            ]
        )
        # Some may have been here, and some be the same.
        self._tidy(pack)
        return names

    def _insert(self, rows: Sequence[_Row]) -> None:
        with self._transaction(is_durable=True):
            for start in range(0, len(rows), _ROWS):
                part = rows[start : start + _ROWS]
                self._connection.execute(
                    "INSERT INTO blobs (sha256, time, data, pack, offset, size_bytes) VALUES "  # noqa: S608 - nothing but question marks
                    f"{', '.join(['(?, ?, ?, ?, ?, ?)'] * len(part))} "
                    "ON CONFLICT (sha256) DO UPDATE SET time = excluded.time",
                    [value for row in part for value in row],
                )

    def get(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return those of the blobs that are here, verified. A damaged one is removed, and raises `BlobCorruptError`."""
        found: dict[str, bytes] = {}
        for row in self._rows(
            "sha256 IN (SELECT value FROM json_each(?))", json.dumps(list(names))
        ):
            data = self._read(row)
            if hashlib.sha256(data).hexdigest() != row.sha256:
                self._drop(row.sha256)
                raise BlobCorruptError(
                    f"The blob {row.sha256} was damaged in {self._directory}, and is removed: upload it again.",
                    row.sha256,
                )
            found[row.sha256] = data
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
            gone = self._connection.execute(
                "DELETE FROM blobs WHERE sha256 = ? AND time < ? RETURNING pack",
                [sha256, older_than],
            ).fetchall()
        for (pack,) in gone:
            if pack is not None:
                self._tidy(pack)
        return bool(gone)

    def stale(self, older_than: float, after: str, limit: int) -> list[str]:
        """See `Blobs`."""
        with self._lock, self._explained():
            found = self._connection.execute(
                "SELECT sha256 FROM blobs WHERE sha256 > ? AND time < ? ORDER BY sha256 LIMIT ?",
                [after, older_than, limit],
            )
            return [sha256 for (sha256,) in found]

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        self._connection.close()

    def _rows(self, where: str, *values: object) -> list[_Row]:
        with self._lock, self._explained():
            found = self._connection.execute(
                f"SELECT sha256, time, data, pack, offset, size_bytes FROM blobs WHERE {where}",  # noqa: S608 - our own text
                values,
            ).fetchall()
        return [_Row(*row) for row in found]

    def _read(self, row: _Row) -> bytes:
        """Return what should be the blob's bytes."""
        if row.data is not None:
            return row.data
        try:
            return self._read_pack(row)
        except FileNotFoundError:
            # It was tidied up between the look at its row and this one; then the row is another by now.
            now = self._rows("sha256 = ?", row.sha256)
            with suppress(FileNotFoundError):
                return self._read_pack(now[0]) if now else b""
            return b""

    def _read_pack(self, row: _Row) -> bytes:
        try:
            with self._place(str(row.pack)).open("rb", buffering=0) as file:
                return os.pread(file.fileno(), row.size_bytes or 0, row.offset or 0)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise BlobError(
                f"The blobs in {self._directory} cannot be read ({error.strerror}): check the disk."
            ) from error

    def _write_pack(self, blobs: Mapping[str, bytes]) -> list[_Row]:
        """Write blobs into a pack of their own, durably; return their rows, which are not written yet."""
        if not blobs:
            return []
        pack = secrets.token_hex(16)
        rows: list[_Row] = []
        offset = 0
        with self._explained(), self._place(pack).open("xb", buffering=0) as file:
            for sha256, data in blobs.items():
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
                rows.append(_Row(sha256, 0.0, None, pack, offset, len(data)))
                offset += len(data)
            os.fsync(file.fileno())
        with self._explained():
            self._sync_directory()
        return rows

    def _sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _tidy(self, pack: str) -> None:
        """Remove a pack that is not used any more, and write one anew of which little is."""
        left = self._rows("pack = ?", pack)
        place = self._place(pack)
        with self._explained():
            size_bytes = place.stat().st_size if place.exists() else 0
        if sum(row.size_bytes or 0 for row in left) * 2 >= size_bytes:
            return
        # What cannot be read as it was is left out, so that its reader is told.
        kept = {row.sha256: self._read(row) for row in left}
        moved = self._write_pack(kept)
        with self._transaction(is_durable=True):
            for row in moved:
                self._connection.execute(
                    "UPDATE blobs SET pack = ?, offset = ?, size_bytes = ? WHERE sha256 = ? AND pack = ?",
                    [row.pack, row.offset, row.size_bytes, row.sha256, pack],
                )
        place.unlink(missing_ok=True)

    def _remove_unnamed(self) -> None:
        named = {
            pack
            for (pack,) in self._connection.execute(
                "SELECT DISTINCT pack FROM blobs WHERE pack IS NOT NULL"
            )
        }
        for path in self._directory.glob("*.pack"):
            if path.stem not in named:
                path.unlink()

    def _place(self, pack: str) -> Path:
        return self._directory / f"{pack}.pack"

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
        except (sqlite3.Error, OSError) as error:
            raise BlobError(
                f"The blobs in {self._directory} cannot be kept ({error}): "
                "make room on its disk, or put back a copy of the directory."
            ) from error
