"""One worker, from what a server says to what the server hears: a scripted server, a scripted runner, no network."""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import TYPE_CHECKING

import pytest
from tests.support.worker_bench import STOPPED, Bench, a_worker, scenario
from tests.support.worker_runner import result

from offload.wire import guest
from offload.wire.gen import common_pb2
from offload.wire.status import LinkClosedError, Status, UntrustedServerError, WireError
from offload.worker.link import RefusedError

if TYPE_CHECKING:
    from pathlib import Path


@scenario
async def test_a_worker_introduces_itself_and_runs_an_input(bench: Bench) -> None:
    await bench.start()

    bench.assign("in-1")
    run = await bench.runner.next(guest.Run)
    bench.runner.say(guest.Results((result("in-1", value=b"answer"),)))
    await bench.server.until(lambda: "in-1" in bench.server.results)

    assert bench.server.hellos[0].worker_id == "wk-1"
    assert run.tasks == (guest.Task("in-1", 1, guest.Body("pickle", b"in-1")),)
    outcome = bench.server.results["in-1"].outcome
    assert outcome.state == common_pb2.INPUT_STATE_SUCCEEDED
    assert outcome.value.inline == b"answer"


@scenario
async def test_a_container_gets_one_input_until_something_was_measured(bench: Bench) -> None:
    await bench.start()

    bench.assign("in-1", "in-2", "in-3")
    first = await bench.runner.next(guest.Run)

    assert bench.server.windows["fu-1"] == 1
    assert [task.input_id for task in first.tasks] == ["in-1"]


@scenario
async def test_short_inputs_are_prefetched_after_the_first(bench: Bench) -> None:
    await bench.start()
    await bench.warm_up()

    bench.assign("in-1", "in-2", "in-3")
    run = await bench.runner.next(guest.Run)

    assert [task.input_id for task in run.tasks] == ["in-1", "in-2", "in-3"]


@scenario
async def test_a_cancelled_input_in_hand_is_interrupted(bench: Bench) -> None:
    await bench.start()
    bench.assign("in-1")
    await bench.runner.next(guest.Run)

    bench.server.say(cancels=[{"input_id": "in-1", "reason": "no longer wanted"}])
    await bench.runner.next(guest.GiveBack)
    cancel = await bench.runner.next(guest.Cancel)
    fault = guest.Fault("offload.InputCancellation", "no longer wanted", (), None)
    bench.runner.say(
        guest.GivenBack(()), guest.Results((result("in-1", fault=fault, interrupted=True),))
    )
    await bench.server.until(lambda: "in-1" in bench.server.results)

    assert cancel == guest.Cancel(("in-1",), False, "no longer wanted")
    assert bench.server.results["in-1"].outcome.state == common_pb2.INPUT_STATE_CANCELLED


@scenario
async def test_an_input_past_its_timeout_is_interrupted_and_told_why(bench: Bench) -> None:
    await bench.start(timeout_seconds=0.05)
    bench.assign("in-1")
    await bench.runner.next(guest.Run)

    await bench.runner.next(guest.GiveBack)
    cancel = await bench.runner.next(guest.Cancel)
    fault = guest.Fault("offload.InputCancellation", "", (), None)
    bench.runner.say(
        guest.GivenBack(()), guest.Results((result("in-1", fault=fault, interrupted=True),))
    )
    await bench.server.until(lambda: "in-1" in bench.server.results)

    assert cancel.timed_out
    outcome = bench.server.results["in-1"].outcome
    assert outcome.state == common_pb2.INPUT_STATE_TIMED_OUT
    assert outcome.failure.reason == "ran longer than its timeout of 0.05 s"


@scenario
async def test_results_unrecorded_when_the_connection_broke_are_said_again(bench: Bench) -> None:
    await bench.start()
    bench.assign("in-1")
    await bench.runner.next(guest.Run)
    bench.runner.say(guest.Results((result("in-1"),)))
    await bench.server.until(lambda: "in-1" in bench.server.results)

    heard_before = len(bench.server.messages)
    bench.server.break_connection()
    await bench.server.until(lambda: len(bench.server.hellos) == 2)
    again = await bench.server.until(
        lambda: [r for m in bench.server.messages[heard_before:] for r in m.results]
    )

    assert [entry.input_id for entry in again] == ["in-1"]
    assert [held.input_id for held in bench.server.hellos[1].held] == ["in-1"]
    assert [entry.container_id for entry in bench.server.hellos[1].containers] == ["co-1"]


