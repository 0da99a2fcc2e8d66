"""Damaged blobs are brought back from workers, which keep what they have fetched."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from offload.control.services.sessions import WorkerSession

# A reader waits so long. A copy that comes later is there for the next one.
PATIENCE_SECONDS = 5.0


class Copies:
    """Which blobs are lost here, and who may have them."""

    def __init__(
        self, sessions: Mapping[str, WorkerSession], patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._sessions = sessions
        self._patience_seconds = patience_seconds
        self._lost: dict[str, asyncio.Event] = {}  # each set when it is here again

    def lose(self, sha256: str) -> None:
        """Take note that a blob was found damaged, and so is missing."""
        self._lost.setdefault(sha256, asyncio.Event())

    def came(self, names: Iterable[str]) -> None:
        """Take note that blobs are here, whoever brought them."""
        for name in names if self._lost else ():
            event = self._lost.pop(name, None)
            if event is not None:
                event.set()

    async def bring(self, names: Iterable[str]) -> bool:
        """Ask all workers for those of the blobs that were lost; return whether there were some, and all are back."""
        lost = {name: self._lost[name] for name in names if name in self._lost}
        if not lost or not self._sessions:
            return False
        for session in self._sessions.values():
            session.bring(lost)
        try:
            async with asyncio.timeout(self._patience_seconds):
                await asyncio.gather(*(event.wait() for event in lost.values()))
        except TimeoutError:
            return False
        return True
