"""Group commit: whatever gathers while one transaction is under way goes to the store in the next one.

Everything here but `_commit` runs on the event loop, so that taking a record costs an append. Records keep their order;
a batch that could not be written is kept in front and tried again, so nothing that was accepted is lost to a full disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import inf
from time import perf_counter

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.ports.records import Record
from offload.control.ports.store import Store, StoreError
from offload.control.telemetry import log_event

# How long a record may wait for company. Nobody waits for a write-behind record: gathering spares the loop the writer
# thread's competition. Somebody is shown what is to be shown when it is on disk, so that waits only for its own batch.
WRITE_BEHIND_SECONDS = 0.1
SHOWN_SECONDS = 0.002
RETRY_SECONDS = 0.5
MAX_BACKLOG_RECORDS = 20_000

_log = logging.getLogger(__name__)
Action = Callable[[], None]


class Journal:
    """Writes records in order from one thread. Must be made inside a running event loop."""

    def __init__(
        self,
        store: Store,
        observe_commit: Callable[[float, int], None],
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._retry_seconds = retry_seconds
        self._store = store
        self._observe_commit = observe_commit
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._records: list[Record] = []
        self._actions: list[Action] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._timer: asyncio.Handle | None = None
        self._due = inf  # when the next commit is to begin, in loop time
        self._committing = 0
        self._room: asyncio.Future[None] | None = None
        self.failure = ""

    @property
    def backlog(self) -> int:
        """How many records are not on disk yet."""
        return len(self._records) + self._committing

    @property
    def has_room(self) -> bool:
        """Whether `wait_for_room` would return at once."""
        return self.backlog <= MAX_BACKLOG_RECORDS

    def require_working(self) -> None:
        """Refuse new work while the store cannot take it."""
        if self.failure:
            raise DomainError(ErrorCode.RESOURCE_EXHAUSTED, self.failure)

    def write(
        self, records: Sequence[Record], within_seconds: float = WRITE_BEHIND_SECONDS
    ) -> None:
        """Write behind: begin to write within this time, after everything given before."""
        self._records.extend(records)
        self._schedule(within_seconds)

    def after_commit(self, action: Action) -> None:
        """Run `action` on the loop once everything given so far is on disk; at once if it is."""
        if not self.backlog:
            action()
            return
        self._actions.append(action)
        self._schedule(WRITE_BEHIND_SECONDS)

    async def durable(self, records: Sequence[Record]) -> None:
        """Write ahead: return once these and everything before is on disk.

        Raises `DomainError` when the store refuses. The records stay queued all the same, behind those they depend on:
        the caller must undo by a later record what it does not want.
        """
        self._records.extend(records)
        if not self.backlog:
            return
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        self._schedule(0.0)
        await waiter

    async def flush(self) -> None:
        """Return once everything given so far is on disk."""
        await self.durable(())

    async def wait_for_room(self) -> None:
        """Wait while the backlog is too long: whoever feeds the journal stops reading meanwhile."""
        while self.backlog > MAX_BACKLOG_RECORDS:
            if self._room is None:
                self._room = self._loop.create_future()
            await asyncio.shield(self._room)

    async def close(self, timeout_seconds: float = 10.0) -> int:
        """Write what is left, trying for a bounded time; return how many records could not be written."""
        deadline = self._loop.time() + timeout_seconds
        while self.backlog and self._loop.time() < deadline:
            try:
                await self.flush()
            except DomainError:
                await asyncio.sleep(self._retry_seconds)
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown(wait=True)
        return self.backlog

    def _schedule(self, within_seconds: float) -> None:
        if within_seconds >= WRITE_BEHIND_SECONDS and self._due < inf:
            return  # nothing may wait longer, so what is due already is due no later
        due = self._loop.time() + within_seconds
        if due < self._due:
            self._due = due
            if not self._committing:
                self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._due, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._due = inf
        records, self._records = self._records, []
        actions, self._actions = self._actions, []
        waiters, self._waiters = self._waiters, []
        self._committing = max(1, len(records))
        commit = self._loop.run_in_executor(self._thread, self._commit, records)
        commit.add_done_callback(partial(self._finish, records, actions, waiters))

    def _commit(self, records: list[Record]) -> float:
        began = perf_counter()
        self._store.commit(records)
        return perf_counter() - began

    def _finish(
        self,
        records: list[Record],
        actions: list[Action],
        waiters: list[asyncio.Future[None]],
        commit: asyncio.Future[float],
    ) -> None:
        self._committing = 0
        error = commit.exception()
        if error is not None:
            self._records[:0] = records
            self._actions[:0] = actions
            self._refuse(error, waiters)
            return
        self.failure = ""
        self._observe_commit(commit.result(), len(records))
        if not self._records:
            # What was asked for during the commit waits for nothing more.
            actions += self._actions
            waiters += self._waiters
            self._actions, self._waiters = [], []
            self._due = inf
        for action in actions:
            action()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        if self._room is not None and self.backlog <= MAX_BACKLOG_RECORDS:
            self._room.set_result(None)
            self._room = None
        if self._due < inf:
            self._arm()

    def _refuse(self, error: BaseException, waiters: list[asyncio.Future[None]]) -> None:
        if isinstance(error, StoreError):
            message = error.message
        else:
            message = f"The store failed unexpectedly ({type(error).__name__}: {error})."
        if not self.failure:
            log_event(_log, logging.ERROR, "store_refused", reason=message, backlog=self.backlog)
        self.failure = message
        for waiter in (*waiters, *self._waiters):
            if not waiter.done():
                waiter.set_exception(DomainError(ErrorCode.RESOURCE_EXHAUSTED, message))
        self._waiters.clear()
        self._due = self._loop.time() + self._retry_seconds
        self._arm()
