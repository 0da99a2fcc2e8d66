"""What people do with containers that run: see them, read what they print, end them."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import ContainerUnwanted
from offload.control.telemetry import log_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offload.control.core.dispatch import ContainerView
    from offload.control.services.feeds import Follower
    from offload.control.services.kernel import Kernel
    from offload.control.services.logs import Logs
    from offload.control.services.reading import Reading
    from offload.control.services.views import LogRow

# How often it is looked whether a container has ended whose output somebody follows.
LOOK_SECONDS = 0.2

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose containers are meant; without an environment, those of all of the workspace."""

    workspace: str
    environment: str = ""

    def has(self, view: ContainerView) -> bool:
        """Whether the container is one of these."""
        function = view.function
        return function.workspace == self.workspace and self.environment in {
            "",
            function.environment,
        }


class Containers:
    """To a caller the containers of other workspaces do not exist."""

    def __init__(self, kernel: Kernel, reading: Reading, logs: Logs) -> None:
        self._kernel = kernel
        self._reading = reading
        self._logs = logs

    @property
    def drift_seconds(self) -> float:
        """What to add to the core's times for Unix seconds."""
        return self._kernel.drift_seconds

    def listed(self, whose: Whose, app: str) -> list[ContainerView]:
        """List those that take up room, in the order they were started; of one app, by name or id, or of all."""
        return [
            view
            for view in self._kernel.dispatcher.containers()
            if whose.has(view) and app in {"", view.function.app_name, view.function.app_id}
        ]

    def require(self, container_id: str, whose: Whose) -> ContainerView:
        """Return a container. Raises `DomainError` where there is none, or it is another workspace's."""
        view = self._kernel.dispatcher.container(container_id)
        if view is None or not whose.has(view):
            where = f"workspace {whose.workspace!r}"
            if whose.environment:
                where = f"environment {whose.environment!r} of {where}"
            raise DomainError(
                ErrorCode.NOT_FOUND,
                f"No container {container_id[:80]!r} runs in {where}: `offload container ls` lists those that do.",
            )
        return view

    def stop(self, container_id: str, whose: Whose, *, now: bool) -> None:
        """Have a container end: once what it has in hand is done, or at once."""
        self.require(container_id, whose)
        self._kernel.apply(ContainerUnwanted(container_id, now))
        log_event(_log, logging.INFO, "container_stopped", container_id=container_id, now=now)

    async def logs(
        self, container_id: str, whose: Whose, app: str, after_seq: int, *, follow: bool
    ) -> AsyncIterator[list[LogRow]]:
        """Yield what a container printed; with `follow`, until it has ended. `app` says where to look for one that has."""
        view = self._kernel.dispatcher.container(container_id)
        if view is None and app:
            app_id = await self._app_id(app, whose)
        else:
            app_id = self.require(container_id, whose).function.app_id
        follower = self._logs.follow("", app_id, after_seq, live=follow and view is not None)
        self._finish_later(container_id, follower)
        try:
            while (rows := await follower.next()) is not None:
                if own := [row for row in rows if row.container_id == container_id]:
                    yield own
        finally:
            follower.close()

    def _finish_later(self, container_id: str, follower: Follower[LogRow]) -> None:
        if follower.is_closed:
            return
        if self._kernel.dispatcher.container(container_id) is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(LOOK_SECONDS, self._finish_later, container_id, follower)
            return
        follower.finish()  # what it printed came before the news of its end

    async def _app_id(self, app: str, whose: Whose) -> str:
        stored = await self._reading.get(self._reading.store.app, app)
        is_theirs = stored is not None and stored.workspace == whose.workspace
        if stored is None or not is_theirs or whose.environment not in {"", stored.environment}:
            raise DomainError(
                ErrorCode.NOT_FOUND,
                f"There is no app {app[:80]!r} in workspace {whose.workspace!r}.",
            )
        return stored.app_id
