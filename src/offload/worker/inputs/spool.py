"""Large bodies on their way out of a container, on disk."""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING

from offload.wire.guest import GuestProtocolError

if TYPE_CHECKING:
    from pathlib import Path

    from offload.wire.guest import Bulk

# Bodies that no frame has named yet; a runner has two under way at most for each input that it runs.
_MAX_OPEN = 64


class SpooledBody:
    """One large body, on disk until its blob is stored."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.file: IO[bytes] | None = None
        self.size_bytes = 0
        self.is_complete = False
        self.failure = ""  # why its bytes could not be kept; empty: they were

    def write(self, data: bytes) -> None:
        """Append bytes; a full disk or quota is noted in `failure`, and what follows is dropped."""
        if self.failure:
            return
        try:
            self._spool.reserve(len(data))
            self.size_bytes += len(data)
            if self.file is None:
                self.file = tempfile.TemporaryFile(dir=self._spool.directory)  # noqa: SIM115  # closed by close()
            self.file.write(data)
        except OSError as error:
            self.close()
            self.failure = f"the worker could not keep it on disk: {error.strerror or error}"

    def close(self) -> None:
        """Remove the bytes. Idempotent."""
        if self.file is not None:
            self.file.close()
            self.file = None
        self._spool.release(self.size_bytes)
        self.size_bytes = 0


class Spool:
    """The large bodies of one container, bounded in bytes."""

    def __init__(self, directory: Path, max_bytes: int, inputs_at_once: int = 1) -> None:
        self.directory = directory
        self._max_open = max(_MAX_OPEN, 2 * inputs_at_once)
        self._max_bytes = max_bytes
        self._used_bytes = 0
        self._bodies: dict[int, SpooledBody] = {}

    def feed(self, piece: Bulk) -> None:
        """Take the next piece of a body."""
        body = self._bodies.get(piece.number)
        if body is None:
            if len(self._bodies) >= self._max_open:
                raise GuestProtocolError(f"it sent {self._max_open} bodies without naming one")
            body = self._bodies[piece.number] = SpooledBody(self)
        elif body.is_complete:
            raise GuestProtocolError(f"it sent more of body {piece.number} after its end")
        body.write(piece.data)
        body.is_complete = piece.last

    def take(self, number: int) -> SpooledBody:
        """Return a complete body and forget it; the caller closes it."""
        body = self._bodies.get(number)
        if body is None or not body.is_complete:
            raise GuestProtocolError(f"it named body {number} before it had sent it")
        return self._bodies.pop(number)

    def close(self) -> None:
        """Remove what nobody has taken. Idempotent."""
        for body in self._bodies.values():
            body.close()
        self._bodies.clear()

    def reserve(self, size_bytes: int) -> None:
        """Count bytes in; raises OSError beyond the quota."""
        if self._used_bytes + size_bytes > self._max_bytes:
            raise OSError(
                0, f"it is larger than the {self._max_bytes >> 20} MiB a container may have on disk"
            )
        self._used_bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        """Count bytes out."""
        self._used_bytes -= size_bytes
