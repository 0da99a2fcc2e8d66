"""How one worker's containers fail, die and stop, and which input it blames; a scripted server, a scripted runner."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from functools import partial

from tests.support.worker_bench import DIED, FAILED, STOPPED, Bench, scenario
from tests.support.worker_runner import result

from offload.wire import guest
from offload.wire.gen import common_pb2
from offload.worker.core.output import OutputLimits
from offload.worker.ports import Exit


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
    assert failure.type_name == "builtins.ModuleNotFoundError"  # the function is to blame for it


@scenario
async def test_a_container_that_is_not_ready_in_time_fails(bench: Bench) -> None:
    bench.runner._is_silent = True
    bench.define(startup_timeout_seconds=0.05)

    bench.server.say(start=[{"container_id": "co-1", "function_id": "fu-1"}])
    await bench.server.until(lambda: FAILED in bench.server.states("co-1"))

    reason = bench.server.reports("co-1")[-1].failure.reason
    assert reason == "its container did not say it was ready within 0.05 s"


@scenario
async def test_a_caller_on_another_machine_is_told_so(bench: Bench) -> None:
    bench.define(local_image={"host_id": "elsewhere", "python": sys.executable})

    bench.server.say(start=[{"container_id": "co-1", "function_id": "fu-1"}])
    await bench.server.until(lambda: FAILED in bench.server.states("co-1"))

    assert "on another machine" in bench.server.reports("co-1")[-1].failure.reason


@scenario
async def test_a_volume_that_its_runtime_cannot_mount_as_wanted_fails_the_container(
    bench: Bench,
) -> None:
    able = bench.runtime.capabilities
    bench.define(volumes=[{"volume_id": "vo-1", "path": "/data", "read_only": True}])

    bench.runtime.capabilities = replace(able, no_volumes="its users are others")
    bench.server.say(start=[{"container_id": "co-1", "function_id": "fu-1"}])
    await bench.server.until(lambda: FAILED in bench.server.states("co-1"))
    bench.runtime.capabilities = replace(able, holds_read_only=False)
    bench.server.say(start=[{"container_id": "co-2", "function_id": "fu-1"}])
    await bench.server.until(lambda: FAILED in bench.server.states("co-2"))

    failures = [bench.server.reports(name)[-1].failure for name in ("co-1", "co-2")]
    assert "no volumes on this worker: its users are others" in failures[0].reason
    assert "cannot keep containers from writing to /data" in failures[1].reason
    assert all(failure.type_name for failure in failures)  # the function is to blame


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
async def test_a_beginning_that_is_told_after_its_end_harms_nobody(bench: Bench) -> None:
    await bench.start()
    bench.assign("in-1", "in-2")
    await bench.runner.next(guest.Run)

    bench.runner.say(guest.Results((result("in-1"),)), guest.Begun("in-1", 1))
    bench.runner.say(guest.Results((result("in-2"),)))
    await bench.server.until(lambda: len(bench.server.results) == 2)

    assert DIED not in bench.server.states("co-1")
    assert not any(message.started for message in bench.server.messages)


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
async def test_a_container_whose_end_outlasts_the_grace_of_a_stop_is_killed_and_a_line_says_so(
    bench: Bench,
) -> None:
    await bench.start()

    bench.server.say(stop=[{"container_id": "co-1", "grace_seconds": 0.01}])
    await bench.server.until(lambda: STOPPED in bench.server.states("co-1"))
    await bench.server.until(lambda: bench.server.logs)

    assert "such as exit hooks, took longer than its grace" in str(bench.server.logs[0])


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
async def test_a_container_that_cannot_be_started_fails_with_the_runtimes_reason(
    bench: Bench,
) -> None:
    bench.runtime.script.start_error = "no space for another container"
    bench.define()

    bench.server.say(start=[{"container_id": "co-1", "function_id": "fu-1"}])
    await bench.server.until(lambda: FAILED in bench.server.states("co-1"))

    assert bench.server.reports("co-1")[-1].failure.reason == "no space for another container"


@scenario
async def test_a_container_that_cannot_start_says_what_it_printed_last(bench: Bench) -> None:
    bench.runner._is_silent = True
    bench.define()
    bench.server.say(start=[{"container_id": "co-1", "function_id": "fu-1"}])
    await bench.server.until(lambda: bench.runtime.containers)
    container = bench.runtime.containers["co-1"]
    printed = [f"line {number}" for number in range(25)] + ["x" * 5000]

    os.write(container._pipes.theirs["stdout"], "".join(f"{line}\n" for line in printed).encode())
    container.die(Exit(code=1, signal=None))
    await bench.server.until(lambda: FAILED in bench.server.states("co-1"))

    failure = bench.server.reports("co-1")[-1].failure
    assert (
        failure.reason
        == "its container ended before it was ready: its container exited with code 1"
    )
    assert list(failure.last_lines[:-1]) == [f"line {number}" for number in range(6, 25)]
    assert len(failure.last_lines) == 20
    assert len(failure.last_lines[-1]) < 1100


@scenario
async def test_a_function_that_cannot_be_loaded_says_what_its_modules_printed(bench: Bench) -> None:
    bench.runner._fault = guest.Fault("builtins.RuntimeError", "no licence", (), None)
    bench.runner.printed = (
        guest.Output("", "stdout", "looking for a licence"),
        guest.Output("", "stderr", "none at /opt"),
    )
    bench.define()

    bench.server.say(start=[{"container_id": "co-1", "function_id": "fu-1"}])
    await bench.server.until(lambda: FAILED in bench.server.states("co-1"))

    failure = bench.server.reports("co-1")[-1].failure
    assert failure.reason == "function 'work' could not be loaded: RuntimeError: no licence"
    assert list(failure.last_lines) == ["looking for a licence", "none at /opt"]


@scenario
async def test_a_container_that_dies_after_it_was_ready_has_no_last_lines(bench: Bench) -> None:
    await bench.start()

    bench.runner.say(guest.Outputs((guest.Output("", "stdout", "working"),)))
    await bench.server.until(lambda: bench.server.logs)
    bench.runtime.containers["co-1"].die(Exit(code=None, signal=11))
    await bench.server.until(lambda: DIED in bench.server.states("co-1"))

    assert not bench.server.reports("co-1")[-1].failure.last_lines


_FEW = OutputLimits(bytes_per_input=1 << 20, bytes_per_second=64 << 20, burst_bytes=64 << 10)


@partial(scenario, output=_FEW)
async def test_an_input_that_floods_its_log_is_cut_and_the_next_one_is_heard(bench: Bench) -> None:
    await bench.start()
    bench.assign("in-1")
    await bench.runner.next(guest.Run)
    flood = guest.Outputs((guest.Output("in-1", "stdout", "x" * 1000),) * 100)

    # On a thread: the worker holds the flooder's socket, and it waits.
    await asyncio.to_thread(bench.runner.say, *[flood] * 20, guest.Results((result("in-1"),)))
    await bench.server.until(lambda: "in-1" in bench.server.results)
    bench.assign("in-2")
    await bench.runner.next(guest.Run)
    bench.runner.say(guest.Outputs((guest.Output("in-2", "stdout", "well"),)))
    await bench.server.until(lambda: bench.server.logs[-1].text == "well")

    *kept, cut, _ = bench.server.logs
    assert len(kept) == (1 << 20) // 1256
    assert (cut.stream, cut.input_id) == ("system", "in-1")
    assert cut.text == "output truncated after 1 MiB: what else this input prints is dropped"
