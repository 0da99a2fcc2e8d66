"""The SDK with a real server, a real worker and real containers, in a directory of the test's own."""

import os
import threading
import traceback

import pytest

import offload
from offload import errors, testing

app = offload.App("integration")


@app.function()
def square(x):
    return x * x


@app.function()
def count(n):
    yield from range(n)


@app.function()
async def double(x):
    return 2 * x


@app.function()
async def count_async(n):
    for x in range(n):
        yield x


@app.function()
def divide(x):
    return 1 / x


@app.function()
def leave(code):
    os._exit(code)


@app.function()
def say(text):
    print(text)  # noqa: T201  # what is tested
    return text


@app.function()
def echo(data):
    return data


class AwkwardError(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


@app.function()
def awkward():
    raise AwkwardError(1, 2)


@app.function(timeout=0.3)
def wait(seconds):
    threading.Event().wait(seconds)


@pytest.fixture(scope="module", autouse=True)
def running(tmp_path_factory):
    with testing.local_stack(tmp_path_factory.mktemp("stack")), app.run():
        yield


def test_every_kind_of_function_runs_in_a_container():
    assert square.remote(5) == 25
    assert double.remote(5) == 10
    assert list(count.remote_gen(4)) == [0, 1, 2, 3]
    assert list(count_async.remote_gen(3)) == [0, 1, 2]


def test_a_map_gives_thousands_of_results_in_order():
    assert list(square.map(range(3000))) == [x * x for x in range(3000)]


def test_a_spawned_call_is_found_by_its_id():
    call = square.spawn(7)

    assert offload.FunctionCall.from_id(call.object_id).get(timeout=60) == 49
    assert call.status().state == "succeeded"


def test_a_remote_exception_shows_the_users_own_line():
    with pytest.raises(ZeroDivisionError) as caught:
        divide.remote(0)

    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.filename, last.line) == (__file__, "return 1 / x")


def test_an_exception_that_does_not_pickle_keeps_its_name():
    with pytest.raises(errors.RemoteError, match="1 and 2") as caught:
        awkward.remote()

    assert caught.value.type_name.endswith("AwkwardError")


def test_a_function_that_ends_its_process_harms_only_its_input():
    with pytest.raises(errors.ContainerExitError) as caught:
        leave.remote(3)

    assert caught.value.exit_code == 3
    assert square.remote(2) == 4


def test_a_function_that_runs_too_long_is_ended():
    with pytest.raises(errors.FunctionTimeoutError):
        wait.remote(60)


def test_what_a_function_prints_is_shown_before_its_result(capsys):
    say.remote("hello from inside")

    assert "[say #0] hello from inside\n" in capsys.readouterr().out


def test_a_large_value_goes_there_and_back():
    data = os.urandom(3_000_000)

    assert echo.remote(data) == data
