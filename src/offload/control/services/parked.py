"""Uploads that broke and may go on: what has come stays for a while, so that a large file need not come again from its start."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from offload.control.core.errors import DomainError, ErrorCode

if TYPE_CHECKING:
    from offload.control.ports.blobs import BlobWriter

# Whoever comes back does so within seconds; what is parked takes disk.
PARKED_SECONDS = 600.0
MAX_PARKED = 100


class _Parked(NamedTuple):
    writer: BlobWriter
    size_bytes: int
    timer: asyncio.TimerHandle


class ParkedUploads:
    """Unfinished blobs, by the ids that their callers have chosen."""

    def __init__(self) -> None:
        self._parked: dict[str, _Parked] = {}

    def put(self, upload_id: str, writer: BlobWriter, size_bytes: int) -> None:
        """Keep what has been written; the oldest goes where there are too many."""
        self._drop(upload_id)
        while len(self._parked) >= MAX_PARKED:
            self._drop(next(iter(self._parked)))
        timer = asyncio.get_running_loop().call_later(PARKED_SECONDS, self._drop, upload_id)
        self._parked[upload_id] = _Parked(writer, size_bytes, timer)

    def take(self, upload_id: str, offset: int) -> BlobWriter | None:
        """Return the writer to go on with; None at the start. Raises `DomainError` where there is nothing up to the offset."""
        if offset and self.size_bytes(upload_id) != offset:
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION,
                f"There is no upload {upload_id[:80]!r} of {offset} bytes to go on with: begin again.",
            )
        if not offset:
            self._drop(upload_id)
            return None
        parked = self._parked.pop(upload_id)
        parked.timer.cancel()
        return parked.writer

    def size_bytes(self, upload_id: str) -> int:
        """Return how much has been written; 0 of what is not here."""
        parked = self._parked.get(upload_id)
        return parked.size_bytes if parked is not None else 0

    def has(self, writer: BlobWriter) -> bool:
        """Whether somebody may go on with this writer."""
        return any(parked.writer is writer for parked in self._parked.values())

    def close(self) -> None:
        """Drop everything. Idempotent."""
        for upload_id in list(self._parked):
            self._drop(upload_id)

    def _drop(self, upload_id: str) -> None:
        parked = self._parked.pop(upload_id, None)
        if parked is not None:
            parked.timer.cancel()
            parked.writer.abort()
