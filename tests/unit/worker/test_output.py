"""How much one container may print."""

from __future__ import annotations

from offload.worker.core.output import OutputBudget, OutputLimits, Verdict

LIMITS = OutputLimits(
    bytes_per_input=1000,
    bytes_per_second=100,
    burst_bytes=400,
    line_bytes=10,
    hurried_line_bytes=10,
)


def test_an_input_that_prints_too_much_is_told_once_and_then_dropped() -> None:
    budget = OutputBudget(LIMITS)

    verdicts = [budget.take("in-1", 390, 0.0) for _ in range(4)]

    assert verdicts == [Verdict.KEEP, Verdict.KEEP, Verdict.TRUNCATE, Verdict.DROP]


def test_the_next_input_and_what_comes_between_inputs_begin_anew() -> None:
    budget = OutputBudget(LIMITS)
    for input_id in ("", "in-1"):
        budget.take(input_id, 2000, 0.0)

    verdicts = [budget.take(input_id, 390, 0.0) for input_id in ("in-2", "", "in-1")]

    assert verdicts == [Verdict.KEEP, Verdict.KEEP, Verdict.DROP]


def test_empty_lines_cost_too() -> None:
    budget = OutputBudget(LIMITS)

    verdicts = [budget.take("in-1", 0, 0.0) for _ in range(101)]

    assert verdicts[-1] is Verdict.TRUNCATE


def test_a_burst_is_taken_at_once_and_what_comes_faster_waits_as_long_as_it_takes() -> None:
    budget = OutputBudget(LIMITS)

    budget.take("in-1", 390, 0.0)
    in_time = budget.pause(0.0)
    budget.take("in-1", 190, 0.0)
    too_fast = budget.pause(0.0)

    assert (in_time, too_fast, budget.pause(1.0), budget.pause(2.0)) == (0.0, 2.0, 1.0, 0.0)


def test_what_is_dropped_counts_as_fast_as_what_is_kept() -> None:
    budget = OutputBudget(LIMITS)
    budget.take("in-1", 2000, 0.0)

    budget.take("in-1", 990, 50.0)

    assert budget.pause(50.0) == 6.0


def test_of_many_inputs_the_oldest_are_forgotten() -> None:
    budget = OutputBudget(LIMITS)

    for number in range(5000):
        budget.take(f"in-{number}", 1, 0.0)

    assert len(budget._used) <= 1024


def test_a_flood_of_short_lines_is_slowed_by_their_number() -> None:
    budget = OutputBudget(LIMITS._replace(hurried_line_bytes=100))

    for _ in range(10):
        budget.take("in-1", 0, 0.0)

    assert budget.pause(0.0) == 6.0
