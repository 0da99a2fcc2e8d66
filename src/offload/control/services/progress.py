"""What the containers of an app are doing, for whoever watches it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from offload.control.core.dispatch import PoolView
    from offload.control.services.kernel import Kernel

PROGRESS_SECONDS = 0.2


class Progress:
    """Nudges a follower at most five times a second, and only when something happened."""

    def __init__(self, kernel: Kernel, app_id: str, nudge: Callable[[], None]) -> None:
        self._kernel = kernel
        self._app_id = app_id
        self._nudge = nudge
        self._seen_revision = -1
        self._shown: list[PoolView] | None = (
            None  # the first answer says that the caller is attached
        )
        self._is_due = False
        self._timer: asyncio.Handle = asyncio.get_running_loop().call_soon(self._tick)

    def take(self) -> list[PoolView] | None:
        """Return the pools if it is time and they changed."""
        if not self._is_due:
            return None
        self._is_due = False
        pools = self._kernel.dispatcher.pools(self._app_id)
        if pools == self._shown:
            return None
        self._shown = pools
        return pools

    def close(self) -> None:
        """Stop. Idempotent."""
        self._timer.cancel()

    def _tick(self) -> None:
        if self._kernel.revision != self._seen_revision:
            self._seen_revision = self._kernel.revision
            self._is_due = True
            self._nudge()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(PROGRESS_SECONDS, self._tick)
