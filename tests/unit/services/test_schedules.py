"""Ticks that fire: in one commit with their calls, through restarts, and for the version that serves."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.clock import SettableClock
from tests.support.control_fakes import KnobStore
from tests.support.deploying import KEY, PickyWorker, deploy, play

from offload.control.core.deployments import VersionSchedule
from offload.control.core.errors import DomainError
from offload.control.core.schedules import Overlap, RunState, ScheduleKey, ScheduleSpec
from offload.control.ports.records import CloseCall, SaveCall, SaveInputs, SaveRun, SaveSchedule
from offload.control.services.assembly import Services
from offload.control.services.schedules import ScheduleView

NAME = ScheduleKey(*KEY, "square")
EVERY = ScheduleSpec(period_seconds=100.0)


def with_schedule(spec: ScheduleSpec = EVERY) -> tuple[VersionSchedule, ...]:
    return (VersionSchedule("square", spec, b"args"),)


async def view(services: Services) -> ScheduleView:
    (found,) = await services.schedules.list("default", "", "")
    return found


def states(found: ScheduleView) -> list[tuple[float, RunState]]:
    return [(run.tick, run.state) for run, _ in reversed(found.runs)]


def test_a_tick_fires_at_its_time_and_its_run_says_how_it_ended() -> None:
    clock = SettableClock(1000.0)

    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1, schedules=with_schedule())
        early = services.schedules.look()
        clock.time = 1100.0
        late = services.schedules.look()
        await worker.until(lambda: bool(worker.given))
        await services.kernel.journal.flush()
        found = await view(services)

        assert (early, late, found.next_at) == (1100.0, 1200.0, 1200.0)
        assert states(found) == [(1100.0, RunState.FIRED)]
        assert [outcome for _, outcome in found.runs] == ["succeeded"]

    play(scenario, clock=clock)


def test_a_decision_its_call_and_the_cursor_are_one_commit() -> None:
    clock = SettableClock(1000.0)

    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1, schedules=with_schedule())
        clock.time = 1100.0
        services.schedules.look()
        await services.kernel.journal.flush()

    store = play(scenario, clock=clock)

    (commit,) = [c for c in store.commits if any(isinstance(r, SaveRun) for r in c)]
    kinds = {type(record) for record in commit}
    assert {SaveSchedule, SaveRun, SaveCall, SaveInputs, CloseCall} <= kinds


def test_nothing_runs_before_the_decision_is_on_disk_and_a_server_that_dies_then_fires_once() -> (
    None
):
    clock = SettableClock(1000.0)
    given: list[str] = []

    async def dies(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1, schedules=with_schedule())
        clock.time = 1100.0
        store.refusal = "the server died before this was written"
        services.schedules.look()
        with pytest.raises(DomainError):
            await services.kernel.journal.flush()

        assert worker.given == []
        services.kernel.journal._records.clear()  # what is only in memory dies with it

    async def comes_back(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        services.schedules.look()
        await worker.until(lambda: bool(worker.given))
        await services.kernel.journal.flush()
        given.extend(worker.given)

        assert states(await view(services)) == [(1100.0, RunState.FIRED)]

    async def comes_back_again(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        services.schedules.look()
        await services.kernel.journal.flush()

        assert states(await view(services)) == [(1100.0, RunState.FIRED)]
        assert worker.given == []

    play(dies, comes_back, comes_back_again, clock=clock)

    assert len(given) == 1


def test_a_call_that_was_decided_and_not_dispatched_is_run_by_the_next_server() -> None:
    clock = SettableClock(1000.0)
    asked: list[str] = []

    async def dies(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1, schedules=with_schedule())
        worker.keeps = True
        clock.time = 1100.0
        services.schedules.look()
        await worker.until(lambda: bool(worker.kept))
        asked.extend(t.input_id for b in worker.kept for a in b.assigned for t, _ in a.tasks)

    async def comes_back(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await worker.until(lambda: bool(worker.given))

        assert worker.given == asked

    play(dies, comes_back, clock=clock)

    assert len(asked) == 1


def test_a_schedule_fires_for_the_version_that_serves_and_goes_on_where_it_was() -> None:
    clock = SettableClock(1000.0)

    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1, schedules=with_schedule())
        clock.time = 1150.0
        services.schedules.look()
        await deploy(services, 2, schedules=with_schedule())
        clock.time = 1200.0
        services.schedules.look()
        await services.kernel.journal.flush()
        found = await view(services)

        assert states(found) == [(1100.0, RunState.FIRED), (1200.0, RunState.FIRED)]
        calls = [store.call(run.call_id) for run, _ in found.runs]
        assert [call.function_id for call in calls if call is not None] == ["fu-2", "fu-1"]

    play(scenario, clock=clock)


def test_a_version_without_the_schedule_ends_it() -> None:
    clock = SettableClock(1000.0)

    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1, schedules=with_schedule())
        await deploy(services, 2)

        assert await services.schedules.list("default", "", "") == []
        assert store.snapshot().schedules == ()
        assert not services.schedules.is_waiting

    play(scenario, clock=clock)


def test_a_stopped_app_fires_nothing_and_makes_up_for_nothing_when_it_serves_again() -> None:
    clock = SettableClock(1000.0)

    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1, schedules=with_schedule())
        await services.deployments.stop(KEY, cancel=False, reason="")
        clock.time = 1350.0
        is_waiting = services.schedules.look()
        async for _ in services.deployments.rollback(KEY, 0):
            pass
        then = services.schedules.look()

        assert (is_waiting, then) == (None, 1400.0)
        assert states(await view(services)) == []

    play(scenario, clock=clock)


def test_a_paused_schedule_is_paused_over_a_restart_until_it_is_resumed() -> None:
    clock = SettableClock(1000.0)

    async def pauses(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1, schedules=with_schedule())
        paused = await services.schedules.pause(NAME)

        assert (paused.schedule.is_paused, paused.next_at) == (True, 0.0)

    async def resumes(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        clock.time = 1350.0
        services.schedules.look()
        resumed = await services.schedules.resume(NAME)
        services.schedules.look()

        assert (resumed.schedule.is_paused, resumed.next_at) == (False, 1400.0)
        assert states(await view(services)) == []

    play(pauses, resumes, clock=clock)


def test_a_run_that_is_asked_for_comes_beside_the_schedule() -> None:
    clock = SettableClock(1000.0)

    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1, schedules=with_schedule())
        clock.time = 1050.0
        call_id = await services.schedules.run_now(NAME)
        await worker.until(lambda: bool(worker.given))
        found = await view(services)

        assert store.call(call_id) is not None
        assert (states(found), found.next_at) == ([(1050.0, RunState.MANUAL)], 1100.0)

    play(scenario, clock=clock)


def test_a_queued_run_waits_for_the_one_before_it_also_over_a_restart() -> None:
    clock = SettableClock(1000.0)
    queueing = ScheduleSpec(period_seconds=100.0, overlap=Overlap.QUEUE)

    async def dies(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1, schedules=with_schedule(queueing))
        worker.keeps = True
        for time in (1100.0, 1200.0, 1300.0):
            clock.time = time
            services.schedules.look()
        await worker.until(lambda: bool(worker.kept))
        await services.kernel.journal.flush()
        found = await view(services)
        waiting = services.kernel.dispatcher.blocked_total

        assert [run.reason for run, _ in found.runs] == ["waits for the run before it"] * 2 + [""]
        assert waiting == 2

    async def comes_back(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await worker.until(lambda: len(worker.given) == 3)
        await services.kernel.journal.flush()
        found = await view(services)

        assert [outcome for _, outcome in found.runs] == ["succeeded"] * 3
        oldest_first = [f"in-{run.call_id[3:]}-0" for run, _ in reversed(found.runs)]
        assert worker.given == oldest_first

    play(dies, comes_back, clock=clock)


def test_a_run_that_would_overlap_is_skipped_where_that_is_wanted() -> None:
    clock = SettableClock(1000.0)
    skipping = ScheduleSpec(period_seconds=100.0, overlap=Overlap.SKIP)

    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1, schedules=with_schedule(skipping))
        worker.keeps = True
        for time in (1100.0, 1200.0):
            clock.time = time
            services.schedules.look()
        await worker.until(lambda: bool(worker.kept))

        assert states(await view(services)) == [
            (1100.0, RunState.FIRED),
            (1200.0, RunState.SKIPPED),
        ]

    play(scenario, clock=clock)


def test_a_disk_in_trouble_delays_ticks_and_loses_none() -> None:
    clock = SettableClock(1000.0)

    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1, schedules=with_schedule())
        services.kernel.journal.failure = "the disk is full"
        clock.time = 1100.0
        retry_at = services.schedules.look()
        services.kernel.journal.failure = ""
        clock.time = 1101.0
        services.schedules.look()
        await services.kernel.journal.flush()

        assert retry_at == 1100.5
        assert states(await view(services)) == [(1100.0, RunState.FIRED)]

    play(scenario, clock=clock)


def test_what_has_no_schedule_is_named() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1)
        with pytest.raises(
            DomainError, match=r"Function 'square' of app 'shop' .* has no schedule"
        ):
            await services.schedules.pause(NAME)
        await asyncio.sleep(0)

    play(scenario)
