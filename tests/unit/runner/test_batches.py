"""Functions that are called once for several inputs."""

# The functions here run in another process and bring their imports along.
# ruff: noqa: PLC0415, T201

from __future__ import annotations

import pytest
from tests.support.runner import RunnerProcess

from offload.wire import guest


def add(xs, ys):
    print("called for", len(xs))
    return [x + y for x, y in zip(xs, ys, strict=True)]


async def add_async(xs, ys):
    print("called for", len(xs))
    return [x + y for x, y in zip(xs, ys, strict=True)]


for function in (add, add_async):
    function.__module__ = "__main__"  # so that they travel by value, as a script's functions do

BOTH = pytest.mark.parametrize("function", [add, add_async], ids=lambda one: one.__name__)


def run(runner: RunnerProcess, *arguments: tuple[object, ...]) -> dict[str, guest.Result]:
    tasks = [runner.task(f"in-{number}", *each) for number, each in enumerate(arguments)]
    runner.send(guest.Run(tuple(tasks)))
    return {result.input_id: result for result in runner.results(len(arguments))}


@BOTH
def test_each_input_gets_its_own_result_of_one_call(function: object) -> None:
    with RunnerProcess() as runner:
        runner.load(function, calls=(1, 4, 10.0))

        results = run(runner, *((number, 10 * number) for number in range(4)))

        assert [runner.value(results[f"in-{n}"]) for n in range(4)] == [0, 11, 22, 33]
        assert [text for _, _, text in runner.lines()] == ["called for 4"]


@BOTH
def test_a_batch_that_does_not_fill_up_is_called_when_its_time_is_over(function: object) -> None:
    with RunnerProcess() as runner:
        runner.load(function, calls=(1, 100, 0.05))

        results = run(runner, (1, 2), (3, 4))

        assert runner.value(results["in-1"]) == 7
        assert [text for _, _, text in runner.lines()] == ["called for 2"]


@BOTH
def test_more_inputs_than_a_batch_takes_are_several_calls(function: object) -> None:
    with RunnerProcess() as runner:
        runner.load(function, calls=(2, 3, 0.05))

        results = run(runner, *((number, 0) for number in range(8)))

        assert [runner.value(results[f"in-{n}"]) for n in range(8)] == list(range(8))
        called = sorted(text for _, _, text in runner.lines())
        assert called == ["called for 2", "called for 3", "called for 3"]


def test_arguments_by_name_and_by_place_and_defaults_come_into_the_same_lists() -> None:
    def collect(xs, ys=7, *, zs=9):
        return [list(each) for each in zip(xs, ys, zs, strict=True)]

    with RunnerProcess() as runner:
        runner.load(collect, calls=(1, 3, 10.0))
        runner.send(
            guest.Run(
                (
                    runner.task("in-0", 1),
                    runner.task("in-1", ys=2, xs=3),
                    runner.task("in-2", 4, 5, zs=6),
                )
            )
        )
        results = {r.input_id: runner.value(r) for r in runner.results(3)}

        assert results == {"in-0": [1, 7, 9], "in-1": [3, 2, 9], "in-2": [4, 5, 6]}


def test_defaults_are_in_lists_too_where_nobody_gave_an_argument() -> None:
    def collect(xs, ys=7):
        return [list(each) for each in zip(xs, ys, strict=True)]

    with RunnerProcess() as runner:
        runner.load(collect, calls=(1, 2, 10.0))

        results = run(runner, (1,), (2,))

        assert [runner.value(results[f"in-{n}"]) for n in range(2)] == [[1, 7], [2, 7]]


def test_arguments_that_do_not_fit_fail_their_own_input() -> None:
    with RunnerProcess() as runner:
        runner.load(add, calls=(1, 2, 10.0))

        results = run(runner, (1, 2), (1, 2, 3))

        assert runner.value(results["in-0"]) == 3
        assert results["in-1"].fault.message == "too many positional arguments"


def test_an_exception_among_the_results_is_raised_at_its_own_caller() -> None:
    def check(xs):
        return [ValueError(f"odd: {x}") if x % 2 else x for x in xs]

    with RunnerProcess() as runner:
        runner.load(check, calls=(1, 2, 10.0))

        results = run(runner, (2,), (3,))

        assert runner.value(results["in-0"]) == 2
        assert results["in-1"].fault.message == "odd: 3"


def test_an_exception_of_the_call_is_every_input_s() -> None:
    def fail(xs):
        raise ValueError(f"called for {len(xs)}")

    with RunnerProcess() as runner:
        runner.load(fail, calls=(1, 2, 10.0))

        results = run(runner, (1,), (2,))

        assert {result.fault.message for result in results.values()} == {"called for 2"}


