"""Opening the database file, and what its errors mean to a person."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from offload.control.ports.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Readers never wait in WAL mode; only a checkpoint by another tool on the file can make a writer wait.
_BUSY_TIMEOUT_SECONDS = 10.0

# One checkpoint moves the log into the database and waits for the disk twice. At 4,000 pages (16 MB) that comes a
# quarter as often as by default, and hot pages are moved once instead of four times.
_CHECKPOINT_PAGES = 4000

_ADVICE = {
    sqlite3.SQLITE_FULL: "has no room left on its disk ({cause}): free some space; nothing that was acknowledged is lost",
    sqlite3.SQLITE_NOTADB: "is damaged ({cause}): restore it from a backup, or move it away to start empty",
    sqlite3.SQLITE_CORRUPT: "is damaged ({cause}): restore it from a backup, or move it away to start empty",
    sqlite3.SQLITE_READONLY: "cannot be written ({cause}): let the server's user write to the file and its directory",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened ({cause}): let the server's user read and write the file and its directory",
    sqlite3.SQLITE_PERM: "cannot be opened ({cause}): let the server's user read and write the file and its directory",
    sqlite3.SQLITE_BUSY: "is held by another program ({cause}): close whatever has the file open",
    sqlite3.SQLITE_IOERR: "cannot be read or written ({cause}): check the disk and the kernel's log",
    sqlite3.SQLITE_CONSTRAINT: "refused a record that belongs to something that was never saved ({cause})",
}


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite raises into one `StoreError` that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        advice = _ADVICE.get(code, "cannot serve ({cause})")
        raise StoreError(f"The database {path} {advice.format(cause=error)}.") from error
    except (OverflowError, UnicodeEncodeError) as error:
        raise StoreError(f"The database {path} cannot hold a value ({error}).") from error


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open a connection that any one thread at a time may use, in autocommit mode."""
    connection = sqlite3.connect(
        path,
        timeout=_BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.row_factory = sqlite3.Row
    try:
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            # Debian's SQLite would write zeros over all that is removed, which costs collection as much as writing it did.
            connection.execute("PRAGMA secure_delete = FAST")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def lock(path: Path) -> int:
    """Take the lock beside the database and return its descriptor; the kernel frees it when the process ends."""
    lock_path = path.with_name(path.name + ".lock")
    try:
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        step = f"let the server's user write to {path.parent}, or choose another data directory"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            step = "free some space on its disk, or choose another data directory"
        raise StoreError(
            f"The database {path} cannot be opened ({error.strerror}): {step}."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreError(
            f"The database {path} is in use by another server (pid {holder}): "
            "stop that one, or choose another data directory."
        ) from error
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    except OSError:  # a full disk: the lock holds all the same, only its message is poorer
        pass
    return descriptor
