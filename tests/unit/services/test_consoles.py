"""Programs that people run in containers, as the server joins both sides; scripted requests, in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.support.control_fakes import KnobStore, SettableClock, outside
from tests.support.services import a_function

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import WorkerJoined
from offload.control.core.model import Capacity, ContainerReport, ContainerState, WorkerInfo
from offload.control.services.assembly import Services, start
from offload.control.services.consoles import Consoles, Wanted
from offload.control.services.containers import Whose

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from offload.control.services.workers import WorkerSession

PEER = "10.0.0.1:5"
OURS = Whose("default")


def play(scenario: Callable[[Services, WorkerSession], Awaitable[None]]) -> None:
    """Run a scenario on a server with container ct-1 on one worker."""

    async def run() -> None:
        services = await start(outside(KnobStore(), SettableClock()))
        try:
            await services.apps.create("app", "ap-1")
            await services.apps.register("ap-1", [a_function()])
            info = WorkerInfo("wk-1", "w1", "1", "host", Capacity(4000, 4096, ()), {}, ())
            there = (ContainerReport("ct-1", "fu-1", ContainerState.READY),)
            session = services.workers.join(WorkerJoined(info, (), there), PEER)
            async with asyncio.timeout(60):
                await scenario(services, session)
        finally:
            await services.close()

    asyncio.run(run())


class Said:
    """One side's request: what is put in is heard, until `end`."""

    def __init__(self, *items: str) -> None:
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        for item in items:
            self.say(item)

    def say(self, item: str) -> None:
        self._queue.put_nowait(item)

    def end(self) -> None:
        self._queue.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[str]:
        while (item := await self._queue.get()) is not None:
            yield item

    def heard(self) -> AsyncIterator[str]:
        return aiter(self)


async def told(session: WorkerSession) -> str:
    """Return the session that the worker is told of."""
    while True:
        batch = await session.next_batch()
        assert batch is not None
        if batch.consoles:
            ((session_id, container_id),) = batch.consoles
            assert container_id == "ct-1"
            return session_id


def test_what_one_side_says_the_other_hears_until_the_program_has_ended() -> None:
    async def scenario(services: Services, session: WorkerSession) -> None:
        person, worker = Said("start", "keys"), Said("output")
        seen = services.consoles.run(Wanted("ct-1"), OURS, person.heard())
        seeing = asyncio.ensure_future(anext(seen))
        session_id = await told(session)
        inputs = services.consoles.join(session_id, PEER, worker.heard())

        assert [await anext(inputs), await anext(inputs)] == ["start", "keys"]
        assert await seeing == "output"
        worker.end()

        assert [said async for said in seen] == []
        assert [said async for said in inputs] == []

    play(scenario)


def test_a_person_who_goes_ends_the_workers_side() -> None:
    async def scenario(services: Services, session: WorkerSession) -> None:
        person, worker = Said("start"), Said("output")
        seen = services.consoles.run(Wanted("ct-1"), OURS, person.heard())
        seeing = asyncio.ensure_future(anext(seen))
        inputs = services.consoles.join(await told(session), PEER, worker.heard())
        assert await anext(inputs) == "start"
        await seeing

        await seen.aclose()  # type: ignore[attr-defined]  # a generator

        assert [said async for said in inputs] == []

    play(scenario)


def test_a_session_is_for_the_worker_that_was_told_of_it_and_once() -> None:
    async def scenario(services: Services, session: WorkerSession) -> None:
        seen = services.consoles.run(Wanted("ct-1"), OURS, Said("start").heard())
        seeing = asyncio.ensure_future(anext(seen))
        session_id = await told(session)

        for peer, name in (("10.0.0.1:6", session_id), ("", session_id), (PEER, "cs-guess")):
            with pytest.raises(DomainError) as refused:
                services.consoles.join(name, peer, Said().heard())
            assert refused.value.code is ErrorCode.NOT_FOUND
        inputs = services.consoles.join(session_id, PEER, Said("output").heard())
        await anext(inputs)
        with pytest.raises(DomainError):
            services.consoles.join(session_id, PEER, Said().heard())
        await seeing

    play(scenario)


def test_containers_of_other_workspaces_do_not_exist() -> None:
    async def scenario(services: Services, _session: WorkerSession) -> None:
        containers = services.consoles.containers
        for whose in (Whose("theirs"), Whose("default", "elsewhere")):
            for attempt in (
                lambda whose=whose: containers.stop("ct-1", whose, now=True),
                lambda whose=whose: containers.require("ct-1", whose),
            ):
                with pytest.raises(DomainError) as refused:
                    attempt()
                assert refused.value.code is ErrorCode.NOT_FOUND
            with pytest.raises(DomainError):
                await anext(services.consoles.run(Wanted("ct-1"), whose, Said().heard()))
            assert containers.listed(whose, "") == []
        assert [view.container_id for view in containers.listed(OURS, "app")] == ["ct-1"]

    play(scenario)


def test_there_are_only_so_many_at_a_time() -> None:
    async def scenario(services: Services, session: WorkerSession) -> None:
        consoles = Consoles(services.kernel, services.consoles.containers, most=1)
        first = consoles.run(Wanted("ct-1"), OURS, Said("start").heard())
        seeing = asyncio.ensure_future(anext(first))
        session_id = await told(session)

        with pytest.raises(DomainError) as refused:
            await anext(consoles.run(Wanted("ct-1"), OURS, Said().heard()))

        assert refused.value.code is ErrorCode.RESOURCE_EXHAUSTED
        await anext(consoles.join(session_id, PEER, Said("output").heard()))
        await seeing

    play(scenario)
