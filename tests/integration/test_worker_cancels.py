"""Cancelling inputs that wait, that are in a hand and that run, one or many; a scripted server, a scripted runner."""

from __future__ import annotations

from tests.support.worker_bench import DIED, Bench, scenario
from tests.support.worker_runner import result

from offload.wire import guest
from offload.wire.gen import common_pb2

CANCELLED = common_pb2.INPUT_STATE_CANCELLED


def cancel(bench: Bench, **reasons: str) -> None:
    cancels = [{"input_id": name.replace("_", "-"), "reason": why} for name, why in reasons.items()]
    bench.server.say(cancels=cancels)


def interrupted(input_id: str, why: str) -> guest.Result:
    fault = guest.Fault("offload.errors.InputCancellation", why, (), None)
    return result(input_id, fault=fault, interrupted=True)


@scenario
async def test_one_cancel_ends_what_waits_what_is_in_hand_and_what_runs_and_nothing_else(
    bench: Bench,
) -> None:
    await bench.start()
    await bench.warm_up()
    bench.assign("in-1", "in-2", "in-3")
    await bench.runner.next(guest.Run)

    cancel(bench, in_3="by its caller", in_1="by its caller")
    await bench.runner.next(guest.GiveBack)
    told = await bench.runner.next(guest.Cancel)
    bench.runner.say(
        guest.GivenBack(("in-2", "in-3")), guest.Results((interrupted("in-1", "by its caller"),))
    )
    again = await bench.runner.next(guest.Run)
    bench.runner.say(guest.Results((result("in-2"),)))
    await bench.server.until(lambda: len(bench.server.results) == 4)

    assert told == guest.Cancel(("in-1", "in-3"), False, "by its caller")
    assert [task.input_id for task in again.tasks] == ["in-2"]
    outcomes = {name: entry.outcome for name, entry in bench.server.results.items()}
    assert [name for name in outcomes if outcomes[name].state == CANCELLED] == ["in-3", "in-1"]
    assert outcomes["in-1"].failure.reason == "by its caller"
    assert not bench.server.returned


@scenario
async def test_each_cancelled_input_is_told_its_own_reason(bench: Bench) -> None:
    await bench.start()
    await bench.warm_up()
    bench.assign("in-1", "in-2")
    await bench.runner.next(guest.Run)

    cancel(bench, in_1="by its caller", in_2="its app was stopped")
    await bench.runner.next(guest.GiveBack)
    told = [await bench.runner.next(guest.Cancel) for _ in range(2)]

    assert told == [
        guest.Cancel(("in-1",), False, "by its caller"),
        guest.Cancel(("in-2",), False, "its app was stopped"),
    ]


@scenario
async def test_a_repeated_cancel_is_passed_on_once_and_the_first_reason_stays(bench: Bench) -> None:
    await bench.start()
    bench.assign("in-1")
    await bench.runner.next(guest.Run)

    cancel(bench, in_1="by its caller")
    cancel(bench, in_1="its app was stopped")
    await bench.runner.next(guest.GiveBack)
    await bench.runner.next(guest.Cancel)
    bench.runner.say(guest.GivenBack(()), guest.Results((interrupted("in-1", "by its caller"),)))
    await bench.server.until(lambda: "in-1" in bench.server.results)

    assert bench.runner.heard.empty()
    assert bench.server.results["in-1"].outcome.failure.reason == "by its caller"


def test_an_input_that_does_not_let_go_takes_its_container_along_and_its_neighbours_come_back(
    tmp_path,
) -> None:
    async def stubborn(bench: Bench) -> None:
        await bench.start()
        await bench.warm_up()
        bench.assign("in-1", "in-2")
        await bench.runner.next(guest.Run)

        cancel(bench, in_1="by its caller")
        await bench.runner.next(guest.GiveBack)
        bench.runner.say(guest.GivenBack(("in-2",)), guest.Begun("in-1", 1))
        await bench.server.until(lambda: DIED in bench.server.states("co-1"))
        await bench.server.until(lambda: "in-2" in bench.server.returned)

        assert bench.server.results["in-1"].outcome.state == CANCELLED
        assert bench.server.results["in-1"].outcome.failure.reason == "by its caller"
        assert not bench.server.returned["in-2"].retry_alone

    scenario(stubborn, cancel_grace_seconds=0.1)(tmp_path)