@scenario
async def test_a_worker_is_back_soon_after_its_server_and_brings_what_ended_and_was_yielded_meanwhile(
    bench: Bench,
) -> None:
    await bench.start(is_generator=True)
    bench.assign("in-1", "in-2")
    await bench.runner.next(guest.Run)
    loop = asyncio.get_running_loop()
    bench.server.refusal = LinkClosedError("restarting")
    bench.server.break_connection()

    bench.runner.say(
        guest.Item("in-1", 1, 1, guest.Body("pickle", b"first")),
        guest.Results((result("in-1", item_count=1),)),
    )
    dials = bench.server.dials
    await bench.server.until(lambda: bench.server.dials == dials + 4)
    bench.server.refusal, back_at = None, loop.time()
    await bench.server.until(lambda: "in-1" in bench.server.results)

    assert [held.input_id for held in bench.server.hellos[1].held] == ["in-2", "in-1"]
    assert [item.value.inline for item in bench.server.items] == [b"first"]
    # After the fourth dial it is due within 0.8 s, and never more than a second; the rest is for a busy machine.
    assert loop.time() - back_at < 3


@scenario
async def test_what_is_recorded_is_not_said_again(bench: Bench) -> None:
    await bench.start()
    bench.assign("in-1")
    await bench.runner.next(guest.Run)
    bench.runner.say(guest.Results((result("in-1"),)))
    await bench.server.until(lambda: "in-1" in bench.server.results)

    bench.server.say(recorded_seq=bench.server.messages[-1].seq)
    bench.server.break_connection()
    await bench.server.until(lambda: len(bench.server.hellos) == 2)

    assert not bench.server.hellos[1].held


@scenario
async def test_a_large_result_becomes_a_blob_first(bench: Bench) -> None:
    await bench.start()
    bench.assign("in-1")
    await bench.runner.next(guest.Run)
    piece = os.urandom(200_000)

    large = result("in-1")._replace(value=guest.Body("pickle", b"", 1))
    # More than a socket's buffer: it goes from a thread, as the worker reads in this one.
    await asyncio.to_thread(
        bench.runner.say,
        guest.Bulk(1, piece, False),
        guest.Bulk(1, piece, True),
        guest.Results((large,)),
    )
    await bench.server.until(lambda: "in-1" in bench.server.results)

    blob = bench.server.results["in-1"].outcome.value.blob
    assert bench.server.blobs[blob.sha256] == piece + piece
    assert blob.size_bytes == 400_000


@scenario
async def test_large_arguments_are_fetched_once_and_arrive_before_their_input(bench: Bench) -> None:
    await bench.start()
    await bench.warm_up()
    data = os.urandom(300_000)
    sha256 = hashlib.sha256(data).hexdigest()
    bench.server.blobs[sha256] = data
    args = {"encoding": "pickle", "blob": {"sha256": sha256, "size_bytes": len(data)}}

    tasks = [{"input_id": f"in-{i}", "attempt": 1, "args": args} for i in (1, 2)]
    bench.server.say(assignments=[{"function_id": "fu-1", "inputs": tasks}])
    first = await bench.runner.next(guest.Bulk)
    second = await bench.runner.next(guest.Bulk)
    run = await bench.runner.next(guest.Run)

    assert first.data + second.data == data
    assert (first.last, second.last) == (False, True)
    assert run.tasks[0].args.bulk == first.number
    assert bench.server.downloads == [sha256]


@scenario
async def test_output_is_attributed_to_the_containers_own_inputs_alone(bench: Bench) -> None:
    await bench.start()
    bench.assign("in-1")
    await bench.runner.next(guest.Run)

    lines = (guest.Output("in-1", "stdout", "mine"), guest.Output("in-other", "stderr", "forged"))
    bench.runner.say(guest.Outputs(lines))
    await bench.server.until(lambda: len(bench.server.logs) == 2)

    assert [(line.input_id, line.text) for line in bench.server.logs] == [
        ("in-1", "mine"),
        ("", "forged"),
    ]
    assert bench.server.logs[0].app_id == "ap-1"


@scenario
async def test_a_leaving_worker_gives_back_its_inputs_and_says_goodbye(bench: Bench) -> None:
    await bench.start()
    bench.assign("in-1", "in-2")
    await bench.runner.next(guest.Run)

    bench.agent.leave()
    await bench.runner.next(guest.Stop)
    bench.runner.say(guest.Results((result("in-1"),)))
    bench.runner.hang_up()
    await bench.server.until(lambda: "in-1" in bench.server.results)
    await bench.server.until(lambda: STOPPED in bench.server.states("co-1"))
    bench.server.say(recorded_seq=bench.server.messages[-1].seq)
    await asyncio.wait_for(bench.running, 10)

    assert any(message.draining for message in bench.server.messages)
    assert set(bench.server.returned) == {"in-2"}


