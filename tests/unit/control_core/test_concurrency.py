"""Containers that run several inputs: how many are wanted, which end, and what a death among many comes to."""

import math

import pytest
from tests.support.dispatching import Script, function, only
from tests.support.load import Load

from offload.control.core.autoscale import wanted_containers
from offload.control.core.events import Result, Started, Window, WorkerReported
from offload.control.core.inputs import InputState
from offload.control.core.instructions import StartContainer, StopContainer
from offload.control.core.model import ContainerReport, ContainerState, Scaling

WINDOW = 30
SHAPES = {
    "step": [70] * 120,
    "spike": [5] * 20 + [90] * 5 + [5] * 60,
    "sine": [round(50 + 40 * math.sin(second / 20 * math.tau)) for second in range(200)],
    "around the target": [9 + second % 3 for second in range(200)],
    "on and off": [second // 7 % 2 * 40 for second in range(200)],
}
QUIET = [0] * (2 * WINDOW + 2)


def play(shape: str) -> tuple[list[int], list[tuple[int, int, int]]]:
    levels = SHAPES[shape] + QUIET
    scaled = function(
        scaledown_window_seconds=float(WINDOW), memory_mib=1, max_inputs=12, target_inputs=10
    )
    return levels, Load(scaled).play(levels)


@pytest.mark.parametrize("shape", SHAPES)
def test_containers_follow_the_target_and_not_the_inputs(shape: str) -> None:
    levels, seen = play(shape)

    needed = [-(-level // 10) for level in levels]
    assert all(count >= need for (_, _, count), need in zip(seen, needed, strict=True))
    assert max(count for _, _, count in seen) == max(needed)
    assert seen[-1][2] == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_is_stopped_and_started_again_for_a_load_that_repeats_itself(shape: str) -> None:
    levels, seen = play(shape)

    started = sum(one for one, _, _ in seen)
    assert started <= -(-max(levels) // 10)


def test_every_input_that_must_be_alone_counts_for_a_container_of_its_own() -> None:
    assert wanted_containers(30, Scaling(), each=10) == 3
    assert wanted_containers(30, Scaling(), each=10, loners=5) == 5 + 3
    assert wanted_containers(5, Scaling(), each=10, loners=5) == 5
    assert wanted_containers(30, Scaling(max_containers=4), each=10, loners=30) == 4


def test_one_container_is_started_for_as_many_inputs_as_it_is_meant_to_run() -> None:
    script = Script()
    script.register(function(max_inputs=10, target_inputs=4))
    script.join(cpus=8)

    script.submit(count=12)

    assert len(script.started()) == 3


def test_more_than_the_target_run_in_a_container_while_no_other_can_be_had() -> None:
    script = Script()
    script.register(function(max_inputs=10, target_inputs=4))
    script.join(cpus=1)

    script.submit(count=12)
    script.start_all(window_each=10)

    assert len(script.started()) == 1
    assert len(script.assigned()) == 10


def test_a_container_that_is_not_needed_any_more_drains_although_it_runs_something() -> None:
    script = Script()
    script.register(function(max_inputs=10, target_inputs=10, scaledown_window_seconds=5.0))
    script.join(cpus=2)
    script.submit(count=20)
    script.start_all(window_each=10)
    given = script.assigned()
    names = [view.container_id for view in script.core.containers()]
    started = tuple(
        Started(one.input_id, one.attempt, names[number % 2]) for number, one in enumerate(given)
    )
    script.tell(WorkerReported("wk-1", started=started))

    script.succeed(*given[:17])
    stopped = only(StopContainer, script.wait(6.0))

    # The one with one input, which gets all the time that it may take.
    assert [(one.container_id, one.grace_seconds) for one in stopped] == [(names[0], 60.0)]


def test_a_busy_container_of_one_input_at_a_time_never_drains_for_being_one_too_many() -> None:
    script = Script()
    script.register(function(scaledown_window_seconds=5.0, min_containers=0))
    script.join(cpus=2)
    script.submit(count=2)
    script.start_all()
    given = script.assigned()
    names = [view.container_id for view in script.core.containers()]
    script.tell(WorkerReported("wk-1", started=(Started(given[0].input_id, 1, names[0]),)))

    script.succeed(given[1])
    stopped = only(StopContainer, script.wait(6.0))

    assert [one.container_id for one in stopped] == [names[1]]


def test_inputs_whose_container_died_among_many_run_alone_in_containers_of_their_own() -> None:
    script = Script()
    script.register(function(max_inputs=10, target_inputs=10))
    script.join(cpus=4)
    script.submit(count=3)
    script.start_all(window_each=10)
    given = script.assigned()
    (view,) = script.core.containers()

    for one in given:
        script.give_back(one, alone=True)
    script.report(view.container_id, ContainerState.DIED)
    script.start_all(window_each=10)

    assert len(only(StartContainer, script.log)) == 1 + 3
    assert {(one.attempt, one.alone) for one in script.assigned()[3:]} == {(2, True)}


def test_inputs_given_back_by_a_container_that_another_one_took_along_spend_nothing() -> None:
    script = Script()
    script.register(function(max_inputs=10, target_inputs=10, max_retries=0))
    script.join()
    script.submit(count=3)
    script.start_all(window_each=10)

    for one in script.assigned():
        script.give_back(one)
    script.start_all(window_each=10)
    again = script.assigned()[3:]
    script.succeed(*again)

    assert not any(one.alone for one in again)
    assert [one.state for one in script.outcomes()] == ["succeeded"] * 3


def test_the_reason_for_waiting_beyond_the_places_names_what_keeps_containers_away() -> None:
    script = Script()
    script.register(function(max_inputs=2, target_inputs=2, max_containers=1))
    script.join(cpus=4)

    script.submit(count=5)
    script.start_all(window_each=2)
    reasons = [view.reason for view in script.core.pending(9)]

    assert (
        reasons[0] == "waiting for its turn: it is the next of this function; max_containers is 1"
    )


def test_the_next_container_of_a_single_use_starts_before_the_last_one_has_ended() -> None:
    script = Script()
    script.register(function())
    script.join(cpus=2)
    script.submit("fc-1")
    script.start_all()
    (given,) = script.assigned()
    (view,) = script.core.containers()
    result = Result(given.input_id, given.attempt, InputState.SUCCEEDED)

    stopping = ContainerReport(view.container_id, "fn-a", ContainerState.STOPPING)
    windows = (Window("fn-a", 0),)
    script.tell(WorkerReported("wk-1", windows, (stopping,), results=(result,)))
    started = only(StartContainer, script.submit("fc-2"))

    assert len(started) == 1
