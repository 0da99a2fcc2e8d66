"""The body of a request as it comes in, held back while nobody takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Beyond so much that nobody has taken, the connection is not read; below half of it it is read again.
HIGH_BYTES = 256 * 1024


class IncomingBody:
    """Bytes in order. `changed` is called when there is more, or the end; `pause` and `resume` hold the client back."""

    def __init__(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._pieces: list[bytes] = []
        self._pause = pause
        self._resume = resume
        self._is_paused = False
        self.size_bytes = 0
        self.is_complete = False
        self.problem = ""  # why it will never be complete
        self.changed: Callable[[], None] = lambda: None

    def add(self, data: bytes) -> None:
        """Take in what came."""
        self._pieces.append(data)
        self.size_bytes += len(data)
        if self.size_bytes > HIGH_BYTES and not self._is_paused:
            self._is_paused = True
            self._pause()
        self.changed()

    def complete(self) -> None:
        """Nothing more comes."""
        self.is_complete = True
        self.changed()

    def fail(self, problem: str) -> None:
        """Nothing more comes, although there should be more."""
        self.problem = problem
        self.changed()

    def take(self, limit_bytes: int) -> bytes:
        """Return what is there, up to a limit."""
        data = b"".join(self._pieces) if len(self._pieces) != 1 else self._pieces[0]
        taken, rest = data[:limit_bytes], data[limit_bytes:]
        self._pieces = [rest] if rest else []
        self.size_bytes = len(rest)
        if self._is_paused and self.size_bytes <= HIGH_BYTES // 2:
            self._is_paused = False
            self._resume()
        return taken

    def drop(self) -> None:
        """Forget what is there, and do not hold the client back for it any more."""
        self.changed = lambda: None
        self.take(self.size_bytes)
