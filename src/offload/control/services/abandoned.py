"""Calls whose caller went away: of a deployed app, which has no caller of its own to end them with.

A map or a generator that somebody iterates over ends with its caller. In a run of an app the app's lease sees to that; a deployed
app goes on without callers, so here each such call has a lease: it is cancelled when nobody has followed it for as long.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from offload.control.core.events import CallCancelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from offload.control.core.model import Call
    from offload.control.services.kernel import Kernel
    from offload.control.services.versions import Versions


class Abandoned:
    """Gives attached calls of deployed apps their leases."""

    def __init__(self, kernel: Kernel, versions: Versions, lease_seconds: float) -> None:
        self._kernel = kernel
        self._versions = versions
        self._lease_seconds = lease_seconds
        self._followers: dict[str, int] = {}
        self._leases: dict[str, asyncio.TimerHandle] = {}

    def expect(self, call: Call) -> None:
        """Wait for the follower of a call that was just taken in, or read back from the store.

        One that is not durable has none: its caller waits in `Run` for its only outcome, and asks for it again.
        """
        function = self._kernel.dispatcher.function(call.function_id)
        if (
            call.attached
            and call.durable
            and function is not None
            and self._versions.of_app(function.app_id) is not None
            and call.call_id not in self._followers
            and call.call_id not in self._leases
        ):
            self._start(call.call_id)

    @contextmanager
    def followed(self, call_id: str) -> Iterator[None]:
        """Keep the call meanwhile; its lease begins anew when its last follower leaves."""
        lease = self._leases.pop(call_id, None)
        if lease is not None:
            lease.cancel()
        self._followers[call_id] = self._followers.get(call_id, 0) + 1
        try:
            yield
        finally:
            self._followers[call_id] -= 1
            if not self._followers[call_id]:
                del self._followers[call_id]
                live = self._kernel.calls.get(call_id)
                if live is not None:
                    self.expect(live.call)

    def close(self) -> None:
        """Stop all timers. Idempotent."""
        for lease in self._leases.values():
            lease.cancel()

    def _start(self, call_id: str) -> None:
        loop = asyncio.get_running_loop()
        self._leases[call_id] = loop.call_later(self._lease_seconds, self._expire, call_id)

    def _expire(self, call_id: str) -> None:
        del self._leases[call_id]
        if self._kernel.dispatcher.knows_call(call_id):
            self._kernel.apply(CallCancelled(call_id, "its caller went away"))
