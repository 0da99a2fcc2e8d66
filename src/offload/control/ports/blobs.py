"""The blob port: content-addressed bytes, written once."""

from __future__ import annotations

from typing import Protocol


class BlobError(Exception):
    """A blob cannot be written or read; `message` says why and what a person can do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BlobMissingError(BlobError):
    """There is no such blob."""


class BlobCorruptError(BlobError):
    """The bytes do not have the SHA-256 they are kept or sent under."""


class BlobWriter(Protocol):
    """One blob on its way in. Nothing is visible to readers before `commit` returned."""

    def write(self, data: bytes) -> None:
        """Append bytes. Blocking; raises `BlobError` (a full disk says so)."""

    def commit(self, expected_sha256: str) -> tuple[str, int]:
        """Finish durably; return the SHA-256 and the size in bytes.

        An empty `expected_sha256` accepts whatever came; another one that does not match raises `BlobCorruptError` and
        keeps nothing. A blob that exists already is kept as it is.
        """

    def abort(self) -> None:
        """Drop what was written, without waiting. Idempotent, harmless after `commit`, from any thread."""


class BlobReader(Protocol):
    """One blob on its way out."""

    size_bytes: int

    def read(self, size_bytes: int) -> bytes:
        """Return the next bytes, at most `size_bytes`; empty at the end. Blocking.

        The read that reaches the end of a blob opened at offset 0 raises `BlobCorruptError` when the content does
        not have its SHA-256.
        """

    def close(self) -> None:
        """Release the reader. Idempotent."""


class Blobs(Protocol):
    """Keeps blobs in bounded memory, whatever their size. Blocking: called from worker threads."""

    def writer(self) -> BlobWriter:
        """Begin a blob."""

    def reader(self, sha256: str, offset: int) -> BlobReader:
        """Open a blob at `offset` bytes; raises `BlobMissingError`."""

    def has(self, sha256: str) -> bool:
        """Whether the blob is there."""
