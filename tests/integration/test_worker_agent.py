"""One worker, from what a server says to what the server hears: a scripted server, a scripted runner, no network."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.support.worker_runner import ScriptedRunner, result
from tests.support.worker_server import ScriptedServer

from offload.wire import guest
from offload.wire.gen import common_pb2, workers_pb2
from offload.wire.status import Status, WireError
from offload.worker.agent import Agent, AgentOptions
from offload.worker.core.values import WorkerFacts
from offload.worker.link import RefusedError, SessionOptions
from offload.worker.ports import Exit
from offload.worker.runtimes.fake import FakeRuntime, Script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

READY = workers_pb2.CONTAINER_STATE_READY
FAILED = workers_pb2.CONTAINER_STATE_FAILED
STOPPED = workers_pb2.CONTAINER_STATE_STOPPED
DIED = workers_pb2.CONTAINER_STATE_DIED


@dataclass
class Bench:
    """A worker under test with all that is around it."""

    server: ScriptedServer
    runner: ScriptedRunner
    runtime: FakeRuntime
    agent: Agent
    running: asyncio.Task[None]

    def define(self, **fields: object) -> None:
        definition = {
            "function_id": "fu-1",
            "app_id": "ap-1",
            "name": "work",
            "code": common_pb2.Payload(encoding="cloudpickle", inline=b"code"),
            "memory_mib": 256,
            "startup_timeout_seconds": 60,
            "local_image": {"host_id": "host-1", "python": sys.executable, "working_dir": "/"},
            **fields,
        }
        self.server.say(functions=[definition])

    async def start(self, container_id: str = "co-1", **fields: object) -> None:
        self.define(**fields)
        self.server.say(start=[{"container_id": container_id, "function_id": "fu-1"}])
        await self.server.until(lambda: READY in self.server.states(container_id))

    def assign(self, *input_ids: str, attempt: int = 1, alone: bool = False) -> None:
        tasks = [
            {
                "input_id": input_id,
                "attempt": attempt,
                "args": {"encoding": "pickle", "inline": input_id.encode()},
                "alone": alone,
            }
            for input_id in input_ids
        ]
        self.server.say(assignments=[{"function_id": "fu-1", "inputs": tasks}])

    async def warm_up(self) -> None:
        """Let the worker measure one very short input, so that it prefetches."""
        self.assign("in-warm")
        await self.runner.next(guest.Run)
        self.runner.say(guest.Results((result("in-warm"),)))
        await self.server.until(lambda: self.server.windows.get("fu-1", 0) > 100)


@asynccontextmanager
async def a_worker(data_dir: Path, **runner_knobs: object) -> AsyncIterator[Bench]:
    server, runner = ScriptedServer(), ScriptedRunner(**runner_knobs)
    runtime = FakeRuntime(Script(guest=runner))
    facts = WorkerFacts("wk-1", "test", "host-1", 4000, 4096, ("fake",))
    options = AgentOptions(
        session=SessionOptions("ws://test/link", "token", facts),
        runtimes={"fake": runtime},
        data_dir=data_dir,
        cache_bytes=1 << 30,
        drain_seconds=0.2,
        dial=server.dial,
    )
    agent = Agent(options)
    running = asyncio.create_task(agent.run())
    try:
        await server.until(lambda: server.hellos)
        yield Bench(server, runner, runtime, agent, running)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def scenario(
    test: Callable[[Bench], Coroutine[object, object, None]],
) -> Callable[[Path], None]:
    """Run the test with a worker, in a loop of its own."""

    def run(tmp_path: Path) -> None:
        async def main() -> None:
            async with a_worker(tmp_path) as bench:
                await test(bench)

        asyncio.run(main())

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


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
async def test_a_function_that_cannot_be_loaded_fails_its_container(bench: Bench) -> None:
    bench.runner._fault = guest.Fault(
        "builtins.ModuleNotFoundError", "No module named 'x'", (), None
    )
    bench.define()

    bench.server.say(start=[{"container_id": "co-1", "function_id": "fu-1"}])
    await bench.server.until(lambda: FAILED in bench.server.states("co-1"))

    failure = bench.server.reports("co-1")[-1].failure
    assert failure.kind == common_pb2.FAILURE_KIND_START
    assert failure.reason == (
        "function 'work' could not be loaded: ModuleNotFoundError: No module named 'x'"
    )


@scenario
async def test_a_container_that_is_not_ready_in_time_fails(bench: Bench) -> None:
    bench.runner._is_silent = True
    bench.define(startup_timeout_seconds=0.05)

    bench.server.say(start=[{"container_id": "co-1", "function_id": "fu-1"}])
    await bench.server.until(lambda: FAILED in bench.server.states("co-1"))

    reason = bench.server.reports("co-1")[-1].failure.reason
    assert reason == "its container was not ready within 0.05 s"


@scenario
async def test_a_caller_on_another_machine_is_told_so(bench: Bench) -> None:
    bench.define(local_image={"host_id": "elsewhere", "python": sys.executable})

    bench.server.say(start=[{"container_id": "co-1", "function_id": "fu-1"}])
    await bench.server.until(lambda: FAILED in bench.server.states("co-1"))

    assert "on another machine" in bench.server.reports("co-1")[-1].failure.reason


@scenario
async def test_the_only_input_in_hand_of_a_dead_container_is_the_guilty_one(bench: Bench) -> None:
    await bench.start()
    bench.assign("in-1")
    await bench.runner.next(guest.Run)

    bench.runtime.containers["co-1"].die(Exit(code=None, signal=11))
    await bench.server.until(lambda: DIED in bench.server.states("co-1"))

    outcome = bench.server.results["in-1"].outcome
    assert outcome.state == common_pb2.INPUT_STATE_FAILED
    assert outcome.failure.kind == common_pb2.FAILURE_KIND_SIGNAL
    assert outcome.failure.reason == "its container was ended by signal SIGSEGV (11)"


@scenario
async def test_of_several_inputs_the_one_said_to_run_is_guilty(bench: Bench) -> None:
    await bench.start()
    await bench.warm_up()
    bench.assign("in-1", "in-2", "in-3")
    await bench.runner.next(guest.Run)

    bench.runner.say(guest.Results((result("in-1"),)), guest.Begun("in-2", 1))
    await bench.server.until(lambda: any(m.started for m in bench.server.messages))
    bench.runtime.containers["co-1"].die(
        Exit(code=None, signal=9, out_of_memory=True, peak_memory_mib=251)
    )
    await bench.server.until(lambda: DIED in bench.server.states("co-1"))

    failure = bench.server.results["in-2"].outcome.failure
    assert failure.kind == common_pb2.FAILURE_KIND_OUT_OF_MEMORY
    assert failure.reason == "passed its memory limit of 256 MiB (peak 251 MiB)"
    assert set(bench.server.returned) == {"in-3"}
    assert not bench.server.returned["in-3"].retry_alone


@scenario
async def test_where_it_is_unknown_which_input_ran_all_come_back_to_run_alone(bench: Bench) -> None:
    await bench.start()
    await bench.warm_up()
    bench.assign("in-1", "in-2")
    await bench.runner.next(guest.Run)

    bench.runtime.containers["co-1"].die(Exit(code=None, signal=11))
    await bench.server.until(lambda: len(bench.server.returned) == 2)

    assert all(entry.retry_alone for entry in bench.server.returned.values())
    assert set(bench.server.results) == {"in-warm"}


@scenario
async def test_an_announced_exit_is_told_with_its_code(bench: Bench) -> None:
    await bench.start()
    bench.assign("in-1")
    await bench.runner.next(guest.Run)

    bench.runner.say(guest.Exiting(3))
    bench.runner.exit_code = 3
    bench.runner.hang_up()
    await bench.server.until(lambda: "in-1" in bench.server.results)

    failure = bench.server.results["in-1"].outcome.failure
    assert failure.kind == common_pb2.FAILURE_KIND_EXIT
    assert failure.exit_code == 3
    assert failure.reason == "its container exited with code 3 (os._exit or the like)"


@scenario
async def test_a_broken_frame_ends_its_container_and_no_other(bench: Bench) -> None:
    await bench.start("co-1")
    await bench.start("co-2")
    bench.assign("in-1", "in-2")
    await bench.runner.next(guest.Run)
    await bench.runner.next(guest.Run)

    bench.runner.say_bytes(b"\xff" * 64)
    await bench.server.until(lambda: DIED in bench.server.states("co-2"))

    failures = [entry.outcome.failure for entry in bench.server.results.values()]
    assert len(failures) == 1
    assert failures[0].reason.startswith("its container broke the runner's protocol: ")
    assert DIED not in bench.server.states("co-1")


@scenario
async def test_a_result_for_another_containers_input_is_not_believed(bench: Bench) -> None:
    await bench.start()

    bench.runner.say(guest.Results((result("in-foreign"),)))
    await bench.server.until(lambda: DIED in bench.server.states("co-1"))

    assert "in-foreign" not in bench.server.results


@scenario
async def test_a_stopped_container_gives_back_what_it_has_not_begun(bench: Bench) -> None:
    await bench.start()
    await bench.warm_up()
    bench.assign("in-1", "in-2")
    await bench.runner.next(guest.Run)

    bench.server.say(stop=[{"container_id": "co-1", "grace_seconds": 30}])
    await bench.runner.next(guest.Stop)
    bench.runner.say(guest.GivenBack(("in-2",)), guest.Results((result("in-1"),)))
    bench.runner.hang_up()
    await bench.server.until(lambda: STOPPED in bench.server.states("co-1"))

    assert "in-1" in bench.server.results
    assert set(bench.server.returned) == {"in-2"}
    assert bench.server.windows["fu-1"] == 0


@scenario
async def test_an_input_that_outlasts_the_grace_of_a_stop_is_given_back(bench: Bench) -> None:
    await bench.start()
    bench.assign("in-1")
    await bench.runner.next(guest.Run)

    bench.server.say(stop=[{"container_id": "co-1", "grace_seconds": 0.01}])
    await bench.server.until(lambda: STOPPED in bench.server.states("co-1"))

    assert set(bench.server.returned) == {"in-1"}
    assert not bench.server.returned["in-1"].retry_alone


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
async def test_items_out_of_order_end_the_container(bench: Bench) -> None:
    await bench.start()
    bench.assign("in-1")
    await bench.runner.next(guest.Run)

    bench.runner.say(
        guest.Item("in-1", 1, 1, guest.Body("pickle", b"a")),
        guest.Item("in-1", 1, 3, guest.Body("pickle", b"c")),
    )
    await bench.server.until(lambda: DIED in bench.server.states("co-1"))

    assert [item.seq for item in bench.server.items] == [1]
    assert "item 3 came where 2 was due" in bench.server.results["in-1"].outcome.failure.reason


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


def test_a_worker_that_is_refused_ends_with_the_servers_reason(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_worker(tmp_path) as bench:
            bench.server.refusal = WireError(Status.UNAUTHENTICATED, "wrong token")
            bench.server.break_connection()
            await bench.running

    with pytest.raises(RefusedError, match="wrong token"):
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


@scenario
async def test_a_container_that_cannot_be_started_fails_with_the_runtimes_reason(
    bench: Bench,
) -> None:
    bench.runtime.script.start_error = "no space for another container"
    bench.define()

    bench.server.say(start=[{"container_id": "co-1", "function_id": "fu-1"}])
    await bench.server.until(lambda: FAILED in bench.server.states("co-1"))

    assert bench.server.reports("co-1")[-1].failure.reason == "no space for another container"
