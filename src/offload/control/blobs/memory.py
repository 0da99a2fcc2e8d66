"""Blobs that are forgotten: for tests, and the plainest statement of what the others must do."""

from __future__ import annotations

import hashlib
import threading

from offload.control.blobs.digests import check_offset, is_sha256, mismatch, missing
from offload.control.ports.blobs import BlobError


class MemoryBlobs:
    """See `Blobs`. Nothing survives the object, and blobs are held whole."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blobs: dict[str, bytes] = {}

    def writer(self) -> MemoryBlobWriter:
        """See `Blobs`."""
        return MemoryBlobWriter(self)

    def reader(self, sha256: str, offset: int) -> MemoryBlobReader:
        """See `Blobs`."""
        with self._lock:
            content = self._blobs.get(sha256)
        if content is None:
            raise missing(sha256)
        check_offset(sha256, offset, len(content))
        return MemoryBlobReader(content, offset)

    def has(self, sha256: str) -> bool:
        """See `Blobs`."""
        with self._lock:
            return is_sha256(sha256) and sha256 in self._blobs

    def keep(self, sha256: str, content: bytes) -> None:
        """Make a finished blob visible; one that exists stays."""
        with self._lock:
            self._blobs.setdefault(sha256, content)


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


class MemoryBlobReader:
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
