"""What a runner does with inputs: every kind of function, every size of value, any order of arrival."""

# The functions here run in another process and bring their imports along.
# ruff: noqa: PLC0415, PTH110

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Self

import pytest
from tests.support.runner import RunnerProcess

from offload.wire import guest


def test_a_runner_says_hello_with_its_protocol_and_python() -> None:
    with RunnerProcess() as runner:
        hello = runner.wait_for(guest.Hello)

    assert hello.protocol == guest.GUEST_PROTOCOL
    assert hello.pid == runner.process.pid
    assert hello.python_version.startswith("3.")


def test_a_function_gets_its_arguments_and_its_result_comes_back() -> None:
    def describe(a, *, b):
        return {"a": a, "b": b}

    with RunnerProcess() as runner:
        assert runner.load(describe) is None

        result = runner.call((1, "x"), b=[2])

        assert runner.value(result) == {"a": (1, "x"), "b": [2]}
        assert (result.input_id, result.attempt, result.interrupted) == ("in-1", 1, False)
        assert result.run_seconds >= 0


def test_many_inputs_of_one_frame_are_run_in_order() -> None:
    with RunnerProcess() as runner:
        runner.load(lambda x: x * x)

        runner.send(guest.Run(tuple(runner.task(f"in-{i}", i) for i in range(100))))
        results = runner.results(100)

        assert [result.input_id for result in results] == [f"in-{i}" for i in range(100)]
        assert [runner.value(result) for result in results] == [i * i for i in range(100)]


def test_async_functions_share_one_event_loop() -> None:
    async def loop_id():
        import asyncio

        await asyncio.sleep(0)
        return id(asyncio.get_running_loop())

    with RunnerProcess() as runner:
        runner.load(loop_id)

        first = runner.value(runner.call())
        second = runner.value(runner.call())

        assert first == second


def test_a_generator_streams_its_items_while_it_runs() -> None:
    def count():
        import threading

        yield 1
        threading.Event().wait()
        yield 2

    with RunnerProcess() as runner:
        runner.load(count, is_generator=True)

        runner.run("in-1")
        item = runner.wait_for(guest.Item)

        assert (item.seq, runner.loads(item.value)) == (1, 1)


@pytest.mark.parametrize("is_async", [False, True])
def test_generators_of_both_kinds_report_their_items_and_count(is_async: bool) -> None:
    def plain(n):
        yield from range(n)

    async def asynchronous(n):
        for i in range(n):
            yield i

    with RunnerProcess() as runner:
        runner.load(asynchronous if is_async else plain, is_generator=True)

        result = runner.call(5)

        assert runner.items() == [0, 1, 2, 3, 4]
        assert (result.value, result.fault, result.item_count) == (None, None, 5)


def test_a_generator_that_fails_keeps_the_items_before_it() -> None:
    def fail_third():
        yield 1
        yield 2
        raise LookupError("no third")

    with RunnerProcess() as runner:
        runner.load(fail_third, is_generator=True)

        result = runner.call()

        assert runner.items() == [1, 2]
        assert result.item_count == 2
        assert result.fault is not None
        assert result.fault.type_name == "LookupError"


def test_large_values_travel_in_pieces_both_ways() -> None:
    def reverse(data):
        return data[::-1]

    data = bytes(range(256)) * 4096
    with RunnerProcess() as runner:
        runner.load(reverse)

        result = runner.call(data)

        assert result.value is not None
        assert result.value.bulk == 1
        assert runner.value(result) == data[::-1]


def test_large_items_of_a_generator_travel_in_pieces() -> None:
    def blocks():
        for i in range(3):
            yield bytes([i]) * 300_000

    with RunnerProcess() as runner:
        runner.load(blocks, is_generator=True)

        runner.call()

        assert runner.items() == [bytes([i]) * 300_000 for i in range(3)]


def test_two_hundred_megabytes_need_little_more_than_the_object_and_one_pickle() -> None:
    def peak_after(data):
        from pathlib import Path

        # What getrusage tells begins with the peak of the process that started this one.
        facts = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
        return int(facts["VmHWM"].split()[0]), len(data)

    size = 200_000_000
    with RunnerProcess(timeout_seconds=120) as runner:
        runner.load(peak_after)

        peak_kib, length = runner.value(runner.call(bytes(size)))

        # The pickle lies in a memory file of its own, which is not counted as resident until it is mapped.
        assert length == size
        assert peak_kib * 1024 < 1.4 * size


