"""What the inputs desk needs of the worker's other parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

from offload.worker.core.hands import INTERRUPT_GRACE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from offload.wire import guest
    from offload.wire.gen.workers_pb2 import WorkerMessage
    from offload.worker.core.values import Content, Line


class Guest(Protocol):
    """A ready container, as the desk needs it."""

    container_id: str

    @property
    def hides_values(self) -> bool:
        """Whether its function has secrets, which are hidden in errors."""

    def send(self, message: guest.Message) -> None:
        """Send a frame after those sent before."""

    def send_file(self, file: IO[bytes]) -> int:
        """Send a file as a large body after what was sent before, close it, and return the body's number."""

    def kill(self, reason: str) -> None:
        """End the container; `reason` is what its running input is told."""

    def print(self, line: Line) -> None:
        """Pass a line of its output on, as far as it may print."""

    def retire(self, grace_seconds: float) -> None:
        """End the container, which has done all it is there for, within the grace, and say at once that it takes nothing more."""

    def hold(self, reason: str, *, on: bool) -> None:
        """Stop listening to it, or go on, for one reason of possibly several."""


class Uplink(Protocol):
    """The way to the server."""

    def gathering(self, size_bytes: int) -> WorkerMessage:
        """Return the message being gathered, to be added to at once; it is sent soon."""

    async def upload(self, file: IO[bytes]) -> tuple[str, int]:
        """Store the file's bytes on the server; return their SHA-256 and size. Raises `WireError`."""


@dataclass(frozen=True, slots=True)
class DeskOptions:
    """What the desk works with."""

    uplink: Uplink
    open_blob: Callable[[Content], Awaitable[IO[bytes]]]  # raises OSError with a reason
    monotonic: Callable[[], float]
    spool_dir: Path
    spool_bytes_per_container: int = 16 * 1024**3
    # Publishes what a container has written, before its result is told; returns why that could not be done.
    commit_volumes: Callable[[str], Awaitable[str]] | None = None
    cancel_grace_seconds: float = INTERRUPT_GRACE_SECONDS  # for user code to clean up in
