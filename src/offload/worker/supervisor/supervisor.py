"""All containers of this worker."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from offload.worker.core.values import ContainerState, Failure, FailureKind
from offload.worker.ports import ConsoleRefusedError
from offload.worker.supervisor.life import Life
from offload.worker.supervisor.options import Listener, SupervisorOptions

if TYPE_CHECKING:
    from offload.worker.core.values import Function, Report, Start
    from offload.worker.ports import OpenedConsole

__all__ = ["Listener", "Supervisor", "SupervisorOptions"]

_log = logging.getLogger(__name__)

_FINAL = {ContainerState.STOPPED, ContainerState.FAILED, ContainerState.DIED}


class Supervisor:
    """Starts containers, and has them all ended when it is closed."""

    def __init__(self, options: SupervisorOptions) -> None:
        self._options = options
        self._lives: dict[str, Life] = {}
        self._holds: set[str] = set()

    @property
    def reports(self) -> list[Report]:
        """Where every container is in its life."""
        return [life.report() for life in self._lives.values()]

    def start(self, order: Start, function: Function) -> None:
        """Start a container; what becomes of it is told to the listener. Repeats are harmless."""
        if order.container_id in self._lives:
            return
        life = Life(order, function, self._options)
        self._lives[order.container_id] = life
        for reason in self._holds:
            life.hold(reason, on=True)
        life.task.add_done_callback(lambda _: self._ended(life))

    def stop(self, container_id: str, grace_seconds: float) -> None:
        """End a container; see `Life.stop`. One that is gone already is no error."""
        life = self._lives.get(container_id)
        if life is not None:
            life.stop(grace_seconds)

    async def open_console(self, container_id: str) -> OpenedConsole:
        """See `HasConsoles`."""
        life = self._lives.get(container_id)
        if life is None:
            raise ConsoleRefusedError("it has ended")
        return await life.open_console()

    def forget_function(self, function_id: str) -> None:
        """End the template of a function that is no more."""
        if self._options.templates is not None:
            self._options.templates.forget(function_id)

    def hold(self, reason: str, *, on: bool) -> None:
        """Stop listening to all containers, or go on."""
        (self._holds.add if on else self._holds.discard)(reason)
        for life in self._lives.values():
            life.hold(reason, on=on)

    async def stop_all(self, grace_seconds: float) -> None:
        """End every container as `stop` does, and return when all are gone."""
        for life in list(self._lives.values()):
            life.stop(grace_seconds)
        await self._wait_all()

    def end_grace(self) -> None:
        """End at once what has been asked to end. Idempotent."""
        for life in list(self._lives.values()):
            life.stop(0.0)

    async def close(self) -> None:
        """Kill what is left. Idempotent."""
        for life in list(self._lives.values()):
            life.task.cancel()
        await self._wait_all()
        if self._options.templates is not None:
            await self._options.templates.close()

    def _ended(self, life: Life) -> None:
        self._lives.pop(life.container_id, None)
        if life.state in _FINAL:
            return
        # Ended before its first step, or by a bug of ours: nobody else would say so.
        task = life.task
        bug = None if task.cancelled() else task.exception()
        life.state, failure = ContainerState.STOPPED, None
        if bug is not None:
            _log.error("container_supervision_failed %s", life.container_id, exc_info=bug)
            life.state = ContainerState.FAILED
            failure = Failure(FailureKind.START, f"the worker failed to run it: {bug!r}")
        self._options.listener.on_report(life.report(failure))

    async def _wait_all(self) -> None:
        await asyncio.gather(*(life.task for life in self._lives.values()), return_exceptions=True)
