"""Takes away what ended long enough ago: rows in bounded passes, then the blobs that nothing names any more."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from offload.control.ports.blobs import BlobError
from offload.control.ports.objects import Times
from offload.control.ports.store import StoreError
from offload.control.telemetry import log_event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from offload.control.ports.blobs import Blobs
    from offload.control.ports.clock import Clock
    from offload.control.ports.store import Store

# Rows of one pass: a commit that comes meanwhile waits for it, some ten milliseconds.
PASS_ROWS = 2_000
PAUSE_SECONDS = 0.05  # between passes, so that commits have most of the time
ROUND_SECONDS = 60.0  # between rounds, or as long as things are kept where that is shorter
SHORTEST_ROUND_SECONDS = 1.0
# A blob is left alone for so long after it was written or asked for: what names it may still be on its way.
BLOB_GRACE_SECONDS = 3_600.0
# How long a request may come again and find what it was answered. A client gives its server up after a minute.
ANSWER_SECONDS = 600.0
STALE_BLOBS = 1_000  # looked at in one round; the next goes on behind them

_log = logging.getLogger(__name__)


class Retention:
    """Collects, round after round, until it is stopped."""

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        clock: Clock,
        retention_seconds: float,
        object_seconds: float,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._pause_seconds = pause_seconds
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._retention_seconds = retention_seconds
        self._object_seconds = object_seconds
        self._round_seconds = min(ROUND_SECONDS, max(SHORTEST_ROUND_SECONDS, retention_seconds))
        self.also: Callable[[], Awaitable[None]] | None = None  # done in each round
        self._looked_at = ""  # the last blob of those that a round before looked at
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin with the first round."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop after the pass under way. Idempotent, legal before the start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def collect(self) -> int:
        """Collect all that may go now; return how many calls went."""
        before = self._clock.now() - self._retention_seconds
        calls = 0
        while True:
            done = await asyncio.to_thread(self._store.collect, before, PASS_ROWS)
            await asyncio.to_thread(self._remove, done.blobs)
            calls += done.calls
            if not done.rows and not done.calls:
                break
            await asyncio.sleep(self._pause_seconds)
        await self._prune_volumes(before)
        await self._collect_contents()
        await asyncio.to_thread(self._remove_stale)
        return calls

    async def _prune_volumes(self, before: float) -> None:
        trees = self._store.volumes
        orphans = await asyncio.to_thread(trees.orphans, PASS_ROWS)
        if orphans:
            await asyncio.to_thread(trees.forget, orphans)
        while True:
            done = await asyncio.to_thread(trees.prune, before, PASS_ROWS)
            await asyncio.to_thread(self._remove, done.blobs)
            if not done.rows:
                return
            await asyncio.sleep(self._pause_seconds)

    async def _collect_contents(self) -> None:
        now = self._clock.now()
        times = Times(now, now - self._object_seconds, now - ANSWER_SECONDS)
        while True:
            rows = await asyncio.to_thread(self._store.objects.collect, times, PASS_ROWS)
            if not rows:
                return
            await asyncio.sleep(self._pause_seconds)

    async def _run(self) -> None:
        while True:
            try:
                calls = await self.collect()
                if self.also is not None:
                    await self.also()
                if calls:
                    log_event(_log, logging.INFO, "calls_expired", calls=calls)
            except (StoreError, BlobError) as error:
                # A disk in trouble is told of by the journal; collecting goes on when it is well again.
                log_event(_log, logging.WARNING, "collection_failed", reason=error.message)
            await asyncio.sleep(self._round_seconds)

    def _remove(self, names: Iterable[str]) -> None:
        unused = list(names)
        if not unused:
            return
        # Before the look at what is in use: what is named after that has been touched since, however long this takes.
        older_than = self._clock.now() - BLOB_GRACE_SECONDS
        in_use = self._store.blobs_in_use(unused) | self._store.objects.blobs_in_use(unused)
        for sha256 in unused:
            if sha256 not in in_use:
                self._blobs.remove(sha256, older_than)

    def _remove_stale(self) -> None:
        """Remove uploads that nothing ever named, and what a pass before had to leave because it was young."""
        older_than = self._clock.now() - BLOB_GRACE_SECONDS
        names = self._blobs.stale(older_than, self._looked_at, STALE_BLOBS)
        self._remove(names)
        self._looked_at = names[-1] if len(names) == STALE_BLOBS else ""
