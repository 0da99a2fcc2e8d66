"""What callers submit: keys, calls before them, graphs, expiry."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support.control_fakes import KnobStore, SettableClock, outside
from tests.support.services import Worker, a_function, a_map, play

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.ids import call_created_at, timed_call_id
from offload.control.core.inputs import InputState
from offload.control.services.assembly import Services, start
from offload.control.services.submission import CallOptions, NewInput

if TYPE_CHECKING:
    from offload.control.services.views import OutcomeRow

ONE = (NewInput(0, b"one"),)


async def _outcomes(services: Services, call_id: str) -> list[OutcomeRow]:
    follower = await services.following.outcomes(call_id, 0)
    return [row async for rows in follower.batches() for row in rows]


def test_the_same_key_is_the_same_call_whoever_submits_it_and_whenever() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        new = replace(a_map(""), options=CallOptions(idempotency_key="monday"))

        first = await services.calls.submit(new, ONE)
        again = await services.calls.submit(new, (NewInput(0, b"other"),))
        working = asyncio.ensure_future(Worker(services).work())
        rows = await _outcomes(services, first)
        ended = await services.calls.submit(new, ONE)
        other = await services.calls.submit(
            replace(new, options=CallOptions(idempotency_key="tuesday")), ONE
        )

        assert first == again == ended != other
        assert [row.body for row in rows] == [b"one"]
        working.cancel()

    play(scenario)


def test_a_key_belongs_to_its_function() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        await services.apps.register("ap-1", [a_function(function_id="fu-2", name="cube")])
        new = replace(a_map(""), options=CallOptions(idempotency_key="monday"))

        first = await services.calls.submit(new, ONE)
        second = await services.calls.submit(replace(new, function_id="fu-2"), ONE)

        assert first != second

    play(scenario)


def test_a_run_with_a_key_joins_the_call_that_has_it_and_later_gets_its_outcome() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        options = CallOptions(idempotency_key="k")

        async def run(payload: bytes) -> OutcomeRow:
            return await services.calls.run("", "fu-1", NewInput(0, payload), options=options)

        both = asyncio.gather(run(b"first"), run(b"second"))
        await asyncio.sleep(0)
        working = asyncio.ensure_future(Worker(services).work())
        first, second = await both
        await services.kernel.journal.flush()
        third = await run(b"third")

        assert first.body == second.body == third.body == b"first"
        assert first.call_id == third.call_id
        working.cancel()

    play(scenario)


def test_a_call_after_others_runs_when_they_have_succeeded_in_whatever_order_they_end() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        worker = Worker(services)
        for call_id, after in (("fc-1", ()), ("fc-2", ("fc-1",)), ("fc-3", ("fc-1", "fc-2"))):
            await services.calls.submit(a_map(call_id, after=after), ONE)
        blocked = await services.inspection.describe("fc-3", 1)
        working = asyncio.ensure_future(worker.work())

        await _outcomes(services, "fc-3")

        assert worker.given == ["in-1-0", "in-2-0", "in-3-0"]
        assert blocked.waiting_reason == "blocked until fc-1 and 1 other call ended"
        assert [view.state for view in blocked.unfinished] == [InputState.BLOCKED]
        working.cancel()

    play(scenario)


def test_a_call_may_come_after_one_that_ended_long_ago() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        working = asyncio.ensure_future(Worker(services).work())
        await services.calls.submit(a_map("fc-1"), ONE)
        await _outcomes(services, "fc-1")
        await services.kernel.journal.flush()
        await services.apps.register("ap-1", [a_function(function_id="fu-2", cpu_milli=64_000)])
        await services.calls.submit(replace(a_map("fc-9"), function_id="fu-2"), ONE)
        await services.calls.cancel("fc-9", "enough")

        await services.calls.submit(a_map("fc-2", after=("fc-1",)), ONE)
        await services.calls.submit(a_map("fc-3", after=("fc-9",)), ONE)
        await services.calls.submit(a_map("fc-4", after=("fc-9",), run_anyway=True), ONE)
        states = [(await _outcomes(services, f"fc-{n}"))[0] for n in (2, 3, 4)]

        assert [row.state for row in states] == [
            InputState.SUCCEEDED,
            InputState.FAILED,
            InputState.SUCCEEDED,
        ]
        assert states[1].reason == "blocked by fc-9, which was cancelled"
        working.cancel()

    play(scenario)


def test_a_call_after_one_nobody_knows_or_after_itself_is_refused() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        with pytest.raises(DomainError, match="no call 'fc-9'"):
            await services.calls.submit(a_map("fc-1", after=("fc-9",)), ONE)
        with pytest.raises(DomainError, match="fc-1 <- fc-1"):
            await services.calls.submit(a_map("fc-1", after=("fc-1",)), ONE)

        assert store.call("fc-1") is None
        assert not services.kernel.calls

    play(scenario)


def test_a_graph_is_taken_whole_whatever_its_order() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        worker = Worker(services)
        graph = [
            (a_map("fc-3", after=("fc-1", "fc-2")), ONE),
            (a_map("fc-2", after=("fc-1",)), ONE),
            (a_map("fc-1"), ONE),
        ]

        ids = await services.calls.submit_graph(graph)
        again = await services.calls.submit_graph(graph)
        working = asyncio.ensure_future(worker.work())
        await _outcomes(services, "fc-3")

        assert ids == again == ["fc-3", "fc-2", "fc-1"]
        assert worker.given == ["in-1-0", "in-2-0", "in-3-0"]
        working.cancel()

    play(scenario)


def test_a_graph_with_a_cycle_is_refused_with_the_cycle_named_and_nothing_of_it_kept() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        graph = [
            (a_map("fc-1"), ONE),
            (a_map("fc-2", after=("fc-1", "fc-4")), ONE),
            (a_map("fc-3", after=("fc-2",)), ONE),
            (a_map("fc-4", after=("fc-3",)), ONE),
        ]

        with pytest.raises(DomainError, match="fc-2 <- fc-4 <- fc-3 <- fc-2") as refused:
            await services.calls.submit_graph(graph)

        assert refused.value.code is ErrorCode.INVALID
        assert not services.kernel.calls

    play(scenario)


def test_a_graph_of_which_one_call_cannot_be_taken_is_refused_whole() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        graph = [(a_map("fc-1"), ONE), (a_map("fc-2", after=("fc-nowhere",)), ONE)]

        with pytest.raises(DomainError, match="fc-nowhere"):
            await services.calls.submit_graph(graph)

        assert not services.kernel.calls

    play(scenario)


def test_a_call_whose_retention_is_over_has_expired_and_one_that_never_was_is_not_found() -> None:
    async def scenario() -> None:
        clock = SettableClock()
        services = await start(replace(outside(KnobStore(), clock), retention_seconds=3600.0))
        old = timed_call_id(clock.now() - 4000, 1)
        young = timed_call_id(clock.now() - 10, 1)

        with pytest.raises(DomainError) as expired:
            await services.inspection.describe(old, 0)
        with pytest.raises(DomainError) as unknown:
            await services.inspection.describe(young, 0)

        assert expired.value.code is ErrorCode.EXPIRED
        assert "has expired" in expired.value.message
        assert unknown.value.code is ErrorCode.NOT_FOUND
        await services.close()

    asyncio.run(scenario())


def test_an_id_says_when_it_was_made() -> None:
    assert call_created_at(timed_call_id(1_764_000_000.125, 2**80 - 1)) == 1_764_000_000.125
    assert call_created_at("fc-1") is None
    assert call_created_at("fc-" + "z" * 26) is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (CallOptions(priority=1001), "Priority 1001 is out of range"),
        (CallOptions(timeout_seconds=-1.0), "must not be negative"),
        (CallOptions(timeout_seconds=float("nan")), "must not be negative"),
        (CallOptions(idempotency_key="k" * 201), "at most 200 characters"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: CallOptions, words: str) -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        with pytest.raises(DomainError, match=words):
            await services.calls.submit(replace(a_map(), options=options), ONE)

    play(scenario)
