"""What the caller learns when user code fails."""

# The functions here run in another process and bring their imports along.
# ruff: noqa: PLC0415, TID251, PTH109

from __future__ import annotations

import sys
import types

import pytest
from tests.support.runner import RunnerProcess

from offload.sdk import serialize


def exception_of(fault) -> BaseException:
    assert fault.exception is not None
    error = serialize.loads(fault.exception.inline)
    assert isinstance(error, BaseException)
    return error


def test_an_exception_comes_with_its_type_message_frames_and_source() -> None:
    def fail(x):
        return 1 / x

    with RunnerProcess() as runner:
        runner.load(fail)

        fault = runner.call(0).fault

    assert fault is not None
    assert (fault.type_name, fault.message) == ("ZeroDivisionError", "division by zero")
    [frame] = fault.frames
    assert (frame.file, frame.function, frame.text) == (__file__, "fail", "return 1 / x")
    assert isinstance(exception_of(fault), ZeroDivisionError)


def test_async_faults_show_user_code_first_too() -> None:
    async def fail():
        raise ValueError("async")

    with RunnerProcess() as runner:
        runner.load(fail)

        fault = runner.call().fault

    assert fault is not None
    assert [frame.function for frame in fault.frames] == ["fail"]


def test_causes_and_notes_travel_with_an_exception() -> None:
    def fail():
        try:
            raise KeyError("first")
        except KeyError as error:
            second = ValueError("second")
            second.__notes__ = ["a note"]
            raise second from error

    with RunnerProcess() as runner:
        runner.load(fail)

        fault = runner.call().fault

    error = exception_of(fault)
    assert isinstance(error.__cause__, KeyError)
    assert error.__notes__ == ["a note"]


def test_an_exception_that_does_not_survive_pickling_still_tells_its_story() -> None:
    def fail():
        class NeedsTwoError(Exception):
            def __init__(self, a, b):
                super().__init__(f"{a} and {b}")

        raise NeedsTwoError(1, 2)

    with RunnerProcess() as runner:
        runner.load(fail)

        fault = runner.call().fault

    assert fault is not None
    assert fault.exception is None
    assert fault.message == "1 and 2"
    assert "NeedsTwoError" in fault.type_name


def test_an_exception_whose_text_fails_is_reported_all_the_same() -> None:
    def fail():
        class MuteError(Exception):
            def __str__(self):
                raise RuntimeError

        raise MuteError

    with RunnerProcess() as runner:
        runner.load(fail)

        fault = runner.call().fault

    assert fault is not None
    assert "cannot be shown" in fault.message


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt], ids=lambda kind: kind.__name__)
def test_leaving_the_interpreter_is_the_inputs_failure_and_not_the_containers_end(kind) -> None:
    def leave(kind):
        if kind is not None:
            raise kind(3)
        return "still here"

    with RunnerProcess() as runner:
        runner.load(leave)

        fault = runner.call(kind).fault

        assert fault is not None
        assert (fault.type_name, fault.message) == (kind.__name__, "3")
        assert runner.value(runner.call(None)) == "still here"


def test_endless_recursion_is_told_with_the_middle_left_out() -> None:
    def recurse(n):
        return recurse(n + 1)

    with RunnerProcess() as runner:
        runner.load(recurse)

        fault = runner.call(0).fault

    assert fault is not None
    assert fault.type_name == "RecursionError"
    assert len(fault.frames) == 201
    assert "frames left out" in fault.frames[100].text


def test_arguments_that_cannot_be_loaded_are_the_inputs_failure() -> None:
    class Unloadable:
        def __reduce__(self):
            return int, ("not a number",)

    with RunnerProcess() as runner:
        runner.load(lambda x: x)

        fault = runner.call(Unloadable()).fault

    assert fault is not None
    assert fault.type_name == "ValueError"


def test_a_function_that_needs_a_missing_module_says_which() -> None:
    module = types.ModuleType("no_such_module")
    exec("def helper(): pass", module.__dict__)  # noqa: S102
    sys.modules["no_such_module"] = module
    try:
        with RunnerProcess() as runner:
            fault = runner.load(module.helper)
    finally:
        del sys.modules["no_such_module"]

    assert fault is not None
    assert fault.type_name == "ModuleNotFoundError"
    assert "'no_such_module'" in fault.message


def test_a_function_finds_its_environment_variables_and_working_directory() -> None:
    def look():
        import os

        return os.environ["GREETING"], os.getcwd()

    with RunnerProcess() as runner:
        runner.load(look, env=(("GREETING", "hello"),), working_dir="/usr")

        assert runner.value(runner.call()) == ("hello", "/usr")


def test_user_code_sees_the_callers_virtual_environment() -> None:
    def look():
        import sys

        return sys.prefix, sys.argv, sys.modules["__main__"].__dict__.get("main")

    with RunnerProcess() as runner:
        runner.load(look)

        assert runner.value(runner.call()) == (sys.prefix, [""], None)
