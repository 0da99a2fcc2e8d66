"""A runner that becomes an instance of a class: its hooks, its methods, its end."""

from __future__ import annotations

import pytest
from tests.support.runner import RunnerProcess

from offload.sdk.life_cycle import ENTER, EXIT, MARK, METHOD, SNAP, Blueprint
from offload.wire import guest


def marked(role):
    def decorate(function):
        setattr(function, MARK, role)
        return function

    return decorate


def parent(broken):
    """A class that notes what happens to it; `broken` names the hook that fails."""

    class Parent:
        def __init__(self):
            self.log = [f"made {self.size}"]

        @marked(ENTER)
        def connect(self):
            self.log.append("connect")
            if broken == "connect":
                raise ConnectionError("no database")

        @marked(METHOD)
        def read(self):
            return self.log

        @marked(EXIT)
        def close(self):
            print("close")  # noqa: T201
            if broken == "close":
                raise OSError("it was closed already")

    return Parent


def model(*, broken=""):
    """What a class is made of that inherits from such a one."""

    class Model(parent(broken)):
        @marked(ENTER)
        async def warm(self):
            self.log.append("warm")

        @marked(SNAP)
        def load(self):
            self.log.append("load")

        @marked(METHOD)
        def count(self, n):
            yield from range(n)

        @marked(METHOD)
        async def later(self, value):
            return value

        @marked(EXIT)
        async def leave(self):
            print("leave")  # noqa: T201

    return Blueprint(Model, {"size": "small"}, snapshot=False)


def call(started, method, *args):
    started.send(guest.Run((guest.Task("in-1", 1, started.body((args, {}, method))),)))
    return started.result()


def shown(started):
    """The lines that came, until the runner ended."""
    lines = []
    while True:
        try:
            lines += [line.text for line in started.wait_for(guest.Outputs).lines]
        except Exception:  # noqa: BLE001 - it has ended
            return lines


@pytest.fixture
def runner():
    with RunnerProcess() as started:
        yield started


def test_the_instance_is_made_and_entered_bases_first_and_snap_hooks_before_others(runner):
    fault = runner.load(model())

    log = runner.value(call(runner, "read"))

    assert fault is None
    assert log == ["made small", "load", "connect", "warm"]


def test_methods_of_every_kind_are_called_by_their_name(runner):
    runner.load(model())

    ended = call(runner, "count", 3)
    later = call(runner, "later", 7)

    assert ended.item_count == 3
    assert runner.value(later) == 7


def test_an_input_without_or_with_an_unknown_method_fails_alone(runner):
    runner.load(model())

    unknown = call(runner, "missing")
    none = runner.call()

    assert "'read'" in unknown.fault.message
    assert "it is a class" in none.fault.message
    assert runner.value(call(runner, "later", 1)) == 1


def test_an_enter_hook_that_fails_says_why_there_is_no_instance(runner):
    fault = runner.load(model(broken="connect"))

    assert fault.type_name == "ConnectionError"
    assert fault.message == "no database"


def test_exit_hooks_run_once_when_the_worker_says_stop_and_their_failure_is_shown(runner):
    runner.load(model(broken="close"))

    runner.send(guest.Stop())
    lines = shown(runner)
    code, _ = runner.wait_end()

    assert code == 0
    assert lines.count("close") == 1
    assert lines.count("leave") == 1
    assert "the exit hook Model.close() failed:" in lines
    assert "OSError: it was closed already" in lines


def test_no_exit_hook_runs_where_the_instance_was_not_entered(runner):
    runner.load(model(broken="connect"))

    runner.send(guest.Stop())

    assert "close" not in shown(runner)


@pytest.mark.parametrize("calls", [(4, 0, 0.0), (1, 4, 0.01)], ids=["concurrent", "batched"])
def test_hooks_and_methods_share_one_loop_where_inputs_run_together(runner, calls):
    class Model:
        @marked(ENTER)
        async def open(self):
            import asyncio  # noqa: PLC0415 - it travels

            self.loop = asyncio.get_running_loop()

        @marked(METHOD)
        async def check(self, value):
            import asyncio  # noqa: PLC0415 - it travels

            same = asyncio.get_running_loop() is self.loop
            return [same] if isinstance(value, list) else same

        @marked(EXIT)
        async def close(self):
            import asyncio  # noqa: PLC0415 - it travels

            print(asyncio.get_running_loop() is self.loop)  # noqa: T201

    runner.load(Blueprint(Model, {}, snapshot=False), calls=calls)

    same = runner.value(call(runner, "check", 1))
    runner.send(guest.Stop())

    assert same is True
    assert shown(runner) == ["True"]
