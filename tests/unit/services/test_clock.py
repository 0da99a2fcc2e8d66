"""A machine's clock is set, or the machine sleeps: that is no time in which anything could have run."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.control_fakes import KnobStore, SettableClock, outside
from tests.support.services import Worker, a_function, a_map

from offload.control.core.events import Started, Tick
from offload.control.core.inputs import InputState
from offload.control.services.assembly import Services, start
from offload.control.services.submission import NewInput

NIGHT_SECONDS = 8 * 3600.0
ONE = (NewInput(0, b"one"),)


async def _serving(clock: SettableClock) -> Services:
    services = await start(outside(KnobStore(), clock))
    await services.apps.create("app", "ap-1")
    await services.apps.register("ap-1", [a_function(timeout_seconds=60.0)])
    return services


@pytest.mark.parametrize("jump", [NIGHT_SECONDS, -NIGHT_SECONDS])
def test_an_input_that_runs_is_not_overdue_because_the_clock_was_set(jump: float) -> None:
    async def scenario() -> None:
        clock = SettableClock()
        services = await _serving(clock)
        worker = Worker(services)
        await services.calls.submit(a_map(timeout_seconds=600.0), ONE)
        while not worker.given:
            batch = await worker.session.next_batch()
            assert batch is not None
            worker.given += [task.input_id for a in batch.assigned for task, _ in a.tasks]
            batch.assigned.clear()
            await worker.obey(batch)
        await worker.report(started=(Started("in-1-0", 1, "ct-t-1"),))

        clock.jump = jump
        services.kernel.apply(Tick())
        running = services.kernel.dispatcher.running_total
        clock.time += 60.0 + 15.0
        services.kernel.apply(Tick())

        assert running == 1
        assert services.kernel.dispatcher.running_total == 0  # now it is overdue
        await services.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("jump", [NIGHT_SECONDS, -NIGHT_SECONDS])
def test_a_call_submitted_after_the_clock_was_set_says_when_and_has_its_whole_time(
    jump: float,
) -> None:
    async def scenario() -> None:
        clock = SettableClock()
        services = await _serving(clock)
        clock.jump = jump

        await services.calls.submit(a_map(timeout_seconds=100.0), ONE)
        clock.time += 99.0
        services.kernel.apply(Tick())
        early = await services.inspection.describe("fc-1", 1)
        clock.time += 1.0
        services.kernel.apply(Tick())
        late = await services.inspection.describe("fc-1", 1)

        assert early.call.created_at == 1_000_000.0 + jump
        assert early.call.deadline == 1_000_100.0 + jump
        assert [view.state for view in early.unfinished] == [InputState.READY]
        assert [row.state for row in late.finished] == [InputState.TIMED_OUT]
        assert late.finished[0].reason == "its call was not over within its 100 s"
        assert late.call.finished_at == clock.now()
        await services.close()

    asyncio.run(scenario())
