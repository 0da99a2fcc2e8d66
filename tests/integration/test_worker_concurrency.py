"""Containers that run several inputs at the same time, or one only; a scripted server, a scripted runner."""

from __future__ import annotations

from tests.support.worker_bench import DIED, STOPPED, STOPPING, Bench, scenario
from tests.support.worker_runner import result

from offload.wire import guest
from offload.wire.gen import common_pb2
from offload.worker.ports import Exit

THREE = {"concurrency": {"max_inputs": 3}}


def ids(message: guest.Message) -> list[str]:
    assert isinstance(message, guest.Run)
    return [task.input_id for task in message.tasks]


async def three_run(bench: Bench, *more: str) -> None:
    """Have three inputs run in one container, and perhaps others wait behind them."""
    await bench.start(**THREE)
    bench.assign("in-warm")
    await bench.runner.next(guest.Run)
    bench.runner.say(guest.Results((result("in-warm"),)))
    await bench.server.until(lambda: bench.server.windows.get("fu-1", 0) > 100)
    bench.assign("in-1", "in-2", "in-3", *more)
    await bench.runner.next(guest.Run)


@scenario
async def test_a_container_is_told_how_many_calls_it_runs_and_for_which_batches(
    bench: Bench,
) -> None:
    await bench.start(
        concurrency={"max_inputs": 2, "target_inputs": 1},
        batching={"max_batch_size": 8, "wait_seconds": 0.5},
    )

    load = bench.runner.loads[-1]

    assert (load.max_calls, load.batch_size, load.batch_wait_seconds) == (2, 8, 0.5)
    await bench.server.until(lambda: bench.server.windows.get("fu-1") == 16)


@scenario
async def test_a_container_is_given_all_that_it_can_run_at_once_and_may_end_it_in_any_order(
    bench: Bench,
) -> None:
    await bench.start(**THREE)
    bench.assign("in-1", "in-2", "in-3")

    given = await bench.runner.next(guest.Run)
    bench.runner.say(guest.Results((result("in-2"), result("in-3"))), guest.Begun("in-1", 1))
    bench.runner.say(guest.Results((result("in-1"),)))
    await bench.server.until(lambda: len(bench.server.results) == 3)

    assert ids(given) == ["in-1", "in-2", "in-3"]
    assert list(bench.server.results) == ["in-2", "in-3", "in-1"]


@scenario
async def test_of_many_in_a_dead_container_those_with_a_place_run_alone_and_those_behind_do_not(
    bench: Bench,
) -> None:
    await three_run(bench, "in-4", "in-5")

    bench.runtime.containers["co-1"].die(Exit(code=None, signal=9))
    await bench.server.until(lambda: len(bench.server.returned) == 5)

    alone = [name for name, entry in bench.server.returned.items() if entry.retry_alone]
    assert sorted(alone) == ["in-1", "in-2", "in-3"]
    assert set(bench.server.results) == {"in-warm"}


@scenario
async def test_the_input_that_said_it_ends_the_container_is_the_one_that_fails(
    bench: Bench,
) -> None:
    await three_run(bench, "in-4")

    bench.runner.say(guest.Begun("in-1", 1), guest.Exiting(3, "in-2"))
    bench.runner.exit_code = 3
    bench.runner.hang_up()
    await bench.server.until(lambda: len(bench.server.returned) == 3)

    assert bench.server.results["in-2"].outcome.failure.exit_code == 3
    assert not any(entry.retry_alone for entry in bench.server.returned.values())


@scenario
async def test_each_input_runs_out_of_its_own_time(bench: Bench) -> None:
    await bench.start(timeout_seconds=0.2, **THREE)
    bench.assign("in-1")
    await bench.runner.next(guest.Run)
    bench.assign("in-2")
    await bench.runner.next(guest.Run)

    await bench.runner.next(guest.GiveBack)
    cancel = await bench.runner.next(guest.Cancel)
    fault = guest.Fault("offload.errors.InputCancellation", "late", (), None)
    bench.runner.say(
        guest.GivenBack(()),
        guest.Results((result("in-1", fault=fault, interrupted=True), result("in-2"))),
    )
    await bench.server.until(lambda: len(bench.server.results) == 2)

    states = {name: entry.outcome.state for name, entry in bench.server.results.items()}
    assert cancel.timed_out
    assert states["in-1"] == common_pb2.INPUT_STATE_TIMED_OUT
    assert states["in-2"] == common_pb2.INPUT_STATE_SUCCEEDED


def test_one_of_many_that_does_not_let_go_takes_the_container_and_the_others_come_back(
    tmp_path,
) -> None:
    async def stubborn(bench: Bench) -> None:
        await bench.start(**THREE)
        bench.assign("in-1", "in-2", "in-3")
        await bench.runner.next(guest.Run)

        bench.server.say(cancels=[{"input_id": "in-2", "reason": "by its caller"}])
        await bench.runner.next(guest.GiveBack)
        await bench.runner.next(guest.Cancel)
        bench.runner.say(guest.GivenBack(()), guest.Begun("in-1", 1))
        await bench.server.until(lambda: DIED in bench.server.states("co-1"))
        await bench.server.until(lambda: len(bench.server.returned) == 2)

        assert set(bench.server.returned) == {"in-1", "in-3"}
        assert not any(entry.retry_alone for entry in bench.server.returned.values())
        assert bench.server.results["in-2"].outcome.failure.reason == "by its caller"

    scenario(stubborn, cancel_grace_seconds=0.1)(tmp_path)


@scenario
async def test_a_container_of_a_single_use_is_stopped_with_its_result_and_counted_out(
    bench: Bench,
) -> None:
    await bench.start(single_use_containers=True)
    bench.assign("in-1")
    await bench.runner.next(guest.Run)

    bench.runner.say(guest.Results((result("in-1"),)))
    await bench.runner.next(guest.Stop)
    bench.runner.hang_up()
    await bench.server.until(lambda: STOPPED in bench.server.states("co-1"))

    said = next(message for message in bench.server.messages if message.results)
    assert [(window.function_id, window.inputs) for window in said.windows] == [("fu-1", 0)]
    # So that the next one can start at once.
    assert [report.state for report in said.containers] == [STOPPING]
    assert bench.server.results["in-1"].outcome.state == common_pb2.INPUT_STATE_SUCCEEDED


@scenario
async def test_a_second_input_for_a_container_of_a_single_use_comes_back(bench: Bench) -> None:
    await bench.start(single_use_containers=True)
    bench.assign("in-1", "in-2")
    await bench.runner.next(guest.Run)

    bench.runner.say(guest.Results((result("in-1"),)))
    await bench.runner.next(guest.Stop)
    bench.runner.hang_up()
    await bench.server.until(lambda: "in-2" in bench.server.returned)

    assert not bench.server.returned["in-2"].retry_alone
    assert "in-2" not in bench.server.results
