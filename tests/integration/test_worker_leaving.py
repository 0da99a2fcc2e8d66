"""How a worker leaves: told by its server or by a signal, with the server there or away."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path

from tests.support.worker_bench import READY, STOPPED, Bench, scenario
from tests.support.worker_runner import result

from offload.wire import guest
from offload.wire.status import LinkClosedError

patiently = functools.partial(scenario, drain_seconds=60.0)


async def until_it_is_gone(bench: Bench) -> None:
    bench.server.say(recorded_seq=bench.server.messages[-1].seq)
    await asyncio.wait_for(bench.running, 10)


async def lose_the_server(bench: Bench) -> None:
    bench.server.refusal = LinkClosedError("away")
    dials = bench.server.dials
    bench.server.break_connection()
    await bench.server.until(lambda: bench.server.dials > dials)


async def run_one(bench: Bench) -> None:
    await bench.start()
    bench.assign("in-1")
    await bench.runner.next(guest.Run)


@patiently
async def test_a_drained_worker_finishes_what_runs_takes_nothing_new_and_leaves(
    bench: Bench,
) -> None:
    await run_one(bench)
    bench.assign("in-2")

    bench.server.say(drain=True)
    await bench.runner.next(guest.Stop)
    bench.assign("in-3")
    bench.server.say(start=[{"container_id": "co-2", "function_id": "fu-1"}])
    await bench.server.until(lambda: "in-3" in bench.server.returned)
    bench.runner.say(guest.Results((result("in-1"),)))
    bench.runner.hang_up()
    await bench.server.until(lambda: STOPPED in bench.server.states("co-1"))
    await until_it_is_gone(bench)

    assert any(message.draining for message in bench.server.messages)
    assert set(bench.server.results) == {"in-1"}
    assert set(bench.server.returned) == {"in-2", "in-3"}
    assert not bench.server.reports("co-2")


@scenario
async def test_what_outlasts_the_time_of_a_drain_is_given_back(bench: Bench) -> None:
    await run_one(bench)

    bench.server.say(drain=True)
    await bench.server.until(lambda: STOPPED in bench.server.states("co-1"))
    await until_it_is_gone(bench)

    assert set(bench.server.returned) == {"in-1"}


@patiently
async def test_a_signal_to_a_drained_worker_does_not_cut_what_runs_but_a_second_one_does(
    bench: Bench,
) -> None:
    await run_one(bench)

    bench.server.say(drain=True)
    await bench.runner.next(guest.Stop)
    bench.agent.leave()
    after_one = bench.server.states("co-1")[-1]
    bench.agent.leave()
    await bench.server.until(lambda: STOPPED in bench.server.states("co-1"))
    await until_it_is_gone(bench)

    assert after_one == READY
    assert set(bench.server.returned) == {"in-1"}


@patiently
async def test_a_worker_that_leaves_while_its_server_is_away_tells_its_results_when_it_is_back(
    bench: Bench,
) -> None:
    await run_one(bench)
    await lose_the_server(bench)

    bench.agent.leave()
    await bench.runner.next(guest.Stop)
    bench.runner.say(guest.Results((result("in-1"),)))
    bench.runner.hang_up()
    dials = bench.server.dials
    await bench.server.until(lambda: bench.server.dials > dials + 2)
    told_while_away = set(bench.server.results)
    bench.server.refusal = None
    await bench.server.until(lambda: "in-1" in bench.server.results)
    await until_it_is_gone(bench)

    assert not told_while_away
    assert [held.input_id for held in bench.server.hellos[1].held] == ["in-1"]


@scenario
async def test_a_worker_whose_server_stays_away_leaves_once_its_drain_time_is_over(
    bench: Bench,
) -> None:
    await run_one(bench)
    await lose_the_server(bench)
    bench.runner.say(guest.Results((result("in-1"),)))

    bench.agent.leave()
    await asyncio.wait_for(bench.running, 10)

    assert not bench.server.results
    assert not bench.running.exception()


@patiently
async def test_a_worker_that_owes_nothing_does_not_wait_for_its_server(bench: Bench) -> None:
    await bench.server.until(lambda: bench.server.messages)
    await lose_the_server(bench)

    bench.agent.leave()
    await asyncio.wait_for(bench.running, 10)

    assert not bench.running.exception()


@scenario
async def test_what_a_container_wrote_last_holds_no_worker_whose_server_stays_away(
    bench: Bench,
) -> None:
    await bench.start(volumes=[{"volume_id": "vo-1", "path": "/data"}])
    (volume,) = bench.runtime.started[0].volumes
    (Path(volume.source) / "last").write_text("words")
    await lose_the_server(bench)

    bench.agent.leave()
    await bench.runner.next(guest.Stop)
    bench.runner.hang_up()
    await asyncio.wait_for(bench.running, 10)

    assert not bench.running.exception()


@patiently
async def test_a_second_signal_ends_the_waiting_for_a_server_that_is_away(bench: Bench) -> None:
    await run_one(bench)
    await lose_the_server(bench)
    bench.agent.leave()
    await bench.runner.next(guest.Stop)
    bench.runner.say(guest.Results((result("in-1"),)))
    bench.runner.hang_up()
    dials = bench.server.dials
    await bench.server.until(lambda: bench.server.dials > dials + 2)

    bench.agent.leave()
    await asyncio.wait_for(bench.running, 10)

    assert not bench.running.exception()
