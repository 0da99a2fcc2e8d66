"""Blobs that are forgotten: for tests, and the plainest statement of what the others must do."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

from offload.control.blobs.digests import check_all, check_offset, mismatch, missing, no_pack
from offload.control.blobs.whole import WholeReader
from offload.control.ports.blobs import BlobError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from offload.control.ports.clock import Clock


class MemoryBlobs:
    """See `Blobs`. Nothing survives the object, and blobs are held whole."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._blobs: dict[str, bytes] = {}
        self._times: dict[str, float] = {}

    def writer(self) -> MemoryBlobWriter:
        """See `Blobs`."""
        return MemoryBlobWriter(self)

    def reader(self, sha256: str, offset: int) -> WholeReader:
        """See `Blobs`."""
        with self._lock:
            content = self._blobs.get(sha256)
        if content is None:
            raise missing(sha256)
        check_offset(sha256, offset, len(content))
        return WholeReader(content, offset)

    def write_many(self, blobs: Mapping[str, bytes]) -> None:
        """See `Blobs`."""
        check_all(blobs)
        for sha256, content in blobs.items():
            self.keep(sha256, content)

    def landing(self, machine: str) -> str:  # noqa: ARG002 - nothing can be put into this process
        """See `Blobs`."""
        return ""

    def adopt(self, pack: str, sizes: Sequence[int]) -> list[str]:  # noqa: ARG002 - as above
        """See `Blobs`."""
        raise no_pack(pack)

    def read_many(self, names: Sequence[str]) -> dict[str, bytes]:
        """See `Blobs`."""
        with self._lock:
            for sha256 in names:
                if sha256 not in self._blobs:
                    raise missing(sha256)
            return {sha256: self._blobs[sha256] for sha256 in names}

    def missing(self, names: Sequence[str]) -> list[str]:
        """See `Blobs`."""
        return [sha256 for sha256 in names if not self.has(sha256)]

    def has(self, sha256: str) -> bool:
        """See `Blobs`."""
        with self._lock:
            is_there = sha256 in self._blobs
            if is_there:
                self._times[sha256] = self._clock.now()
            return is_there

    def remove(self, sha256: str, older_than: float) -> bool:
        """See `Blobs`."""
        with self._lock:
            is_old = sha256 in self._blobs and self._times[sha256] < older_than
            if is_old:
                del self._blobs[sha256], self._times[sha256]
            return is_old

    def stale(self, older_than: float, after: str, limit: int) -> list[str]:
        """See `Blobs`."""
        with self._lock:
            old = (sha256 for sha256, time in self._times.items() if time < older_than)
            return sorted(sha256 for sha256 in old if sha256 > after)[:limit]

    def keep(self, sha256: str, content: bytes) -> None:
        """Make a finished blob visible; one that exists stays."""
        with self._lock:
            self._blobs.setdefault(sha256, content)
            self._times[sha256] = self._clock.now()


class MemoryBlobWriter:
    """See `BlobWriter`."""

    def __init__(self, blobs: MemoryBlobs) -> None:
        self._blobs = blobs
        self._content = bytearray()
        self._is_done = False

    def write(self, data: bytes) -> None:
        """See `BlobWriter`."""
        if self._is_done:
            raise BlobError("The blob is finished already: begin another one.")
        self._content += data

    def commit(self, expected_sha256: str) -> tuple[str, int]:
        """See `BlobWriter`."""
        if self._is_done:
            raise BlobError("The blob is finished already: begin another one.")
        self._is_done = True
        sha256 = hashlib.sha256(self._content).hexdigest()
        if expected_sha256 and sha256 != expected_sha256:
            raise mismatch(expected_sha256, sha256)
        self._blobs.keep(sha256, bytes(self._content))
        return sha256, len(self._content)

    def abort(self) -> None:
        """See `BlobWriter`."""
        self._is_done = True
