"""Inputs that killed their containers too often: to look at, to submit again, to put away."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.control_fakes import KnobStore
from tests.support.services import Worker, a_function, a_map, play

from offload.control.core.errors import DomainError
from offload.control.core.inputs import InputState
from offload.control.core.model import RetryPolicy
from offload.control.ports.records import SaveInputs
from offload.control.services.assembly import Services
from offload.control.services.submission import NewInput

STUBBORN = a_function(function_id="fu-2", retries=RetryPolicy(9, 0.0))


async def _lose(services: Services, worker: Worker, *indices: int, blob: str = "") -> None:
    """Let inputs of fc-1 kill their containers until they are lost."""
    await services.apps.register("ap-1", [STUBBORN])
    worker.is_killed_by_inputs = True
    new = a_map("fc-1")
    inputs = [NewInput(index, b"payload %d" % index, blob) for index in indices]
    await services.calls.submit(type(new)(new.call_id, "fu-2", new.kind, False, True, True), inputs)
    working = asyncio.ensure_future(worker.work())
    follower = await services.following.outcomes("fc-1", 0)
    states = [row.state async for rows in follower.batches() for row in rows]
    assert states == [InputState.LOST] * len(indices)
    worker.is_killed_by_inputs = False
    working.cancel()


def test_an_input_that_ended_its_container_three_times_is_a_dead_letter_with_its_reason() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        worker = Worker(services)

        await _lose(services, worker, 0)
        letters, total = await services.letters.newest("app", 10)

        assert worker.given == ["in-1-0"] * 3
        assert total == 1
        assert (letters[0].input_id, letters[0].attempts) == ("in-1-0", 3)
        assert letters[0].reason == "it ended 3 containers, the last time: signal 9"

    play(scenario)


def test_a_replayed_letter_runs_as_a_call_of_its_own_and_leaves_the_list() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        worker = Worker(services)
        await _lose(services, worker, 0, 1)

        ((input_id, call_id),) = await services.letters.replay(["in-1-1"])
        working = asyncio.ensure_future(worker.work())
        follower = await services.following.outcomes(call_id, 0)
        bodies = [row.body async for rows in follower.batches() for row in rows]
        letters, _ = await services.letters.newest("", 10)

        assert input_id == "in-1-1"
        assert bodies == [b"payload 1"]
        assert [letter.input_id for letter in letters] == ["in-1-0"]
        working.cancel()

    play(scenario)


def test_the_call_of_a_replayed_letter_keeps_the_blob_of_its_payload_in_use() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        worker = Worker(services)
        await _lose(services, worker, 0, blob="b" * 64)

        await services.letters.replay(["in-1-0"])

        inputs = [r for c in store.commits for r in c if isinstance(r, SaveInputs)]
        assert [row.blob for row in inputs[-1].rows] == ["b" * 64]
        assert inputs[-1].call_id != "fc-1"

    play(scenario)


def test_a_letter_is_replayed_although_its_app_is_stopped_and_its_containers_end_afterwards() -> (
    None
):
    async def scenario(services: Services, store: KnobStore) -> None:
        worker = Worker(services)
        await _lose(services, worker, 0)
        await services.apps.stop("ap-1", cancel=True, reason="done")

        ((_, call_id),) = await services.letters.replay(["in-1-0"])
        working = asyncio.ensure_future(worker.work())
        follower = await services.following.outcomes(call_id, 0)
        bodies = [row.body async for rows in follower.batches() for row in rows]

        assert bodies == [b"payload 0"]
        assert services.kernel.dispatcher.pools("ap-1")[0].pending == 0
        working.cancel()

    play(scenario)


def test_a_dropped_letter_is_off_the_list_and_its_outcome_stays() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        await _lose(services, Worker(services), 0, 1)

        dropped = await services.letters.drop(["in-1-0"])
        _, left = await services.letters.newest("", 10)

        assert (dropped, left) == (1, 1)
        assert store.outcome("in-1-0") is not None
        with pytest.raises(DomainError, match="offload dlq ls"):
            await services.letters.drop(["in-1-0"])

    play(scenario)
