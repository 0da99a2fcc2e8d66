"""The number of containers follows the load without flapping, over loads of the usual shapes."""

import math

import pytest
from tests.support.dispatching import function
from tests.support.load import Load

WINDOW = 30
SHAPES = {
    "step": [20] * 120,
    "spike": [2] * 20 + [40] * 5 + [2] * 60,
    "sine": [round(10 + 8 * math.sin(second / 20 * math.tau)) for second in range(200)],
    "long tail": [30] * 10 + [max(1, round(30 / (1 + second / 3))) for second in range(150)],
    "on and off": [second // 7 % 2 * 10 for second in range(200)],
}
QUIET = [0] * (2 * WINDOW + 2)


def _play(shape: str, **changes: int) -> tuple[list[int], list[tuple[int, int, int]]]:
    levels = SHAPES[shape] + QUIET
    scaled = function(scaledown_window_seconds=float(WINDOW), memory_mib=1, **changes)
    return levels, Load(scaled).play(levels)


@pytest.mark.parametrize("shape", SHAPES)
def test_containers_follow_the_load_up_within_a_second(shape: str) -> None:
    levels, seen = _play(shape)

    short = [
        second for second, (_, _, containers) in enumerate(seen) if containers < levels[second]
    ]
    assert short == []


@pytest.mark.parametrize("shape", SHAPES)
def test_no_container_stops_while_the_load_of_the_window_needs_it(shape: str) -> None:
    levels, seen = _play(shape)

    for second, (_, stopped, containers) in enumerate(seen):
        if stopped:
            assert containers >= max(levels[max(0, second - WINDOW + 2) : second + 1])


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_is_stopped_and_started_again_for_a_load_that_repeats_itself(shape: str) -> None:
    levels, seen = _play(shape)

    started = sum(one for one, _, _ in seen)
    assert started <= max(levels) + 1


@pytest.mark.parametrize("minimum", [0, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_after_the_load_only_the_least_number_stays(shape: str, minimum: int) -> None:
    _, seen = _play(shape, min_containers=minimum)

    assert seen[-1][2] == minimum


def test_a_buffer_is_kept_while_inputs_come_and_not_after() -> None:
    scaled = function(scaledown_window_seconds=float(WINDOW), memory_mib=1, buffer_containers=2)

    seen = Load(scaled).play([5] * 10 + QUIET)

    assert seen[9][2] == 7
    assert seen[-1][2] == 0
