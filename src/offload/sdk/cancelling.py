"""Calls that nobody waits for any more: cancelled without anybody waiting for that either."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from offload.errors import OffloadError
from offload.sdk.identity import whoever_runs_this
from offload.sdk.session import current_client

if TYPE_CHECKING:
    from collections.abc import Coroutine


class Cancelling:
    """Does in the background what nobody waits for."""

    def __init__(self) -> None:
        self._background: set[asyncio.Task[None]] = set()

    def cancel_later(self, call_id: str) -> None:
        """Cancel a call that nobody waits for any more, without waiting for that."""
        self.in_background(self._cancel(call_id))

    def in_background(self, coroutine: Coroutine[object, object, None]) -> None:
        """Do something without waiting for it."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def settle(self, timeout_seconds: float) -> None:
        """Return when all of them are cancelled, or that has taken too long."""
        if self._background:
            await asyncio.wait(self._background, timeout=timeout_seconds)

    async def _cancel(self, call_id: str) -> None:
        # The caller is on its way out; where the server cannot be told, the app's lease ends the call.
        with contextlib.suppress(OffloadError):
            reason = f"cancelled by {whoever_runs_this()}, who stopped waiting for it"
            await current_client().cancel(call_id, reason)