def test_a_result_that_cannot_be_pickled_names_the_part_to_blame() -> None:
    def make():
        import threading

        class Holder:
            pass

        holder = Holder()
        holder.lock = threading.Lock()
        return {"key": holder}

    with RunnerProcess() as runner:
        runner.load(make)

        result = runner.call()

        assert result.fault is not None
        assert result.fault.type_name.endswith("SerializationError")
        assert "the result of make()" in result.fault.message
        assert "attribute 'lock'" in result.fault.message


def test_a_class_sent_by_value_comes_back_as_the_callers_own() -> None:
    class Point:
        def __init__(self, x):
            self.x = x

    with RunnerProcess() as runner:
        runner.load(lambda: Point(3))

        point = runner.value(runner.call())

        assert type(point) is Point
        assert point.x == 3


def test_unstarted_inputs_are_given_back_and_the_running_one_is_finished() -> None:
    def wait_for_file(path):
        import os

        while not os.path.exists(path):
            pass

    with RunnerProcess() as runner, Gate() as gate:
        runner.load(wait_for_file)
        tasks = tuple(runner.task(f"in-{i}", gate.path) for i in range(3))
        runner.send(guest.Run(tasks))
        runner.wait_for(guest.Begun)

        runner.send(guest.GiveBack())
        given_back = runner.wait_for(guest.GivenBack)
        gate.open()

        assert given_back.input_ids == ("in-1", "in-2")
        assert runner.result().input_id == "in-0"


def test_the_worker_is_heard_between_many_short_inputs() -> None:
    def spin_a_millisecond():
        import time

        end = time.monotonic() + 0.001
        while time.monotonic() < end:
            pass

    with RunnerProcess() as runner:
        runner.load(spin_a_millisecond)
        runner.send(guest.Run(tuple(runner.task(f"in-{i}") for i in range(1000))))
        runner.results(1)

        runner.send(guest.GiveBack())

        assert runner.wait_for(guest.GivenBack).input_ids


def test_stop_finishes_the_input_in_hand_returns_the_others_and_exits_with_zero() -> None:
    def wait_for_file(path):
        import os

        while not os.path.exists(path):
            pass

    with RunnerProcess() as runner, Gate() as gate:
        runner.load(wait_for_file)
        runner.send(guest.Run((runner.task("in-1", gate.path), runner.task("in-2", gate.path))))
        runner.wait_for(guest.Begun)

        runner.send(guest.Stop())
        assert runner.wait_for(guest.GivenBack).input_ids == ("in-2",)
        gate.open()

        assert runner.result().input_id == "in-1"
        assert runner.wait_end()[0] == 0


def test_an_input_that_runs_for_long_is_announced_and_a_short_one_is_not() -> None:
    def wait(seconds):
        import threading

        threading.Event().wait(seconds)

    with RunnerProcess() as runner:
        runner.load(wait)
        runner.call(0.1)
        announced = [m for m in runner.seen if isinstance(m, guest.Begun)]

        runner.run("in-2", 0.1)
        runner.result()
        begun = [m.input_id for m in runner.seen if isinstance(m, guest.Begun)]

        assert [m.input_id for m in announced] == ["in-1"]
        assert begun == ["in-1", "in-2"]


def test_finished_results_do_not_wait_for_a_slow_input_behind_them() -> None:
    def wait_if(slow):
        import threading

        if slow:
            threading.Event().wait()

    with RunnerProcess() as runner:
        runner.load(wait_if)

        runner.send(guest.Run((runner.task("in-1", False), runner.task("in-2", True))))

        assert runner.result().input_id == "in-1"
        assert runner.wait_for(guest.Begun).input_id == "in-2"


def test_an_input_after_a_long_one_is_heard_again_and_again() -> None:
    def wait(seconds):
        import threading

        threading.Event().wait(seconds)
        return seconds

    with RunnerProcess() as runner:
        runner.load(wait)

        values = [runner.value(runner.call(s)) for s in (0.02, 0, 0, 0.005, 0, 0.02, 0)]

        assert values == [0.02, 0, 0, 0.005, 0, 0.02, 0]


class Gate:
    """A file that appears when it is opened."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        self.path = f"{self._folder.name}/open"
        return self

    def open(self) -> None:
        Path(self.path).touch()

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()
