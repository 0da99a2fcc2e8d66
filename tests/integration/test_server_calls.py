"""A real server process, spoken to over the link by a scripted caller and a scripted worker."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest
from tests.support.control_server import (
    ScriptedWorker,
    Server,
    call_from,
    definition,
    hold,
    payload,
    running,
    start,
    working,
)

from offload.wire.gen import apps_pb2, blobs_pb2, calls_pb2, cluster_pb2, common_pb2, workers_pb2
from offload.wire.status import Status, WireError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


def test_a_run_comes_back_with_its_outcome(tmp_path: Path) -> None:
    async def scenario(server: Server) -> calls_pb2.RunReply:
        async with working(await server.connect()):
            caller = await call_from(await server.connect())
            return await caller.run("fc-1", "five")

    with running(tmp_path) as server:
        reply = server.play(scenario)

    assert reply.outcome.state == common_pb2.INPUT_STATE_SUCCEEDED
    assert reply.outcome.value == payload("five")
    assert reply.input_id == "in-1-0"


def test_a_repeated_run_is_joined_and_not_run_again(tmp_path: Path) -> None:
    ran: list[str] = []

    def answer(task: workers_pb2.InputTask) -> common_pb2.Outcome:
        ran.append(task.input_id)
        return common_pb2.Outcome(state=common_pb2.INPUT_STATE_SUCCEEDED, value=task.args)

    async def scenario(server: Server) -> list[calls_pb2.RunReply]:
        async with working(await server.connect(), answer):
            caller = await call_from(await server.connect())
            both = await asyncio.gather(caller.run("fc-1", "x"), caller.run("fc-1", "x"))
            return [*both, await caller.run("fc-1", "x")]

    with running(tmp_path) as server:
        replies = server.play(scenario)

    assert ran == ["in-1-0"]
    assert {reply.outcome.value.inline for reply in replies} == {b"x"}


def test_a_map_streams_each_outcome_once_and_goes_on_where_the_caller_stopped(
    tmp_path: Path,
) -> None:
    async def scenario(server: Server) -> tuple[list[int], list[int]]:
        async with working(await server.connect()):
            caller = await call_from(await server.connect())
            await caller.submit("fc-1", 1000)
            every = await caller.outcomes("fc-1")
            rest = await caller.outcomes("fc-1", after=990)
            return [o.index for o in every], [o.seq for o in rest]

    with running(tmp_path) as server:
        indices, rest = server.play(scenario)

    assert sorted(indices) == list(range(1000))
    assert rest == list(range(991, 1001))


def test_an_accepted_map_survives_a_killed_server(tmp_path: Path) -> None:
    async def before(server: Server) -> str:
        caller = await call_from(await server.connect())
        await caller.submit("fc-1", 300)
        return caller.app_id

    async def after(server: Server) -> list[calls_pb2.IndexedOutcome]:
        link = await server.connect()
        async with working(await server.connect()):
            stream = link.stream("offload.v1.Calls/Outcomes", calls_pb2.OutcomeBatch)
            await stream.send(calls_pb2.OutcomesRequest(call_id="fc-1"))
            return [outcome async for batch in stream for outcome in batch.outcomes]

    server = start(tmp_path)
    server.play(before)
    server.kill()
    with running(tmp_path) as server:
        outcomes = server.play(after)

    assert sorted(outcome.index for outcome in outcomes) == list(range(300))
    assert all(outcome.outcome.value.inline == str(outcome.index).encode() for outcome in outcomes)


def test_what_a_worker_still_holds_after_a_restart_is_not_run_again(tmp_path: Path) -> None:
    async def before(server: Server) -> ScriptedWorker:
        async with working(await server.connect(), hold) as worker:
            caller = await call_from(await server.connect())
            await caller.submit("fc-1", 1)
            await worker.arrived.wait()
            return worker

    async def after(server: Server, old: ScriptedWorker) -> list[calls_pb2.IndexedOutcome]:
        worker = ScriptedWorker(await server.connect(), hold)
        worker.held, worker.containers = old.held, old.containers
        await worker.join()
        held = worker.held["in-1-0"]
        message = workers_pb2.WorkerMessage()
        message.results.add(
            input_id=held.input_id,
            attempt=held.attempt,
            outcome=common_pb2.Outcome(
                state=common_pb2.INPUT_STATE_SUCCEEDED, value=payload("kept")
            ),
        )
        await worker.send(message)
        link = await server.connect()
        stream = link.stream("offload.v1.Calls/Outcomes", calls_pb2.OutcomeBatch)
        await stream.send(calls_pb2.OutcomesRequest(call_id="fc-1"))
        found = [outcome async for batch in stream for outcome in batch.outcomes]
        assert not worker.received or not worker.received[0].assignments
        return found

    server = start(tmp_path)
    old = server.play(before)
    server.kill()
    with running(tmp_path) as server:
        outcomes = server.play(after, old)

    assert [outcome.outcome.value for outcome in outcomes] == [payload("kept")]


def test_a_worker_is_told_when_its_results_are_on_disk(tmp_path: Path) -> None:
    async def scenario(server: Server) -> tuple[int, int]:
        async with working(await server.connect()) as worker:
            caller = await call_from(await server.connect())
            await caller.submit("fc-1", 1)
            await caller.outcomes("fc-1")
            while worker.recorded_seq < worker.seq:
                worker.recorded.clear()
                await worker.recorded.wait()
            return worker.recorded_seq, worker.seq

    with running(tmp_path) as server:
        recorded, sent = server.play(scenario)

    assert recorded == sent


def test_a_generators_items_come_in_order_and_end_with_the_outcome(tmp_path: Path) -> None:
    async def scenario(server: Server) -> tuple[list[int], int]:
        async with working(await server.connect(), hold) as worker:
            caller = await call_from(await server.connect(), definition(is_generator=True))
            await caller.submit("fc-1", 1, kind=calls_pb2.CALL_KIND_GENERATOR)
            stream = caller.link.stream("offload.v1.Calls/Items", calls_pb2.ItemBatch)
            await stream.send(calls_pb2.ItemsRequest(call_id="fc-1"))
            await worker.arrived.wait()
            held = worker.held["in-1-0"]
            for n in range(1, 4):
                message = workers_pb2.WorkerMessage()
                message.items.add(
                    input_id=held.input_id, attempt=held.attempt, seq=n, value=payload(str(n))
                )
                message.items.add(input_id=held.input_id, attempt=99, seq=n, value=payload("void"))
                await worker.send(message)
            message = workers_pb2.WorkerMessage()
            message.results.add(
                input_id=held.input_id,
                attempt=held.attempt,
                outcome=common_pb2.Outcome(state=common_pb2.INPUT_STATE_SUCCEEDED, item_count=3),
            )
            await worker.send(message)
            batches = [batch async for batch in stream]
            values = [int(item.value.inline) for batch in batches for item in batch.items]
            return values, batches[-1].outcome.item_count

    with running(tmp_path) as server:
        values, count = server.play(scenario)

    assert values == [1, 2, 3]
    assert count == 3


def test_output_reaches_the_attached_caller_before_the_result(tmp_path: Path) -> None:
    async def scenario(server: Server) -> tuple[str, str, str]:
        async with working(await server.connect(), hold) as worker:
            caller = await call_from(await server.connect())
            attached = caller.link.stream("offload.v1.Apps/Attach", apps_pb2.AppEvents)
            await attached.send(apps_pb2.AttachRequest(app_id=caller.app_id))
            result = asyncio.ensure_future(caller.run("fc-1", "x"))
            await worker.arrived.wait()
            # What is attached gets lines live only once it has read those of before.
            await first(attached, lambda events: bool(events.pools))
            held = worker.held["in-1-0"]
            message = workers_pb2.WorkerMessage()
            message.logs.add(input_id=held.input_id, stream="stdout", text="hello")
            message.results.add(
                input_id=held.input_id,
                attempt=held.attempt,
                outcome=common_pb2.Outcome(state=common_pb2.INPUT_STATE_SUCCEEDED),
            )
            await worker.send(message)
            line = (await first(attached, lambda events: bool(events.logs))).logs[0]
            was_answered = result.done()
            await result
            assert not was_answered
            return line.text, line.call_id, line.function_name

    with running(tmp_path) as server:
        line = server.play(scenario)

    assert line == ("hello", "fc-1", "square")


async def first(
    stream: AsyncIterator[apps_pb2.AppEvents], is_wanted: Callable[[apps_pb2.AppEvents], bool]
) -> apps_pb2.AppEvents:
    async for events in stream:
        if is_wanted(events):
            return events
    raise AssertionError("the stream ended without it")


def test_stopping_an_app_cancels_its_attached_calls_and_ends_the_stream(tmp_path: Path) -> None:
    async def scenario(server: Server) -> tuple[common_pb2.Outcome, str]:
        async with working(await server.connect(), hold) as worker:
            caller = await call_from(await server.connect())
            attached = caller.link.stream("offload.v1.Apps/Attach", apps_pb2.AppEvents)
            await attached.send(apps_pb2.AttachRequest(app_id=caller.app_id))
            await attached.receive()
            result = asyncio.ensure_future(caller.run("fc-1", "x"))
            await worker.arrived.wait()
            await caller.link.unary(
                "offload.v1.Apps/StopApp",
                apps_pb2.StopAppRequest(app_id=caller.app_id, reason="done"),
                apps_pb2.StopAppReply,
            )
            async for _ in attached:
                pass
            with pytest.raises(WireError) as refused:
                await caller.run("fc-2", "x")
            return (await result).outcome, refused.value.message

    with running(tmp_path) as server:
        outcome, message = server.play(scenario)

    assert outcome.state == common_pb2.INPUT_STATE_CANCELLED
    assert outcome.failure.kind == common_pb2.FAILURE_KIND_CANCELLED
    assert "stopped" in message


@pytest.mark.parametrize(
    ("method", "request_message", "reply", "words"),
    [
        ("Calls/Run", calls_pb2.RunRequest(call_id="fc-9", function_id="fu-9"), calls_pb2.RunReply, "fu-9"),
        ("Calls/Cancel", calls_pb2.CancelRequest(call_id="fc-9"), calls_pb2.CancelReply, "fc-9"),
        ("Calls/Describe", calls_pb2.DescribeRequest(call_id="fc-9"), calls_pb2.CallDescription, "fc-9"),
        ("Calls/AddInputs", calls_pb2.AddInputsRequest(call_id="fc-9"), calls_pb2.AddInputsReply, "fc-9"),
        ("Apps/StopApp", apps_pb2.StopAppRequest(app_id="ap-9"), apps_pb2.StopAppReply, "ap-9"),
        ("Apps/RegisterFunctions", apps_pb2.RegisterFunctionsRequest(app_id="ap-9"), apps_pb2.RegisterFunctionsReply, "ap-9"),
    ],
)  # fmt: skip
def test_an_unknown_id_is_named(
    tmp_path: Path,
    method: str,
    request_message: calls_pb2.RunRequest,
    reply: type[calls_pb2.RunReply],
    words: str,
) -> None:
    async def scenario(server: Server) -> WireError:
        link = await server.connect()
        with pytest.raises(WireError) as refusal:
            await link.unary(f"offload.v1.{method}", request_message, reply)
        return refusal.value

    with running(tmp_path) as server:
        error = server.play(scenario)

    assert error.status is Status.NOT_FOUND
    assert words in error.message


def test_a_blob_comes_back_and_a_wrong_digest_is_refused(tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096
    digest = hashlib.sha256(content).hexdigest()

    async def upload(server: Server, name: str) -> blobs_pb2.UploadReply | None:
        stream = (await server.connect()).stream("offload.v1.Blobs/Upload", blobs_pb2.UploadReply)
        await stream.send(blobs_pb2.UploadChunk(sha256=name))
        for at in range(0, len(content), 262144):
            await stream.send(blobs_pb2.UploadChunk(data=content[at : at + 262144]))
        await stream.end()
        return await stream.receive()

    async def scenario(server: Server) -> bytes:
        with pytest.raises(WireError) as refusal:
            await upload(server, "0" * 64)
        assert refusal.value.status is Status.DATA_LOSS
        stored = await upload(server, digest)
        assert stored is not None
        assert stored.blob.size_bytes == len(content)
        stream = (await server.connect()).stream(
            "offload.v1.Blobs/Download", blobs_pb2.DownloadChunk
        )
        await stream.send(blobs_pb2.DownloadRequest(sha256=digest))
        return b"".join([chunk.data async for chunk in stream])

    with running(tmp_path) as server:
        assert server.play(scenario) == content


def test_status_shows_what_waits_and_why(tmp_path: Path) -> None:
    async def scenario(server: Server) -> cluster_pb2.StatusReply:
        caller = await call_from(await server.connect())
        await caller.submit("fc-1", 2)
        return await caller.link.unary(
            "offload.v1.Cluster/Status",
            cluster_pb2.StatusRequest(pending_limit=10),
            cluster_pb2.StatusReply,
        )

    with running(tmp_path) as server:
        status = server.play(scenario)

    assert status.pending_total == 2
    assert [pending.function_name for pending in status.pending] == ["square", "square"]
    assert all(pending.reason for pending in status.pending)


def test_calls_are_listed_and_described(tmp_path: Path) -> None:
    async def scenario(server: Server) -> tuple[calls_pb2.CallDescription, list[str]]:
        async with working(await server.connect()):
            caller = await call_from(await server.connect())
            await caller.submit("fc-1", 3)
            await caller.outcomes("fc-1")
            described = await caller.link.unary(
                "offload.v1.Calls/Describe",
                calls_pb2.DescribeRequest(call_id="fc-1", input_limit=10),
                calls_pb2.CallDescription,
            )
            listed = await caller.link.unary(
                "offload.v1.Calls/ListCalls",
                calls_pb2.ListCallsRequest(),
                calls_pb2.ListCallsReply,
            )
            return described, [call.call_id for call in listed.calls]

    with running(tmp_path) as server:
        described, listed = server.play(scenario)

    assert described.state == "succeeded"
    assert described.counts == {"succeeded": 3}
    assert [given.index for given in described.inputs] == [0, 1, 2]
    assert listed == ["fc-1"]


def test_a_shut_down_takes_the_workers_along(tmp_path: Path) -> None:
    async def scenario(server: Server) -> bool:
        async with working(await server.connect()) as worker:
            link = await server.connect()
            await link.unary(
                "offload.v1.Cluster/ShutDown",
                cluster_pb2.ShutDownRequest(workers=True, reason="test"),
                cluster_pb2.ShutDownReply,
            )
            await link.wait_closed()
            return any(message.shut_down for message in worker.received)

    server = start(tmp_path)
    was_told = server.play(scenario)
    code, _ = server.end()

    assert was_told
    assert code == 0
    assert not (tmp_path / "server.json").exists()
