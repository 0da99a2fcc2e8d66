"""The server as a whole: its state, its idleness and its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from offload.control.telemetry import Load, log_event
from offload.wire.version import PACKAGE_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from offload.control.core.dispatch import Dispatcher
    from offload.control.services.apps import Apps
    from offload.control.services.kernel import Kernel
    from offload.control.services.workers import Workers

WORKERS_LEAVE_SECONDS = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What does not change while the server lives."""

    started_at: float
    data_dir: str
    version: str = PACKAGE_VERSION


class Cluster:
    """Says how the server is, and ends it."""

    def __init__(self, kernel: Kernel, apps: Apps, workers: Workers, facts: ServerFacts) -> None:
        self._kernel = kernel
        self._apps = apps
        self._workers = workers
        self.facts = facts
        self.is_kept: Callable[[], bool] = lambda: False  # although nothing runs
        self._is_stopping = asyncio.Event()
        self._stops_workers = False
        self._idle_since = asyncio.get_running_loop().time()
        self._idle_timer: asyncio.TimerHandle | None = None

    @property
    def dispatcher(self) -> Dispatcher:
        """The views of workers, containers, pools and inputs."""
        return self._kernel.dispatcher

    @property
    def drift_seconds(self) -> float:
        """What is to be added to the times of those views for people."""
        return self._kernel.drift_seconds

    def why_not_ready(self) -> str:
        """Say in one line why no new work is taken; empty when all is well."""
        if self._is_stopping.is_set():
            return "The server is shutting down."
        return self._kernel.journal.failure

    def load(self) -> Load:
        """Count what there is now."""
        dispatcher = self._kernel.dispatcher
        return Load(
            dispatcher.pending_total,
            dispatcher.running_total,
            len(dispatcher.containers()),
            len(self._kernel.sessions),
            self._kernel.journal.backlog,
        )

    def shut_down(self, workers: bool, reason: str) -> None:
        """End the server in good order; with `workers`, its workers too. Idempotent."""
        if not self._is_stopping.is_set():
            log_event(_log, logging.INFO, "server_stopping", reason=reason, workers=workers)
        self._stops_workers = self._stops_workers or workers
        self._is_stopping.set()

    async def wait_for_end(self) -> None:
        """Return when the server is to end and the workers that were told to leave have gone."""
        await self._is_stopping.wait()
        if self._stops_workers:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WORKERS_LEAVE_SECONDS):
                    await self._workers.shut_down_all()
        await self._workers.part()

    def end_when_idle(self, seconds: float) -> None:
        """Shut down, workers too, once no app was running and no call open for this long."""
        loop = asyncio.get_running_loop()
        if self._apps.running_total or self._kernel.calls or self.is_kept():
            self._idle_since = loop.time()
        elif loop.time() - self._idle_since >= seconds:
            self.shut_down(workers=True, reason=f"idle for {seconds:g} s")
            return
        pause = min(1.0, seconds / 4)
        self._idle_timer = loop.call_later(pause, self.end_when_idle, seconds)

    def close(self) -> None:
        """Stop watching. Idempotent."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
