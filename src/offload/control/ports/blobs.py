"""The blob port: content-addressed bytes, written once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class BlobError(Exception):
    """A blob cannot be written or read; `message` says why and what a person can do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BlobMissingError(BlobError):
    """There is no such blob."""


class BlobCorruptError(BlobError):
    """The bytes do not have the SHA-256 they are kept or sent under."""

    def __init__(self, message: str, lost_sha256: str = "") -> None:
        super().__init__(message)
        self.lost_sha256 = lost_sha256  # of what was kept, and is missing now


class BlobWriter(Protocol):
    """One blob on its way in. Nothing is visible to readers before `commit` returned."""

    def write(self, data: bytes) -> None:
        """Append bytes. Blocking; raises `BlobError` (a full disk says so)."""

    def commit(self, expected_sha256: str) -> tuple[str, int]:
        """Finish durably; return the SHA-256 and the size in bytes.

        An empty `expected_sha256` accepts whatever came; another one that does not match raises `BlobCorruptError` and
        keeps nothing. A blob that exists already is kept as it is, and its time is now.
        """

    def abort(self) -> None:
        """Drop what was written, without waiting. Idempotent, harmless after `commit`, from any thread."""


class BlobReader(Protocol):
    """One blob on its way out."""

    size_bytes: int

    def read(self, size_bytes: int) -> bytes:
        """Return the next bytes, at most `size_bytes`; empty at the end. Blocking.

        The read that reaches the end of a blob raises `BlobCorruptError` when the content, with what was skipped, does not
        have its SHA-256. Such a blob is missing from then on, so that it can be uploaded again.
        """

    def close(self) -> None:
        """Release the reader. Idempotent."""


class Blobs(Protocol):
    """Keeps blobs in bounded memory, whatever their size. Blocking: called from worker threads.

    Each blob has a time: when it was last written or asked for with `has`, the later of the two. Whoever was told that a
    blob is there may take its time to say what for, because `remove` spares what has been touched since.
    """

    def writer(self) -> BlobWriter:
        """Begin a blob."""

    def reader(self, sha256: str, offset: int) -> BlobReader:
        """Open a blob at `offset` bytes; raises `BlobMissingError`."""

    def write_many(self, blobs: Mapping[str, bytes]) -> None:
        """Keep these blobs, each under its SHA-256, durably.

        Raises `BlobCorruptError` before anything is kept where the bytes are not what their name says. After another error
        some of them may be there.
        """

    def landing(self, machine: str) -> str:
        """Return a folder in which a client on that machine may put packs for `adopt`; empty where there is none."""

    def adopt(self, pack: str, sizes: Sequence[int]) -> list[str]:
        """Keep the blobs of these sizes that lie one after another in a file of the landing folder, durably; return their SHA-256s.

        The file is the store's then. Raises `BlobMissingError` where there is no such file, `BlobCorruptError` where it is of
        another length; then nothing of it is kept.
        """

    def read_many(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return these blobs whole, each verified. Raises `BlobMissingError`, and as a reader does `BlobCorruptError`."""

    def has(self, sha256: str) -> bool:
        """Whether the blob is there; if so, its time is now."""

    def missing(self, names: Sequence[str]) -> list[str]:
        """Return those of the blobs that are not there; the time of the others is now."""

    def remove(self, sha256: str, older_than: float) -> bool:
        """Remove the blob if its time is before `older_than`, in Unix seconds; return whether this call did.

        A reader that has it open reads on. Whether anything still names the blob is for the caller to know.
        """

    def stale(self, older_than: float, after: str, limit: int) -> list[str]:
        """List blobs whose time is before `older_than`, in the order of their SHA-256, those after `after` alone.

        Their times stay as they are. An empty `after` begins at the first.
        """