@pytest.mark.parametrize(
    ("value", "why"), [([1], "returned 1"), (5, "returned int"), ("ab", "returned str")]
)
def test_a_wrong_number_of_results_fails_every_input_and_says_what_is_right(value, why) -> None:
    def wrong(xs):
        return xs[0]

    with RunnerProcess() as runner:
        runner.load(wrong, calls=(1, 2, 10.0))

        results = run(runner, (value,), (value,))

        messages = {result.fault.message for result in results.values()}
        assert messages == {
            "wrong() is batched: called for 2 inputs, it must return a list of 2 results, and "
            + why
        }


def test_a_result_that_cannot_be_pickled_fails_its_own_input() -> None:
    def make(xs):
        import threading

        return [threading.Lock() if x else x for x in xs]

    with RunnerProcess() as runner:
        runner.load(make, calls=(1, 2, 10.0))

        results = run(runner, (0,), (1,))

        assert runner.value(results["in-0"]) == 0
        assert "cannot be pickled" in results["in-1"].fault.message


def work(xs):
    import threading

    print("called")
    try:
        while not stop(xs):
            threading.Event().wait(0.005)
    except BaseException as error:
        print("interrupted:", error)
        raise
    return xs


async def work_async(xs):
    import asyncio

    print("called")
    try:
        while not stop(xs):  # noqa: ASYNC110  # another process makes the file
            await asyncio.sleep(0.005)
    except BaseException:
        print("interrupted: enough")
        raise
    return xs


def stop(paths):
    import os

    return any(os.path.exists(path) for path in paths)  # noqa: PTH110


for function in (work, work_async, stop):
    function.__module__ = "__main__"


@pytest.mark.parametrize("function", [work, work_async], ids=lambda one: one.__name__)
def test_a_cancelled_input_leaves_its_batch_and_the_call_goes_on_for_the_others(function, tmp_path):
    done = str(tmp_path / "done")
    with RunnerProcess() as runner:
        runner.load(function, calls=(1, 2, 10.0))
        runner.send(guest.Run((runner.task("in-0", done), runner.task("in-1", done))))
        runner.wait_for(guest.Outputs)

        runner.send(guest.Cancel(("in-0",), timed_out=False, reason="enough"))
        cancelled = runner.result()
        (tmp_path / "done").touch()
        other = runner.result()

        assert (cancelled.input_id, cancelled.interrupted) == ("in-0", True)
        assert cancelled.fault.message == "enough"
        assert runner.value(other) == done


@pytest.mark.parametrize("function", [work, work_async], ids=lambda one: one.__name__)
def test_a_call_of_which_every_input_is_cancelled_is_interrupted(function, tmp_path) -> None:
    done = str(tmp_path / "done")
    with RunnerProcess() as runner:
        runner.load(function, calls=(1, 2, 10.0))
        runner.send(guest.Run((runner.task("in-0", done), runner.task("in-1", done))))
        runner.wait_for(guest.Outputs)

        runner.send(guest.Cancel(("in-0", "in-1"), timed_out=True, reason="enough"))
        results = runner.results(2)

        assert all(result.interrupted for result in results)
        assert "interrupted: enough" in [text for _, _, text in runner.lines()]


@pytest.mark.parametrize("function", [add, add_async], ids=lambda one: one.__name__)
def test_what_is_cancelled_while_its_batch_forms_comes_back_unrun(function) -> None:
    with RunnerProcess() as runner:
        runner.load(function, calls=(1, 3, 0.3))
        runner.send(guest.Run((runner.task("in-0", 1, 2), runner.task("in-1", 3, 4))))

        runner.send(guest.Cancel(("in-0",), timed_out=False, reason="enough"))
        result = runner.result()

        assert runner.value(result) == 7
        assert guest.GivenBack(("in-0",)) in runner.seen


@pytest.mark.parametrize("function", [add, add_async], ids=lambda one: one.__name__)
def test_a_stop_does_not_wait_for_a_batch_to_fill_up(function) -> None:
    with RunnerProcess(timeout_seconds=10) as runner:
        runner.load(function, calls=(1, 3, 60.0))
        runner.send(guest.Run((runner.task("in-0", 1, 2),)))

        runner.send(guest.GiveBack(), guest.Stop())
        answer = runner.receive()

        assert isinstance(answer, guest.GivenBack | guest.Results | guest.Outputs | guest.Begun)
        assert runner.wait_end(10)[0] == 0
