"""What waits to be sent to one worker. It gathers until the session's stream takes it, all in one message."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from offload.control.core.instructions import StartContainer, StopContainer, Task
    from offload.control.core.model import Function

MAX_ASSIGNED_BYTES = 1024 * 1024


@dataclass(slots=True)
class Assigned:
    """Attempts of one function's inputs with their encoded payloads."""

    function_id: str
    tasks: list[tuple[Task, bytes]]


@dataclass(slots=True)
class Batch:
    """One message to a worker, in the order its fields are to be obeyed."""

    recorded_seq: int = 0
    functions: list[bytes] = field(default_factory=list)  # encoded FunctionDefinitions
    start: list[StartContainer] = field(default_factory=list)
    stop: list[StopContainer] = field(default_factory=list)
    assigned: list[Assigned] = field(default_factory=list)
    cancels: list[tuple[str, str]] = field(default_factory=list)  # (input id, reason)
    forget: list[str] = field(default_factory=list)
    consoles: list[tuple[str, str]] = field(default_factory=list)  # (session id, container id)
    shut_down: bool = False
    drain: bool = False
    bring: list[str] = field(default_factory=list)  # SHA-256s of blobs


class WorkerSession:
    """The server's side of one worker's open session."""

    def __init__(self, worker_id: str, peer: str = "") -> None:
        self.worker_id = worker_id
        self.peer = peer  # the other end of its connection
        self.is_draining = False
        self.last_heard = asyncio.get_running_loop().time()
        self._batches: list[Batch] = []
        self._assigned_bytes = 0
        self._known: set[str] = set()
        self._offer: Callable[[Batch], bool] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._emptied: asyncio.Future[None] | None = None
        self._is_closed = False

    async def wait_taken(self) -> None:
        """Return once nothing waits to be sent."""
        while self._batches:
            if self._emptied is None:
                self._emptied = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._emptied)

    def offer_to(self, offer: Callable[[Batch], bool]) -> None:
        """Hand assignments to `offer` at once; what it refuses waits for `next_batch` with the rest."""
        self._offer = offer

    def start(self, order: StartContainer, function: Function) -> None:
        """Ask for a container."""
        batch = self._open_batch()
        self._introduce(batch, function)
        batch.start.append(order)
        self._notify()

    def stop(self, order: StopContainer) -> None:
        """Ask for a container's end."""
        self._open_batch().stop.append(order)
        self._notify()

    def assign(self, function: Function, tasks: Iterable[tuple[Task, bytes]]) -> None:
        """Hand over attempts with their payloads, cut to messages of a bounded size."""
        batch = self._open_batch()
        self._introduce(batch, function)
        assigned: Assigned | None = None
        for task, payload in tasks:
            if assigned is None or self._assigned_bytes > MAX_ASSIGNED_BYTES:
                if self._assigned_bytes > MAX_ASSIGNED_BYTES:
                    batch = self._next_batch()
                assigned = Assigned(function.function_id, [])
                batch.assigned.append(assigned)
            assigned.tasks.append((task, payload))
            self._assigned_bytes += len(payload)
        self._send_now()

    def cancel(self, input_ids: Iterable[str], reason: str) -> None:
        """Ask for the end of inputs."""
        self._last_batch().cancels.extend((input_id, reason) for input_id in input_ids)
        self._notify()

    def forget(self, function_id: str) -> None:
        """Say that nothing more will come for the function."""
        self._known.discard(function_id)
        self._last_batch().forget.append(function_id)
        self._notify()

    def recorded(self, seq: int) -> None:
        """Say that the worker's messages up to `seq` are on disk."""
        batch = self._last_batch()
        batch.recorded_seq = max(batch.recorded_seq, seq)
        self._notify()

    def open_console(self, session_id: str, container_id: str) -> None:
        """Ask for a console in a container."""
        self._last_batch().consoles.append((session_id, container_id))
        self._notify()

    def shut_down(self) -> None:
        """Ask the worker to leave."""
        self._last_batch().shut_down = True
        self._notify()

    def drain(self) -> None:
        """Ask the worker to take nothing new, finish what it runs, and leave."""
        self._last_batch().drain = True
        self._notify()

    def bring(self, names: Iterable[str]) -> None:
        """Ask for copies of blobs, where the worker has some."""
        self._last_batch().bring.extend(names)
        self._notify()

    def close(self) -> None:
        """End the session once what waits has been taken. Idempotent."""
        self._is_closed = True
        self._notify()

    async def next_batch(self) -> Batch | None:
        """Wait for something to send; None when the session is closed."""
        while not self._batches:
            if self._is_closed:
                return None
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        return self._taken()

    def _send_now(self) -> None:
        while self._offer is not None and self._batches and self._offer(self._batches[0]):
            self._taken()
        self._notify()

    def _taken(self) -> Batch:
        batch = self._batches.pop(0)
        if not self._batches:
            self._assigned_bytes = 0
            if self._emptied is not None:
                self._emptied.set_result(None)
                self._emptied = None
        return batch

    def _introduce(self, batch: Batch, function: Function) -> None:
        if function.function_id not in self._known:
            self._known.add(function.function_id)
            batch.functions.append(function.body)

    def _last_batch(self) -> Batch:
        return self._batches[-1] if self._batches else self._next_batch()

    def _open_batch(self) -> Batch:
        # A cancel or forget is obeyed after the rest of its message, so what comes later needs a new one.
        batch = self._last_batch()
        return self._next_batch() if batch.forget or batch.cancels else batch

    def _next_batch(self) -> Batch:
        batch = Batch()
        self._batches.append(batch)
        self._assigned_bytes = 0
        return batch

    def _notify(self) -> None:
        if (self._batches or self._is_closed) and self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