@scenario
async def test_a_worker_that_is_shut_down_gives_back_at_once_also_what_runs(bench: Bench) -> None:
    await bench.start()
    bench.assign("in-1")
    await bench.runner.next(guest.Run)

    bench.server.say(shut_down=True)
    await bench.server.until(lambda: STOPPED in bench.server.states("co-1"))
    bench.server.say(recorded_seq=bench.server.messages[-1].seq)
    await asyncio.wait_for(bench.running, 10)

    assert bench.server.returned.keys() == {"in-1"}


# What a person must put right: the token, the release, the authority of the certificate.
_REFUSALS = [
    WireError(Status.UNAUTHENTICATED, "wrong token"),
    WireError(Status.FAILED_PRECONDITION, "another protocol"),
    UntrustedServerError("certificate of a stranger"),
]


@pytest.mark.parametrize("refusal", _REFUSALS, ids=lambda refusal: refusal.message)
def test_a_worker_that_has_it_wrong_from_the_start_ends_with_the_reason(
    tmp_path: Path, refusal: WireError
) -> None:
    async def main() -> None:
        async with a_worker(tmp_path, refusal=refusal) as bench:
            await asyncio.wait_for(bench.running, 10)

    with pytest.raises(RefusedError, match=refusal.message):
        asyncio.run(main())


@pytest.mark.parametrize("refusal", _REFUSALS, ids=lambda refusal: refusal.message)
def test_a_worker_that_had_it_right_says_why_and_keeps_trying_until_it_is_right_again(
    tmp_path: Path, refusal: WireError, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with a_worker(tmp_path) as bench:
            bench.server.refusal = refusal
            bench.server.break_connection()
            dials = bench.server.dials
            await bench.server.until(lambda: bench.server.dials > dials + 1)
            bench.server.refusal = None
            await bench.server.until(lambda: len(bench.server.hellos) == 2)

    asyncio.run(main())

    assert sum(refusal.message in line for line in caplog.messages) == 1


def test_a_worker_that_the_server_turns_away_ends_also_after_it_was_welcome(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with a_worker(tmp_path) as bench:
            turned_away = WireError(Status.FAILED_PRECONDITION, "Start another worker.")
            bench.server.break_connection(turned_away)
            await asyncio.wait_for(bench.running, 10)

    with pytest.raises(RefusedError, match="Start another worker"):
        asyncio.run(main())


@scenario
async def test_inputs_behind_a_slow_one_go_to_a_container_that_is_idle(bench: Bench) -> None:
    await bench.start("co-1")
    await bench.warm_up()
    bench.assign("in-slow", "in-2")
    await bench.runner.next(guest.Run)

    await bench.start("co-2")
    await bench.runner.next(guest.GiveBack)
    bench.runner.say(guest.GivenBack(("in-2",)), container=0)
    run = await bench.runner.next(guest.Run)
    bench.runner.say(guest.Results((result("in-2"),)), container=1)
    await bench.server.until(lambda: "in-2" in bench.server.results)

    assert [task.input_id for task in run.tasks] == ["in-2"]
    assert not bench.server.returned


@scenario
async def test_inputs_for_a_function_without_a_container_go_back_at_once(bench: Bench) -> None:
    bench.define()

    bench.assign("in-1")
    await bench.server.until(lambda: bench.server.returned)

    assert bench.server.returned["in-1"].reason == "its worker has no container for it any more"


@scenario
async def test_a_waiting_input_is_cancelled_without_its_container_hearing_of_it(
    bench: Bench,
) -> None:
    await bench.start()
    bench.assign("in-1", "in-2")
    await bench.runner.next(guest.Run)

    bench.server.say(cancels=[{"input_id": "in-2", "reason": "no longer wanted"}])
    await bench.server.until(lambda: "in-2" in bench.server.results)

    assert bench.server.results["in-2"].outcome.state == common_pb2.INPUT_STATE_CANCELLED
    assert bench.runner.heard.empty()


@scenario
async def test_a_repeated_assignment_is_run_once(bench: Bench) -> None:
    await bench.start()
    await bench.warm_up()

    bench.assign("in-1")
    bench.assign("in-1")
    bench.assign("in-2")
    runs = [await bench.runner.next(guest.Run) for _ in range(2)]

    assert [task.input_id for run in runs for task in run.tasks] == ["in-1", "in-2"]
