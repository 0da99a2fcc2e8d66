"""Several inputs at the same time in one container: in threads, and on one event loop."""

# The functions here run in another process and bring their imports along.
# ruff: noqa: PLC0415, T201

from __future__ import annotations

import pytest
from tests.support.runner import RunnerEndError, RunnerProcess, race_cancels

from offload.wire import guest


def meet(count, name):
    """Return once `count` inputs are here at the same time."""
    import threading
    import types

    shared = globals().setdefault("shared", types.SimpleNamespace())
    barrier = shared.__dict__.setdefault("barrier", threading.Barrier(count))
    print("came", name)
    barrier.wait(20)
    print("met", name)
    return name


async def meet_async(count, name):
    import asyncio
    import types

    shared = globals().setdefault("shared", types.SimpleNamespace(here=0, all=asyncio.Event()))
    print("came", name)
    shared.here += 1
    if shared.here == count:
        shared.all.set()
    await asyncio.wait_for(shared.all.wait(), 20)
    print("met", name)
    return name


for function in (meet, meet_async):
    function.__module__ = "__main__"  # so that they travel by value, as a script's functions do

BOTH = pytest.mark.parametrize("function", [meet, meet_async], ids=lambda one: one.__name__)


def wait_for_line(runner: RunnerProcess, *lines: tuple[str, str]) -> None:
    while not all((name, "stdout", text) in runner.lines() for name, text in lines):
        runner.wait_for(guest.Outputs)


@BOTH
def test_inputs_run_at_the_same_time_and_their_lines_are_their_own(function: object) -> None:
    with RunnerProcess() as runner:
        runner.load(function, calls=(5, 0, 0.0))

        tasks = [runner.task(f"in-{number}", 5, str(number)) for number in range(5)]
        runner.send(guest.Run(tuple(tasks)))
        results = runner.results(5)

        assert {r.input_id: runner.value(r) for r in results} == {
            f"in-{n}": str(n) for n in range(5)
        }
        for number in range(5):
            mine = [text for name, _, text in runner.lines() if name == f"in-{number}"]
            assert mine == [f"came {number}", f"met {number}"]


@BOTH
def test_no_more_inputs_run_than_there_are_places_and_those_behind_can_be_had_back(
    function: object,
) -> None:
    with RunnerProcess() as runner:
        runner.load(function, calls=(2, 0, 0.0))
        tasks = [runner.task(f"in-{number}", 3, str(number)) for number in range(4)]
        runner.send(guest.Run(tuple(tasks)))
        wait_for_line(runner, ("in-0", "came 0"), ("in-1", "came 1"))

        runner.send(guest.GiveBack())
        back = runner.wait_for(guest.GivenBack)

        assert set(back.input_ids) == {"in-2", "in-3"}
        assert not any(name in {"in-2", "in-3"} for name, _, _ in runner.lines())


@BOTH
def test_each_input_that_runs_for_long_is_announced_once(function: object) -> None:
    with RunnerProcess() as runner:
        runner.load(function, calls=(3, 0, 0.0))
        tasks = [runner.task(f"in-{number}", 3, str(number)) for number in range(2)]
        runner.send(guest.Run(tuple(tasks)))

        begun = {runner.wait_for(guest.Begun).input_id for _ in range(2)}
        runner.run("in-2", 3, "2")
        runner.results(3)

        assert begun == {"in-0", "in-1"}


def wait_in_python(name):
    import threading

    print("came", name)
    try:
        while True:
            threading.Event().wait(0.01)
    except BaseException as error:
        threading.Event().wait(0.02)
        print("cleaned up", type(error).__name__, error)
        raise


async def wait_async(name):
    import asyncio

    print("came", name)
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(0.02)
        print("cleaned up")
        raise


for function in (wait_in_python, wait_async):
    function.__module__ = "__main__"


