"""Deploying on services in memory, with a worker that may not load everything."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.support.control_fakes import KnobStore, SettableClock, outside
from tests.support.keyring import MemoryKeyring
from tests.support.services import Worker, a_function

from offload.control.core.deployments import VersionSchedule
from offload.control.core.model import CallKind, ContainerReport, ContainerState, DeploymentKey
from offload.control.services.assembly import Services, start
from offload.control.services.deployments import Deployed, NewVersion
from offload.control.services.submission import CallOptions, NewCall

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from offload.control.services.sessions import Batch

KEY = DeploymentKey("default", "main", "shop")


class PickyWorker(Worker):
    """Cannot load the functions of some apps, and keeps inputs in hand where it is told to."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.broken: set[str] = set()
        self.on_start: Callable[[], None] = lambda: None
        self.keeps = False
        self.kept: list[Batch] = []
        self.stopped: list[str] = []
        self.log: list[tuple[str, str]] = []
        self._obeyed = asyncio.Event()

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until it is so, looking whenever the server has sent something."""
        while not is_so():
            self._obeyed.clear()
            await self._obeyed.wait()

    async def obey(self, batch: Batch) -> None:
        try:
            await self._obey(batch)
        finally:
            self._obeyed.set()

    async def _obey(self, batch: Batch) -> None:
        self.log += [("start", order.function_id) for order in batch.start]
        self.log += [("stop", order.container_id) for order in batch.stop]
        self.stopped += [order.container_id for order in batch.stop]
        if batch.start:
            self.on_start()
        bad = [order for order in batch.start if order.function_id in self.broken]
        batch.start = [order for order in batch.start if order not in bad]
        for order in bad:
            failed = ContainerReport(
                order.container_id, order.function_id, ContainerState.FAILED,
                reason="ImportError: no module named nope", blames_function=True,
            )  # fmt: skip
            await self.report(containers=(failed,))
        if self.keeps and batch.assigned:
            self.kept.append(batch)
            return
        await super().obey(batch)

    async def let_go(self) -> None:
        self.keeps = False
        for batch in self.kept:
            batch.start = []
            await super().obey(batch)


async def deploy(
    services: Services,
    number: int,
    digest: str = "",
    schedules: tuple[VersionSchedule, ...] = (),
    warm: int = 0,
) -> Deployed:
    """Deploy a version whose function is called `square`."""
    app_id = f"ap-{number}"
    function = a_function(app_id, f"fu-{number}", min_containers=warm, max_containers=max(1, warm))
    new = NewVersion(
        KEY, app_id, digest or f"digest {number}", [function], schedules, tag=f"v{number}"
    )
    last: object = None
    async for news in services.deployments.deploy(new):
        last = news
    assert isinstance(last, Deployed)
    return last


def a_call(
    number: int,
    call_id: str,
    *,
    attached: bool = True,
    closed: bool = True,
    any_version: bool = False,
) -> NewCall:
    """Return a call of the version's function."""
    kind = CallKind.SINGLE if closed else CallKind.MAP
    options = CallOptions(any_version=any_version)
    return NewCall(
        call_id,
        f"fu-{number}",
        kind,
        attached=attached,
        durable=True,
        closed=closed,
        options=options,
    )


def play(
    *scenarios: Callable[[Services, PickyWorker, KnobStore], Awaitable[None]],
    clock: SettableClock | None = None,
) -> KnobStore:
    """Run scenarios, each on a server of its own, one after the other on the same store."""
    store = KnobStore()
    time = clock or SettableClock()
    keyring = MemoryKeyring()

    async def run(scenario: Callable[[Services, PickyWorker, KnobStore], Awaitable[None]]) -> None:
        services = await start(replace(outside(store, time), keyring=keyring))
        worker = PickyWorker(services)
        work = asyncio.get_running_loop().create_task(worker.work())
        try:
            await scenario(services, worker, store)
        finally:
            store.refusal = ""
            work.cancel()
            await services.close()

    for scenario in scenarios:
        asyncio.run(run(scenario))
    return store
