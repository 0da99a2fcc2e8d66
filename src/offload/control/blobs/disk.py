"""Blobs as files under a directory, each under its SHA-256: `ab/abcdef…`.

A blob is written to `incoming/`, hashed on the way, and renamed once it is whole and on disk. So a file under its
SHA-256 is always whole, and what a crash leaves behind lies in `incoming/`, which is emptied at start.

The time of a blob is the modification time of its file. What looks at it and acts on what it saw does both under one lock,
`_Shelf`: else a removal could fall between the answer "it is there" and the touch that was to spare it.

Blobs that come by the thousand are kept many to a file; see `packed`. A blob that turns out to be damaged is moved
to `damaged/`, so that it is missing and may be brought again, and a person may look at what happened to it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from offload.control.blobs.digests import check_all, check_offset, is_sha256, mismatch, missing
from offload.control.blobs.packed import PackedBlobs
from offload.control.blobs.whole import WholeReader
from offload.control.ports.blobs import BlobCorruptError, BlobError, BlobMissingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from offload.control.ports.clock import Clock

_PIECE_BYTES = 1024 * 1024

_ADVICE = {
    errno.ENOSPC: "free some space on its disk",
    errno.EDQUOT: "free some space, or raise the quota of the server's user",
    errno.EACCES: "let the server's user read and write it",
    errno.EPERM: "let the server's user read and write it",
    errno.EROFS: "mount its file system writable, or choose another data directory",
    errno.EMFILE: "raise the server's limit of open files (ulimit -n)",
}


class DiskBlobs:
    """See `Blobs`. The directory is made where it is missing; no other process may use it."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._shelf = _Shelf(directory, clock)
        self._incoming = directory / "incoming"
        with _explained(directory):
            self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
            for stale in self._incoming.iterdir():
                stale.unlink()
            for shard in range(256):
                (directory / f"{shard:02x}").mkdir(mode=0o700, exist_ok=True)
            _sync_directory(directory)
        self._packed = PackedBlobs(directory / "packed", clock)

    def writer(self) -> DiskBlobWriter:
        """See `Blobs`."""
        return DiskBlobWriter(self._shelf, self._incoming)

    def reader(self, sha256: str, offset: int) -> DiskBlobReader | WholeReader:
        """See `Blobs`."""
        if not is_sha256(sha256):
            raise missing(sha256)
        try:
            return DiskBlobReader(self._shelf, sha256, offset)
        except BlobMissingError:
            packed = self._packed.get([sha256])
            if sha256 not in packed:
                raise
            check_offset(sha256, offset, len(packed[sha256]))
            return WholeReader(packed[sha256], offset)

    def write_many(self, blobs: Mapping[str, bytes]) -> None:
        """See `Blobs`."""
        check_all(blobs)
        # What a writer of its own has brought before is a file.
        self._packed.put(
            {sha256: data for sha256, data in blobs.items() if not self._shelf.touch(sha256)}
        )

    def landing(self, machine: str) -> str:
        """See `Blobs`."""
        return self._packed.landing(machine)

    def adopt(self, pack: str, sizes: Sequence[int]) -> list[str]:
        """See `Blobs`."""
        return self._packed.adopt(pack, sizes)

    def read_many(self, names: Sequence[str]) -> dict[str, bytes]:
        """See `Blobs`."""
        found = self._packed.get(names)
        for sha256 in names:
            if sha256 not in found:
                reader = self.reader(sha256, 0)
                try:
                    # The read of nothing at the end is the one that tells.
                    found[sha256] = reader.read(reader.size_bytes) + reader.read(1)
                finally:
                    reader.close()
        return found

    def has(self, sha256: str) -> bool:
        """See `Blobs`."""
        return not self.missing([sha256])

    def missing(self, names: Sequence[str]) -> list[str]:
        """See `Blobs`."""
        left = [name for name in names if not (is_sha256(name) and self._shelf.touch(name))]
        packed = self._packed.touch(left) if left else set()
        return [name for name in left if name not in packed]

    def remove(self, sha256: str, older_than: float) -> bool:
        """See `Blobs`."""
        if not is_sha256(sha256):
            return False
        was_packed = self._packed.remove(sha256, older_than)
        return self._shelf.remove(sha256, older_than) or was_packed

    def stale(self, older_than: float, after: str, limit: int) -> list[str]:
        """See `Blobs`."""
        found: list[str] = []
        for shard in range(int(after[:2], 16) if after else 0, 256):
            found += self._shelf.stale(f"{shard:02x}", older_than, after)
            if len(found) >= limit:
                break
        return sorted({*found, *self._packed.stale(older_than, after, limit)})[:limit]

    def close(self) -> None:
        """Let go of what is open. Idempotent."""
        self._packed.close()