@pytest.mark.parametrize("function", [wait_in_python, wait_async], ids=lambda one: one.__name__)
def test_one_of_many_is_cancelled_and_cleans_up_and_the_others_do_not_notice(function) -> None:
    with RunnerProcess() as runner:
        runner.load(function, calls=(3, 0, 0.0))
        runner.send(guest.Run(tuple(runner.task(f"in-{n}", n) for n in range(3))))
        wait_for_line(runner, *((f"in-{n}", f"came {n}") for n in range(3)))

        runner.send(guest.Cancel(("in-1",), timed_out=False, reason="enough"))
        result = runner.result()
        runner.send(guest.Cancel(("in-0", "in-2"), timed_out=True, reason="late"))
        others = runner.results(2)

        assert result.input_id == "in-1"
        assert result.interrupted
        assert {other.input_id for other in others} == {"in-0", "in-2"}
        lines = [(name, text) for name, _, text in runner.lines() if "cleaned" in text]
        assert lines[0][0] == "in-1"
        if function is wait_in_python:
            assert lines[0] == ("in-1", "cleaned up InputCancellation enough")
            assert result.fault.type_name.endswith("InputCancellation")
            assert result.fault.message == "enough"


def test_cancelling_never_hits_another_thread_or_what_comes_after_in_the_same_one() -> None:
    with RunnerProcess() as runner:
        runner.load(lambda: [sum(range(200)) for _ in range(20)] and None, calls=(4, 0, 0.0))

        race_cancels(runner)


def test_what_a_shielded_line_was_in_the_middle_of_is_sent_before_the_interrupt_comes() -> None:
    def flood():
        while True:
            print("line")

    with RunnerProcess() as runner:
        runner.load(flood, calls=(2, 0, 0.0))
        for number in range(20):
            runner.run(f"in-{number}")
            runner.wait_for(guest.Outputs)

            runner.send(guest.Cancel((f"in-{number}",), timed_out=False, reason=""))
            result = runner.result()

            assert result.interrupted
        assert {text for _, _, text in runner.lines()} == {"line"}


def test_generators_run_beside_one_another_with_their_items_in_order() -> None:
    def count(n):
        import threading

        for number in range(n):
            yield number
            threading.Event().wait(0.001)

    with RunnerProcess() as runner:
        runner.load(count, is_generator=True, calls=(3, 0, 0.0))
        runner.send(guest.Run(tuple(runner.task(f"in-{n}", 20) for n in range(3))))
        results = runner.results(3)

        assert {r.item_count for r in results} == {20}
        for number in range(3):
            items = [
                m for m in runner.seen if isinstance(m, guest.Item) and m.input_id == f"in-{number}"
            ]
            assert [item.seq for item in items] == list(range(1, 21))
            assert [runner.loads(item.value) for item in items] == list(range(20))


def test_async_generators_run_beside_one_another() -> None:
    async def count(n):
        import asyncio

        for number in range(n):
            yield number
            await asyncio.sleep(0.001)

    with RunnerProcess() as runner:
        runner.load(count, is_generator=True, calls=(3, 0, 0.0))
        runner.send(guest.Run(tuple(runner.task(f"in-{n}", 10) for n in range(3))))
        results = runner.results(3)

        assert {r.item_count for r in results} == {10}


def test_an_exception_or_an_exit_of_one_input_is_its_own() -> None:
    def fail(how):
        if how == "exit":
            raise SystemExit(3)
        if how == "raise":
            raise ValueError("mine")
        return how

    with RunnerProcess() as runner:
        runner.load(fail, calls=(3, 0, 0.0))
        runner.send(
            guest.Run(tuple(runner.task(f"in-{how}", how) for how in ("exit", "raise", "ok")))
        )
        results = {r.input_id: r for r in runner.results(3)}

        assert results["in-raise"].fault.message == "mine"
        assert results["in-exit"].fault.type_name == "SystemExit"
        assert runner.value(results["in-ok"]) == "ok"


