"""The services together, in memory: no sockets, a scripted worker session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.support.control_fakes import KnobStore, SettableClock, outside
from tests.support.services import Worker, a_function, a_map, play

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import Result, Window
from offload.control.core.inputs import InputState
from offload.control.core.model import (
    CallKind,
    ContainerReport,
    ContainerState,
)
from offload.control.frontends.rpc.workers import WorkersHandlers
from offload.control.services.assembly import Services, start
from offload.control.services.payloads import Payloads
from offload.control.services.submission import NewCall, NewInput
from offload.control.services.views import LogRow
from offload.control.services.workers import MAX_FAILED_SESSIONS
from offload.wire.gen import workers_pb2
from offload.wire.rpc import RequestContext
from offload.wire.status import WireError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FULL = "The disk is full: make room."


def test_a_run_is_answered_before_it_is_on_disk() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        working = asyncio.ensure_future(Worker(services).work())
        store.gate.clear()

        row = await services.calls.run("fc-1", "fu-1", NewInput(0, b"five"))

        assert row.body == b"five"
        assert store.outcome("in-1-0") is None
        store.gate.set()
        await services.kernel.journal.flush()
        assert store.outcome("in-1-0") is not None
        working.cancel()

    play(scenario)


def test_an_outcome_of_a_durable_call_is_shown_only_once_it_is_on_disk() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        working = asyncio.ensure_future(Worker(services).work())
        await services.calls.submit(a_map(), [NewInput(0, b"zero"), NewInput(1, b"one")])
        follower = await services.following.outcomes("fc-1", 0)

        seen = []
        async for rows in follower.batches():
            stored = {row.seq for row in store.outcomes("fc-1", 0, 10)}
            assert {row.seq for row in rows} <= stored
            seen += [row.body for row in rows]

        assert sorted(seen) == [b"one", b"zero"]
        working.cancel()

    play(scenario)


def test_a_full_disk_refuses_new_work_with_the_stores_words_and_loses_nothing() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        await services.calls.submit(a_map("fc-1"), [NewInput(0, b"accepted")])
        store.refusal = FULL

        with pytest.raises(DomainError) as refusal:
            await services.calls.submit(a_map("fc-2"), [NewInput(0, b"refused")])
        with pytest.raises(DomainError) as second:
            await services.calls.run("fc-3", "fu-1", NewInput(0, b"refused"))

        assert refusal.value.code is second.value.code is ErrorCode.RESOURCE_EXHAUSTED
        assert refusal.value.message == second.value.message == FULL
        assert services.cluster.why_not_ready() == FULL
        store.refusal = ""
        assert await services.kernel.journal.close() == 0
        assert services.cluster.why_not_ready() == ""
        accepted, refused = store.call("fc-1"), store.call("fc-2")
        assert accepted is not None
        assert accepted.state == ""
        assert refused is not None
        assert refused.state == "cancelled"

    play(scenario)


def test_an_app_nobody_attaches_to_is_stopped_after_its_lease() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        waiter = asyncio.ensure_future(services.calls.run("fc-1", "fu-1", NewInput(0, b"x")))
        await asyncio.sleep(0)
        app = await services.apps.require_running("ap-1")
        assert app.lease is not None

        services.apps._expire(app)
        row = await waiter

        assert row.state is InputState.CANCELLED
        assert "went away" in row.reason
        assert not services.apps.is_running("ap-1")

    play(scenario)


def test_an_attached_app_has_no_lease_to_outlive() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        app = await services.apps.require_running("ap-1")
        attached = services.apps.attach("ap-1", 0)
        await anext(attached)

        assert app.lease is None
        services.apps._expire(app)
        assert services.apps.is_running("ap-1")

        await attached.aclose()  # type: ignore[attr-defined]
        assert app.lease is not None

    play(scenario)


def test_a_repeated_batch_of_inputs_changes_nothing() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        call = NewCall("fc-1", "fu-1", CallKind.MAP, attached=True, durable=True, closed=False)
        await services.calls.submit(call, [NewInput(0, b"a")])

        await services.calls.add_inputs("fc-1", [NewInput(0, b"a"), NewInput(1, b"b")], close=False)
        await services.calls.add_inputs("fc-1", [NewInput(1, b"b")], close=True)
        await services.calls.add_inputs("fc-1", [], close=True)

        stored = store.call("fc-1")
        assert stored is not None
        assert (stored.total, stored.closed) == (2, True)
        with pytest.raises(DomainError, match="closed"):
            await services.calls.add_inputs("fc-1", [NewInput(7, b"late")], close=False)

    play(scenario)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cpu_milli": 0}, "cpu must be above 0"),
        ({"memory_mib": 0}, "memory must be above 0"),
        ({"timeout_seconds": float("nan")}, "timeout must be above 0"),
        ({"name": " "}, "needs a name"),
        ({"min_containers": 5}, "min_containers"),
    ],
)
def test_a_definition_that_cannot_be_meant_is_refused(
    fields: dict[str, object], words: str
) -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        with pytest.raises(DomainError, match=words) as refusal:
            await services.apps.register("ap-1", [a_function("ap-1", **fields)])
        assert refusal.value.code is ErrorCode.INVALID

    play(scenario)


def test_lines_are_shown_in_order_stored_or_not() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        def line(text: str) -> LogRow:
            return LogRow(0, 1.0, "ap-1", "", "", "co-1", "square", "stdout", text)

        services.logs.take([line("stored")])
        await services.kernel.journal.flush()
        store.gate.clear()
        services.logs.take([line("on its way")])

        follower = services.logs.follow("", "ap-1", 0)
        rows = await follower.next()

        assert rows is not None
        assert [(row.seq, row.text) for row in rows] == [(1, "stored"), (2, "on its way")]
        services.logs.take([line("live")])
        more = await follower.next()
        assert more is not None
        assert [(row.seq, row.text) for row in more] == [(3, "live")]
        follower.close()

    play(scenario)


def test_payloads_beyond_the_bound_are_read_back_when_they_are_handed_out() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        services.kernel.payloads = Payloads(services.reading, memory_bytes=10)
        await services.calls.submit(a_map(), [NewInput(n, b"payload %d" % n) for n in range(5)])
        assert services.kernel.payloads.get("in-1-3") is None
        working = asyncio.ensure_future(Worker(services).work())

        follower = await services.following.outcomes("fc-1", 0)
        bodies = [row.body async for rows in follower.batches() for row in rows]

        assert sorted(bodies) == [b"payload %d" % n for n in range(5)]
        working.cancel()

    play(scenario)


@pytest.mark.parametrize("index", [2**32, 2**40])
def test_an_index_that_no_store_can_keep_is_refused_before_anything_is_recorded(index: int) -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        with pytest.raises(DomainError, match=f"index {index} is out of range") as refused:
            await services.calls.submit(a_map(), [NewInput(index, b"five")])

        assert refused.value.code is ErrorCode.INVALID
        assert store.call("fc-1") is None
        assert services.kernel.journal.failure == ""

    play(scenario)


def test_containers_of_an_app_stopped_before_a_restart_end_with_what_was_spawned_from_it() -> None:
    async def scenario() -> None:
        store, clock = KnobStore(), SettableClock()
        before = await start(outside(store, clock))
        await before.apps.create("app", "ap-1")
        await before.apps.register("ap-1", [a_function("ap-1")])
        spawned = NewCall("fc-1", "fu-1", CallKind.MAP, attached=False, durable=True, closed=True)
        await before.calls.submit(spawned, [NewInput(0, b"five")])
        await before.apps.stop("ap-1", cancel=False, reason="done")
        await before.close()

        after = await start(outside(store, clock))
        open_pools = len(after.kernel.dispatcher.pools("ap-1"))
        await after.calls.cancel("fc-1", "enough")

        assert open_pools == 1
        assert after.kernel.dispatcher.pools("ap-1") == []
        await after.close()

    asyncio.run(scenario())


def test_a_worker_whose_sessions_keep_failing_is_turned_away_and_named_to_those_who_wait() -> None:
    async def scenario(services: Services, _store: KnobStore) -> None:
        handlers = WorkersHandlers(services)
        hello = workers_pb2.WorkerMessage(
            seq=1, hello=workers_pb2.Hello(worker_id="wk-1", name="odd", runtimes=["fake"])
        )
        nonsense = workers_pb2.WorkerMessage(seq=2)
        nonsense.results.add(input_id="in-1-0", attempt=1)

        async def talk() -> AsyncIterator[workers_pb2.WorkerMessage]:
            yield hello
            yield nonsense

        async def session() -> None:
            async for _ in handlers.session(talk(), RequestContext("", "link")):
                pass

        await services.calls.submit(a_map(), [NewInput(0, b"five")])
        for _ in range(MAX_FAILED_SESSIONS):
            with pytest.raises(WireError, match="cannot end in state"):
                await session()
        with pytest.raises(DomainError, match="Start another worker") as refused:
            await session()

        assert refused.value.code is ErrorCode.FAILED_PRECONDITION
        (waiting,) = services.kernel.dispatcher.pending(10)
        assert waiting.reason.startswith("no worker is connected: odd was turned away: its last 3")
        assert "cannot end in state" in waiting.reason

    play(scenario)


def test_calls_whose_results_come_mixed_in_one_report_each_get_all_of_theirs() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        worker = Worker(services)
        await services.calls.submit(a_map("fc-1"), (NewInput(0, b"a"), NewInput(1, b"b")))
        await services.calls.submit(a_map("fc-2"), (NewInput(0, b"c"),))
        first = await services.following.outcomes("fc-1", 0)
        second = await services.following.outcomes("fc-2", 0)
        for follower in (first, second):  # both have read the store and listen
            follower.nudge()
            assert await follower.next() == []
        batch = await worker.session.next_batch()
        assert batch is not None
        order = batch.start[0]
        ready = ContainerReport(order.container_id, order.function_id, ContainerState.READY)
        await worker.report(containers=(ready,), windows=(Window(order.function_id, 100),))

        await worker.report(
            results=tuple(
                Result(input_id, 1, InputState.SUCCEEDED, body=b"done")
                for input_id in ("in-1-0", "in-2-0", "in-1-1")
            )
        )

        assert [row.index async for rows in first.batches() for row in rows] == [0, 1]
        assert [row.index async for rows in second.batches() for row in rows] == [0]

    play(scenario)