class _Shelf:
    """Whole blobs and their times."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.directory = directory
        self._clock = clock
        self._lock = threading.Lock()

    def place(self, sha256: str) -> Path:
        """Return where the blob is or would be."""
        return self.directory / sha256[:2] / sha256

    def touch(self, sha256: str) -> bool:
        """Set the blob's time to now; return whether it is there."""
        with self._lock, _explained(self.directory):
            return self._touch(self.place(sha256))

    def put(self, sha256: str, file: Path) -> None:
        """Make the file visible under its name. It is on disk already."""
        place = self.place(sha256)
        with self._lock, _explained(self.directory):
            file.replace(place)
            self._touch(place)

    def remove(self, sha256: str, older_than: float) -> bool:
        """See `Blobs`."""
        place = self.place(sha256)
        with self._lock, _explained(self.directory), suppress(FileNotFoundError):
            if place.stat().st_mtime_ns < _nanoseconds(older_than):
                place.unlink()
                return True
        return False

    def put_aside(self, sha256: str, identity: tuple[int, int]) -> Path:
        """Move a damaged blob away, if it is still the file that was found damaged; return where it is."""
        place, aside = self.place(sha256), self.directory / "damaged" / sha256
        with self._lock, _explained(self.directory), suppress(FileNotFoundError):
            if _identity(place.stat()) == identity:
                aside.parent.mkdir(mode=0o700, exist_ok=True)
                place.replace(aside)
        return aside

    def stale(self, shard: str, older_than: float, after: str) -> list[str]:
        """Return the old blobs of one folder that come after that one, in order."""
        with _explained(self.directory), os.scandir(self.directory / shard) as entries:
            names = sorted(e.name for e in entries if e.name > after and is_sha256(e.name))
        return [name for name in names if self._is_older(name, older_than)]

    def _is_older(self, sha256: str, than: float) -> bool:
        with _explained(self.directory), suppress(FileNotFoundError):
            return self.place(sha256).stat().st_mtime_ns < _nanoseconds(than)
        return False

    def _touch(self, place: Path) -> bool:
        now = _nanoseconds(self._clock.now())
        try:
            os.utime(place, ns=(now, now))
        except FileNotFoundError:
            return False
        return True


