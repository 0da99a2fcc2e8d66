"""Programs that people run in containers: brings the person's request and its worker's together. Nothing is kept of what they say.

Nothing dials a worker: it is told of a session over its own, and opens the request that the person's is joined to. Each side's
messages are taken from its request only as the other's takes them, so what is in memory are the windows of two streams.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import CallCancelled
from offload.control.telemetry import log_event

if TYPE_CHECKING:
    from offload.control.services.containers import Containers, Whose
    from offload.control.services.kernel import Kernel

# Each has the windows of two streams in memory, 4 MiB at worst.
MAX_CONSOLES = 256
ANSWER_SECONDS = 30.0  # within which a worker has heard of a session

_log = logging.getLogger(__name__)

Input = TypeVar("Input")
Output = TypeVar("Output")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where a program is to run, and the call of the container's function that is cancelled with its end."""

    container_id: str
    ends_call: str = ""


class Console(Generic[Input, Output]):
    """One program's session, between the request of a person and that of a worker."""

    def __init__(self, peer: str, inputs: AsyncIterator[Input]) -> None:
        self.peer = peer  # the worker's
        self._inputs = inputs
        self._outputs: asyncio.Future[AsyncIterator[Output]]
        self._outputs = asyncio.get_running_loop().create_future()
        self._closed = asyncio.Event()

    async def outputs(self) -> AsyncIterator[Output]:
        """Yield what the worker says, to its end."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                outputs = await asyncio.shield(self._outputs)
        except TimeoutError:
            raise DomainError(
                ErrorCode.UNAVAILABLE,
                f"The container's worker did not answer within {ANSWER_SECONDS:g} s: `offload status` says how it is. A worker "
                "of an earlier release cannot do it.",
            ) from None
        async for output in _until(self._closed, outputs):
            yield output

    async def join(self, outputs: AsyncIterator[Output]) -> AsyncIterator[Input]:
        """Take the worker's request; yield what the person says until either side is gone."""
        self._outputs.set_result(outputs)
        async for said in _until(self._closed, self._inputs):
            yield said
        # The person has nothing more to say, but may still listen.
        await self._closed.wait()

    @property
    def is_joined(self) -> bool:
        """Whether a worker has taken it."""
        return self._outputs.done()

    def close(self) -> None:
        """End both sides. Idempotent."""
        self._closed.set()
        self._outputs.cancel()


class Consoles:
    """The sessions that are open."""

    def __init__(self, kernel: Kernel, containers: Containers, most: int = MAX_CONSOLES) -> None:
        self._most = most
        self._kernel = kernel
        self.containers = containers
        self._open: dict[str, Console[object, object]] = {}

    async def run(
        self, wanted: Wanted, whose: Whose, inputs: AsyncIterator[Input]
    ) -> AsyncIterator[object]:
        """Yield what a program in the container says; `inputs` is what it is told. Raises `DomainError`."""
        container_id = wanted.container_id
        view = self.containers.require(container_id, whose)
        worker = self._kernel.sessions.get(view.worker_id)
        if worker is None:
            raise DomainError(
                ErrorCode.UNAVAILABLE,
                f"The worker of container {container_id!r} is not connected: try again when it is back.",
            )
        if len(self._open) >= self._most:
            raise DomainError(
                ErrorCode.RESOURCE_EXHAUSTED,
                f"{self._most} programs run in containers already, the most at a time: end some, and try again.",
            )
        session_id = f"cs-{secrets.token_hex(13)}"
        console: Console[object, object] = Console(worker.peer, inputs)
        self._open[session_id] = console
        log_event(
            _log, logging.INFO, "console_opened", container_id=container_id, session=session_id
        )
        try:
            worker.open_console(session_id, container_id)
            async for output in console.outputs():
                yield output
        finally:
            del self._open[session_id]
            console.close()
            log_event(_log, logging.INFO, "console_closed", session=session_id)
            live = self._kernel.calls.get(wanted.ends_call) if wanted.ends_call else None
            if live is not None and live.call.function_id == view.function.function_id:
                self._kernel.apply(CallCancelled(wanted.ends_call, "its shell has ended"))

    def join(
        self, session_id: str, peer: str, outputs: AsyncIterator[Output]
    ) -> AsyncIterator[object]:
        """Give a session to the worker that was told of it. Raises `DomainError` for anybody else, and for a second time."""
        console = self._open.get(session_id)
        if console is None or console.is_joined or not peer or console.peer != peer:
            raise DomainError(
                ErrorCode.NOT_FOUND, f"There is no session {session_id[:40]!r} for you."
            )
        return console.join(outputs)

    def close(self) -> None:
        """End all. Idempotent."""
        for console in self._open.values():
            console.close()


async def _until(closed: asyncio.Event, items: AsyncIterator[T]) -> AsyncIterator[T]:
    """Yield the items until they end or the event is set."""
    closing = asyncio.ensure_future(closed.wait())
    try:
        while True:
            coming = asyncio.ensure_future(_next(items))
            try:
                await asyncio.wait({coming, closing}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not coming.done():
                    coming.cancel()
            if not coming.done() or coming.cancelled():
                return
            try:
                item = coming.result()
            except StopAsyncIteration:
                return
            yield item
    finally:
        closing.cancel()


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items)