def test_an_exit_of_a_task_that_an_async_input_has_started_ends_nothing_else() -> None:
    async def start(does_exit):
        import asyncio

        async def leave():
            raise SystemExit(1)

        if does_exit:
            task = asyncio.ensure_future(leave())
            await asyncio.sleep(0.01)
            return isinstance(task.exception(), SystemExit)
        await asyncio.sleep(0.05)
        return "well"

    with RunnerProcess() as runner:
        runner.load(start, calls=(3, 0, 0.0))
        runner.send(guest.Run((runner.task("in-1", False), runner.task("in-2", True))))
        results = {r.input_id: runner.value(r) for r in runner.results(2)}

        assert results == {"in-1": "well", "in-2": True}


def test_an_announced_exit_names_the_input_whose_code_it_is() -> None:
    def leave(does_exit):
        import os
        import threading

        if does_exit:
            os._exit(3)
        threading.Event().wait()

    with RunnerProcess() as runner:
        runner.load(leave, calls=(3, 0, 0.0))
        runner.run("in-1", False)
        runner.wait_for(guest.Begun)
        runner.run("in-2", True)

        exiting = runner.wait_for(guest.Exiting)

        assert exiting == guest.Exiting(3, "in-2")


def test_a_stop_waits_for_all_that_runs() -> None:
    def finish(seconds):
        import select

        print("came")
        select.select((), (), (), seconds)
        return seconds

    with RunnerProcess() as runner:
        runner.load(finish, calls=(3, 0, 0.0))
        runner.send(guest.Run((runner.task("in-1", 0.1), runner.task("in-2", 0.2))))
        wait_for_line(runner, ("in-1", "came"), ("in-2", "came"))

        runner.send(guest.Stop())
        results = runner.results(2)
        with pytest.raises(RunnerEndError):
            runner.receive()

        assert {r.input_id for r in results} == {"in-1", "in-2"}
        assert runner.wait_end()[0] == 0


def test_large_results_of_many_inputs_do_not_mix() -> None:
    def make(letter):
        return letter * 300_000

    with RunnerProcess() as runner:
        runner.load(make, calls=(8, 0, 0.0))
        runner.send(guest.Run(tuple(runner.task(f"in-{letter}", letter) for letter in "abcdefgh")))
        results = runner.results(8)

        assert {r.input_id: runner.value(r) for r in results} == {
            f"in-{letter}": letter * 300_000 for letter in "abcdefgh"
        }


def test_a_thread_that_user_code_starts_prints_for_its_input_where_that_is_the_only_one() -> None:
    def talk():
        import threading

        thread = threading.Thread(target=print, args=("from a thread",))
        thread.start()
        thread.join()

    with RunnerProcess() as runner:
        runner.load(talk, calls=(3, 0, 0.0))
        runner.call()

        assert runner.lines() == [("in-1", "stdout", "from a thread")]


def test_each_input_is_told_its_own_id() -> None:
    def who(count):
        import threading

        import offload

        barrier = globals().setdefault("barrier", threading.Barrier(count))
        barrier.wait(20)
        return offload.current_input_id(), offload.current_function_call_id(), offload.is_local()

    with RunnerProcess() as runner:
        runner.load(who, calls=(3, 0, 0.0))
        runner.send(guest.Run(tuple(runner.task(f"in-{name}-7", 3) for name in "abc")))
        results = runner.results(3)

        assert {r.input_id: runner.value(r) for r in results} == {
            f"in-{name}-7": (f"in-{name}-7", f"fc-{name}", False) for name in "abc"
        }


def test_where_no_more_threads_can_be_had_inputs_wait_for_those_that_are_there() -> None:
    def work(does_limit):
        import resource
        import threading

        if does_limit:
            with open("/proc/self/statm") as memory:  # noqa: PTH123
                used = int(memory.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + (20 << 20), -1))
        threading.Event().wait(0.01)
        return threading.active_count()

    with RunnerProcess() as runner:
        runner.load(work, calls=(50, 0, 0.0))
        runner.call(True)

        runner.send(guest.Run(tuple(runner.task(f"in-{n}", False) for n in range(50))))
        results = runner.results(50)

        assert max(runner.value(result) for result in results) < 10
