"""The sessions of workers: who is there, what they report, and what is sent to them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import (
    WorkerDisconnected,
    WorkerDraining,
    WorkerJoined,
    WorkerLeft,
    WorkerReported,
)
from offload.control.ports.records import SaveWorker
from offload.control.services.journal import SHOWN_SECONDS
from offload.control.services.sessions import Batch, WorkerSession
from offload.control.telemetry import log_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offload.control.services.kernel import Kernel
    from offload.control.services.logs import Logs
    from offload.control.services.views import ItemRow, LogRow

__all__ = ["HEARTBEAT_SECONDS", "Batch", "Report", "WorkerSession", "Workers"]

HEARTBEAT_SECONDS = 3.0

# A session that the server cannot go on with is a bug of one side. Trying again helps where it was a rare one; a worker
# whose sessions fail again and again would reconnect for ever, and its callers wait without a reason.
MAX_FAILED_SESSIONS = 3
FAILED_SESSIONS_WITHIN_SECONDS = 60.0
SILENT_HEARTBEATS = 3
PARTING_SECONDS = 1.0  # a worker that does not read must not keep the server from ending

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """One message of a worker."""

    seq: int
    event: WorkerReported | None
    items: Sequence[tuple[ItemRow, int]] = ()  # each with its attempt
    logs: Sequence[LogRow] = ()
    draining: bool = False


class Workers:
    """Keeps one session per worker."""

    def __init__(self, kernel: Kernel, logs: Logs) -> None:
        self._kernel = kernel
        self._logs = logs
        self._loop = asyncio.get_running_loop()
        self._watch: asyncio.TimerHandle | None = None
        self._all_left: asyncio.Future[None] | None = None
        self._failed_at: dict[str, list[float]] = {}
        self._turned_away: dict[str, str] = {}
        self._is_parting = False

    def start(self) -> None:
        """Watch for workers that fall silent."""
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(HEARTBEAT_SECONDS, self._end_silent)

    def close(self) -> None:
        """Stop watching and end all sessions. Idempotent."""
        if self._watch is not None:
            self._watch.cancel()
        for session in self._kernel.sessions.values():
            session.close()

    def join(self, joined: WorkerJoined, peer: str = "") -> WorkerSession:
        """Open a worker's session; an older one of the same worker ends. Raises `DomainError` for one turned away.

        `peer` is the address of the other end of its connection.
        """
        worker_id = joined.worker.worker_id
        reason = self._turned_away.get(worker_id)
        if reason is not None:
            raise DomainError(ErrorCode.FAILED_PRECONDITION, f"{reason}. Start another worker.")
        older = self._kernel.sessions.get(worker_id)
        if older is not None:
            older.close()
        session = self._kernel.sessions[worker_id] = WorkerSession(worker_id, peer)
        for held in joined.held:
            self._kernel.adopt_attempt(held.input_id, held.attempt)
        # A server after this one waits for those that took part.
        self._kernel.journal.write((SaveWorker(worker_id, joined.worker.name),), SHOWN_SECONDS)
        self._kernel.apply(joined)
        log_event(
            _log, logging.INFO, "worker_joined", worker_id=worker_id, name=joined.worker.name,
            held=len(joined.held), containers=len(joined.containers),
        )  # fmt: skip
        return session

    def require_container(self, peer: str, container_id: str, function_id: str) -> None:
        """Refuse whoever is not the worker, over the connection of its session, that was given this container."""
        worker_id = self._kernel.dispatcher.worker_of_container(container_id, function_id)
        session = self._kernel.sessions.get(worker_id) if worker_id else None
        if session is None or not peer or session.peer != peer:
            raise DomainError(
                ErrorCode.PERMISSION_DENIED,
                f"Container {container_id[:80]!r} of function {function_id[:80]!r} is not one of yours: only the worker that "
                "starts a container is told its secrets.",
            )

    @property
    def has_room(self) -> bool:
        """Whether the store is near enough behind for `report` not to wait."""
        return self._kernel.journal.has_room

    async def report(self, session: WorkerSession, report: Report) -> None:
        """Take in a message. Waits while the store is far behind, so that the worker is held back too."""
        self.take(session, report)
        await self._kernel.journal.wait_for_room()

    def take(self, session: WorkerSession, report: Report) -> None:
        """Take in a message without waiting."""
        session.last_heard = self._loop.time()
        if self._is_parting or self._kernel.sessions.get(session.worker_id) is not session:
            return
        # Output first: a caller sees what an input printed before its result.
        if report.logs:
            self._logs.take(report.logs)
        if report.items:
            self._kernel.keep_items(report.items)
        if report.event is not None:
            self._kernel.apply(report.event)
        if report.draining and not session.is_draining:
            session.is_draining = True
            self._kernel.apply(WorkerDraining(session.worker_id))
        if report.event is not None or report.items or report.logs:
            self._kernel.journal.after_commit(partial(session.recorded, report.seq))

    def leave(self, session: WorkerSession, said_goodbye: bool, failure: str = "") -> None:
        """Close the session; what the worker held stays with it for a while unless it said goodbye.

        `failure` says why the server could not go on with it; a worker with which that happens again and again is
        turned away.
        """
        session.close()
        worker_id = session.worker_id
        if self._kernel.sessions.get(worker_id) is not session:
            return
        del self._kernel.sessions[worker_id]
        if not self._kernel.sessions and self._all_left is not None:
            self._all_left.set_result(None)
            self._all_left = None
        if failure and self._is_failing(worker_id):
            reason = f"its last {MAX_FAILED_SESSIONS} sessions failed: {failure}"
            self._turned_away[worker_id] = reason
            self._kernel.apply(WorkerLeft(worker_id, reason))
            log_event(_log, logging.ERROR, "worker_turned_away", worker_id=worker_id, reason=reason)
            return
        has_left = said_goodbye and session.is_draining
        self._kernel.apply(WorkerLeft(worker_id) if has_left else WorkerDisconnected(worker_id))
        event = "worker_left" if has_left else "worker_disconnected"
        log_event(_log, logging.INFO, event, worker_id=worker_id)

    def _is_failing(self, worker_id: str) -> bool:
        now = asyncio.get_running_loop().time()
        since = now - FAILED_SESSIONS_WITHIN_SECONDS
        times = [at for at in self._failed_at.get(worker_id, ()) if at > since]
        self._failed_at[worker_id] = [*times, now]
        return len(times) + 1 >= MAX_FAILED_SESSIONS

    def drain(self, worker: str, reason: str) -> str:
        """Have a worker, by id or name, take nothing new, finish what it runs, and leave; return its id."""
        views = self._kernel.dispatcher.workers()
        found = [v for v in views if v.worker.worker_id == worker] or [
            v for v in views if v.worker.name == worker
        ]
        if len(found) != 1:
            problem = f"{len(found)} workers are named" if found else "There is no worker"
            raise DomainError(
                ErrorCode.NOT_FOUND,
                f"{problem} {worker!r}: `offload status` lists them with their ids.",
            )
        worker_id = found[0].worker.worker_id
        session = self._kernel.sessions.get(worker_id)
        if session is None:
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION,
                f"Worker {worker!r} is not connected: it cannot be told. Try again when it is back.",
            )
        self._kernel.apply(WorkerDraining(worker_id, reason))
        session.drain()
        log_event(_log, logging.INFO, "worker_drained", worker_id=worker_id, reason=reason)
        return worker_id

    async def shut_down_all(self) -> None:
        """Ask every worker to leave; return when they have."""
        for session in self._kernel.sessions.values():
            session.shut_down()
        if self._kernel.sessions:
            if self._all_left is None:
                self._all_left = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._all_left)

    async def part(self) -> None:
        """Take nothing more, and tell the workers what of theirs is on disk: the next server is to hear only the rest.

        Results would be recognised there when they are repeated, lines of output would be shown twice.
        """
        self._is_parting = True
        with contextlib.suppress(DomainError):
            await self._kernel.journal.flush()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PARTING_SECONDS):
                await asyncio.gather(*(s.wait_taken() for s in self._kernel.sessions.values()))

    def _end_silent(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - SILENT_HEARTBEATS * HEARTBEAT_SECONDS
        for session in tuple(self._kernel.sessions.values()):
            if session.last_heard < oldest and not self._kernel.journal.failure:
                log_event(_log, logging.WARNING, "worker_silent", worker_id=session.worker_id)
                self.leave(session, said_goodbye=False)
        self._watch = loop.call_later(HEARTBEAT_SECONDS, self._end_silent)
