"""What gathers for a worker, and in which order it goes out."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.support.services import a_function

from offload.control.core.instructions import StartContainer, Task
from offload.control.services.sessions import MAX_ASSIGNED_BYTES, Batch, WorkerSession

SQUARE = a_function(body=b"square")


def test_a_definition_goes_before_the_first_use_and_only_once() -> None:
    async def scenario() -> None:
        session = WorkerSession("wk-1")

        session.start(StartContainer("wk-1", "co-1", "fu-1"), SQUARE)
        session.assign(SQUARE, [(Task("in-a-0", 1), b"x")])

        batch = await session.next_batch()
        assert batch is not None
        assert batch.functions == [b"square"]
        assert len(batch.start) == len(batch.assigned) == 1

    asyncio.run(scenario())


def test_assignments_are_cut_to_messages_of_a_bounded_size() -> None:
    async def scenario() -> None:
        session = WorkerSession("wk-1")
        payload = b"x" * 60_000

        session.assign(SQUARE, [(Task(f"in-a-{n}", 1), payload) for n in range(100)])

        sizes = []
        session.close()
        while (batch := await session.next_batch()) is not None:
            sizes.append(sum(len(p) for part in batch.assigned for _, p in part.tasks))
        assert sum(sizes) == 100 * 60_000
        assert max(sizes) <= MAX_ASSIGNED_BYTES + 60_000

    asyncio.run(scenario())


def test_an_assignment_after_a_cancel_is_not_cancelled_by_it() -> None:
    async def scenario() -> None:
        session = WorkerSession("wk-1")

        session.cancel(["in-a-0"], "because")
        session.assign(SQUARE, [(Task("in-a-0", 2), b"x")])

        first, second = await session.next_batch(), await session.next_batch()
        assert first is not None
        assert second is not None
        assert first.cancels
        assert not first.assigned
        assert second.assigned

    asyncio.run(scenario())


def test_a_forgotten_function_is_introduced_again() -> None:
    async def scenario() -> None:
        session = WorkerSession("wk-1")
        session.assign(SQUARE, [(Task("in-a-0", 1), b"x")])
        session.forget("fu-1")
        again = replace(SQUARE, body=b"again")

        session.assign(again, [(Task("in-a-1", 1), b"x")])

        await session.next_batch()
        batch = await session.next_batch()
        assert batch is not None
        assert batch.functions == [b"again"]

    asyncio.run(scenario())


def test_a_closed_session_ends_after_what_waited() -> None:
    async def scenario() -> None:
        session = WorkerSession("wk-1")
        session.recorded(7)
        session.recorded(5)
        session.close()

        batch = await session.next_batch()
        assert batch is not None
        assert batch.recorded_seq == 7
        assert await session.next_batch() is None

    asyncio.run(scenario())


def test_an_offered_assignment_waits_for_nobody_and_what_is_refused_keeps_its_order() -> None:
    async def scenario() -> None:
        session = WorkerSession("wk-1")
        sent: list[Batch] = []
        has_room = True

        def offer(batch: Batch) -> bool:
            if has_room:
                sent.append(batch)
            return has_room

        session.offer_to(offer)

        session.assign(SQUARE, [(Task("in-a-0", 1), b"x")])
        has_room = False
        session.assign(SQUARE, [(Task("in-a-1", 1), b"x")])
        session.cancel(["in-a-1"], "because")
        has_room = True
        session.assign(SQUARE, [(Task("in-a-2", 1), b"x")])

        session.close()
        assert await session.next_batch() is None
        inputs = [[t.input_id for a in batch.assigned for t, _ in a.tasks] for batch in sent]
        assert inputs == [["in-a-0"], ["in-a-1"], ["in-a-2"]]
        assert sent[1].cancels

    asyncio.run(scenario())


@pytest.mark.parametrize("order", [WorkerSession.drain, WorkerSession.shut_down])
def test_an_order_to_leave_goes_out_at_once_where_nothing_else_does(
    order: Callable[[WorkerSession], None],
) -> None:
    async def scenario() -> None:
        session = WorkerSession("wk-1")
        waiting = asyncio.ensure_future(session.next_batch())
        await asyncio.sleep(0)

        order(session)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        batch = waiting.result() if waiting.done() else None
        waiting.cancel()
        assert batch is not None
        assert batch.drain or batch.shut_down

    asyncio.run(scenario())


def test_whoever_ends_the_server_waits_until_what_is_to_be_sent_was_taken() -> None:
    async def scenario() -> None:
        session = WorkerSession("wk-1")
        session.recorded(7)
        waiting = asyncio.ensure_future(session.wait_taken())
        await asyncio.sleep(0)
        was_over_early = waiting.done()

        await session.next_batch()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        assert not was_over_early
        assert waiting.done()

    asyncio.run(scenario())