class DiskBlobWriter:
    """See `BlobWriter`. `abort` may come from another thread in the middle of a write, and never waits for it."""

    def __init__(self, shelf: _Shelf, incoming: Path) -> None:
        self._shelf = shelf
        self._hash = hashlib.sha256()
        self._size_bytes = 0
        self._busy = threading.Lock()
        self._is_over = threading.Event()
        with _explained(shelf.directory):
            descriptor, name = tempfile.mkstemp(dir=incoming)
        self._path = Path(name)
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    def write(self, data: bytes) -> None:
        """See `BlobWriter`."""
        with self._working():
            with _explained(self._shelf.directory):
                rest = memoryview(data)
                while rest:
                    rest = rest[self._file.write(rest) :]
            self._hash.update(data)
            self._size_bytes += len(data)

    def commit(self, expected_sha256: str) -> tuple[str, int]:
        """See `BlobWriter`."""
        with self._working():
            self._is_over.set()
            sha256 = self._hash.hexdigest()
            if expected_sha256 and sha256 != expected_sha256:
                raise mismatch(expected_sha256, sha256)
            with _explained(self._shelf.directory):
                self._publish(sha256)
            return sha256, self._size_bytes

    def abort(self) -> None:
        """See `BlobWriter`."""
        self._is_over.set()
        # Closing under a write could let it go to whatever file gets the same descriptor next: then the write closes.
        if self._busy.acquire(blocking=False):
            try:
                self._drop()
            finally:
                self._busy.release()

    def __del__(self) -> None:
        """Drop what a forgotten writer wrote."""
        if hasattr(self, "_file"):
            self.abort()

    @contextmanager
    def _working(self) -> Iterator[None]:
        with self._busy:
            if self._is_over.is_set():
                raise BlobError("The blob is finished already: begin another one.")
            try:
                yield
            finally:
                if self._is_over.is_set():
                    self._drop()

    def _drop(self) -> None:
        if not self._file.closed:
            self._file.close()
            with suppress(OSError):  # published already, or removed at the next start
                self._path.unlink()

    def _publish(self, sha256: str) -> None:
        if not self._shelf.touch(sha256):
            os.fsync(self._file.fileno())
            self._shelf.put(sha256, self._path)
        # Also for another writer's rename, which may not be on disk yet.
        _sync_directory(self._shelf.place(sha256).parent)


class DiskBlobReader:
    """See `BlobReader`."""

    def __init__(self, shelf: _Shelf, sha256: str, offset: int) -> None:
        self._shelf = shelf
        self._sha256 = sha256
        path = shelf.place(sha256)
        with _explained(path):
            try:
                self._file = path.open("rb", buffering=0)
            except FileNotFoundError:
                raise missing(sha256) from None
        status = os.fstat(self._file.fileno())
        self.size_bytes = status.st_size
        self._identity = _identity(status)
        try:
            check_offset(sha256, offset, self.size_bytes)
        except BlobError:
            self._file.close()
            raise
        self._hash = hashlib.sha256()
        self._skipped_bytes = offset
        self._left_bytes = self.size_bytes - offset

    def read(self, size_bytes: int) -> bytes:
        """See `BlobReader`."""
        with _explained(Path(self._file.name)):
            self._skip()
            data = self._file.read(min(size_bytes, self._left_bytes))
        self._left_bytes -= len(data)
        self._hash.update(data)
        is_cut_short = not data and size_bytes > 0 and self._left_bytes > 0
        if is_cut_short or (self._left_bytes == 0 and self._hash.hexdigest() != self._sha256):
            aside = self._shelf.put_aside(self._sha256, self._identity)
            raise BlobCorruptError(
                f"The blob {self._sha256} was damaged on disk, and is now {aside}: upload it again.",
                self._sha256,
            )
        return data

    def close(self) -> None:
        """See `BlobReader`."""
        self._file.close()

    def _skip(self) -> None:
        """Take what is left out into the hash too: a part cannot be verified alone."""
        while self._skipped_bytes:
            data = self._file.read(min(_PIECE_BYTES, self._skipped_bytes))
            self._hash.update(data)
            # A file that has become shorter is found out at the end.
            self._skipped_bytes = self._skipped_bytes - len(data) if data else 0


def _identity(status: os.stat_result) -> tuple[int, int]:
    return (status.st_dev, status.st_ino)


def _nanoseconds(seconds: float) -> int:
    # Times are compared in the unit that files keep: as floats, what was written could read as a little earlier.
    return int(seconds * 1e9)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the system raises into one `BlobError` that says what to do."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "check the disk and the kernel's log")
        raise BlobError(
            f"The blob directory {path} cannot serve ({error.strerror}): {advice}."
        ) from error
