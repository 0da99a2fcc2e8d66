"""Containers that run several inputs, batches, or one input only, through the SDK and a whole stack."""

# The functions here run in containers and print.
# ruff: noqa: T201

from __future__ import annotations

import asyncio
import os
import select
import signal
import threading
import time

import pytest

import offload
from offload import errors, testing

app = offload.App("sharing")

here = set()  # in each container: which inputs are in it


class Lines:
    """Keeps what functions print."""

    def __init__(self):
        self.kept = []

    def line(self, line):
        if line.stream == "stdout":
            self.kept.append(line)

    def progress(self, pools):
        """See `Output`."""


def wait_until(condition, seconds=60.0):
    """Wait in small steps, which an interrupt can strike between."""
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        threading.Event().wait(0.01)


# Decorated functions travel by value, with a copy of `here`; these are found by name in the container, with one for all.


def come(name, count=1):
    """Return once so many inputs have come to this container; return how many there are."""
    here.add(name)
    wait_until(lambda: len(here) >= count)
    return len(here)


def has_come(name):
    """Whether the input has come to this container."""
    return name in here


@app.function(max_containers=1)
@offload.concurrent(max_inputs=100)
async def meet(name):
    here.add(name)
    async with asyncio.timeout(60):
        while len(here) < 100:  # noqa: ASYNC110  # in steps, as `wait_until`
            await asyncio.sleep(0.01)
    return os.environ["OFFLOAD_CONTAINER_ID"]  # noqa: TID251


@app.function()
@offload.concurrent(max_inputs=10)
def talk(name):
    come(name, 5)
    for number in range(20):
        print(name, number)
        threading.Event().wait(0.001)
    return offload.current_input_id(), offload.current_function_call_id(), offload.is_local()


@app.function()
@offload.concurrent(max_inputs=10)
async def talk_async(name):
    for number in range(20):
        print(name, number)
        await asyncio.sleep(0.001)
    return offload.current_input_id(), offload.current_function_call_id(), offload.is_local()


@app.function(timeout=60)
@offload.concurrent(max_inputs=3)
def hold(name):
    come(name, 3)
    print("holds")
    wait_until(lambda: has_come("released"))
    return os.environ["OFFLOAD_CONTAINER_ID"]  # noqa: TID251


@app.function()
@offload.concurrent(max_inputs=5)
def beside_a_stubborn_one(name):
    if name == "stubborn":
        come(name, 3)
        print("holds on")
        select.select((), (), (), 60)
    come(name, 2)
    wait_until(lambda: not has_come("stubborn"), 60)
    return name


@app.function()
@offload.concurrent(max_inputs=8)
def die_if(name):
    # Together at first, alone after that.
    wait_until(lambda: come(name) >= 6, 1.0)
    if name == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    wait_until(lambda: not has_come(3), 1.0)
    return name


@app.function()
@offload.concurrent(max_inputs=8)
def exit_if(name):
    wait_until(lambda: come(name) >= 6, 1.0)
    if name == 3:
        os._exit(7)
    wait_until(lambda: not has_come(3), 1.0)
    return name


@app.function(timeout=2)
@offload.concurrent(max_inputs=4)
def take(seconds):
    wait_until(lambda: False, seconds)
    return seconds


@app.function(max_containers=1)
@offload.batched(max_batch_size=8, wait_ms=100)
def measure(words, extra="!"):
    return [
        ValueError("empty") if not word else (len(word + more), len(words))
        for word, more in zip(words, extra, strict=True)
    ]


@app.function(single_use_containers=True)
def once():
    return come(os.urandom(8)), os.environ["OFFLOAD_CONTAINER_ID"]  # noqa: TID251


@pytest.fixture(scope="module", autouse=True)
def running(tmp_path_factory):
    lines = Lines()
    with testing.local_stack(tmp_path_factory.mktemp("stack")), app.run(output=lines):
        yield lines


def test_a_hundred_waiting_async_inputs_share_a_container_at_the_same_time():
    containers = list(meet.map(range(100)))

    assert len(set(containers)) == 1


@pytest.mark.parametrize("function", [talk, talk_async], ids=lambda one: one.name)
def test_each_input_has_its_own_lines_and_its_own_ids(running, function):
    names = [f"{function.name}-{number}" for number in range(5)]

    answers = list(function.map(names))
    wait_until(lambda: sum(x.text.startswith(function.name) for x in running.kept) == 100)

    owners = {}
    for line in running.kept:
        if line.function_name == function.name:
            owners.setdefault(line.text.split()[0], set()).add(line.input_id)
    assert owners == {name: {answer[0]} for name, answer in zip(names, answers, strict=True)}
    assert len({answer[1] for answer in answers}) == 1
    assert not any(is_local for _, _, is_local in answers)


def test_one_of_many_is_cancelled_and_the_others_go_on_in_the_same_container(running):
    calls = [hold.spawn(name) for name in ("a", "b", "c")]
    wait_until(lambda: sum(line.text == "holds" for line in running.kept) == 3)

    calls[1].cancel()
    with pytest.raises(errors.InputCancelledError):
        calls[1].get(timeout=60)
    # It takes the place that has become free.
    fourth = hold.spawn("released")
    containers = {call.get(timeout=60) for call in (calls[0], calls[2], fourth)}

    assert len(containers) == 1


def test_one_of_many_that_does_not_let_go_takes_the_container_and_the_others_run_again(running):
    calls = [beside_a_stubborn_one.spawn(name) for name in ("stubborn", "a", "b")]
    wait_until(lambda: any(line.text == "holds on" for line in running.kept))

    calls[0].cancel()
    with pytest.raises(errors.InputCancelledError):
        calls[0].get(timeout=60)

    assert [call.get(timeout=60) for call in calls[1:]] == ["a", "b"]


def test_of_many_whose_container_is_killed_only_the_guilty_one_fails():
    results = list(die_if.map(range(6), return_exceptions=True))

    assert isinstance(results[3], errors.ContainerExitError)
    assert "SIGKILL" in str(results[3])
    assert results[:3] + results[4:] == [0, 1, 2, 4, 5]


def test_an_exit_among_many_is_blamed_on_the_one_that_made_it():
    results = list(exit_if.map(range(6), return_exceptions=True))

    assert isinstance(results[3], errors.ContainerExitError)
    assert results[3].exit_code == 7
    assert results[:3] + results[4:] == [0, 1, 2, 4, 5]


def test_each_of_many_has_a_time_out_of_its_own():
    results = list(take.map([0.01, 30.0, 0.02, 0.03], return_exceptions=True))

    assert isinstance(results[1], errors.FunctionTimeoutError)
    assert [results[0], *results[2:]] == [0.01, 0.02, 0.03]


def test_a_batched_function_is_called_for_several_inputs_and_each_caller_gets_its_own():
    results = list(measure.map(["a", "bb", "", "dddd"], return_exceptions=True))

    assert [results[0][0], results[1][0], results[3][0]] == [2, 3, 5]
    assert isinstance(results[2], ValueError)
    assert max(size for _, size in (results[0], results[1], results[3])) > 1
    assert measure.remote("x", extra="yy") == (3, 1)


def test_each_input_has_a_container_of_its_own_that_ran_nothing_before():
    results = [once.remote() for _ in range(3)]
    results += [call.get(timeout=60) for call in [once.spawn() for _ in range(5)]]

    assert {count for count, _ in results} == {1}
    assert len({container for _, container in results}) == 8


@app.function(scaledown_window=0)
@offload.concurrent(max_inputs=4)
def in_a_fork(name):
    wait_until(lambda: come(name) >= 3, 1.0)
    print("fork", name)
    # The parent of a forked container is outside of its pid namespace.
    return os.getppid() == 0, offload.current_input_id()


@app.function(scaledown_window=0)
@offload.concurrent(max_inputs=4)
async def in_an_async_fork(name):
    await asyncio.sleep(0.05)
    print("fork", name)
    return os.getppid() == 0, offload.current_input_id()


@pytest.mark.parametrize("function", [in_a_fork, in_an_async_fork], ids=lambda one: one.name)
def test_a_container_that_was_forked_shares_itself_out_like_any_other(function):
    answers = list(function.map("abc"))
    while not all(is_forked for is_forked, _ in answers):
        answers = list(function.map("abc"))

    assert len({input_id for _, input_id in answers}) == 3


@app.function()
def square(x):
    return x * x


@app.function()
@offload.concurrent(max_inputs=8)
def ask(x):
    return square.remote(x)


@app.function()
@offload.concurrent(max_inputs=8)
async def ask_async(x):
    return await square.remote.aio(x)


@pytest.mark.parametrize("function", [ask, ask_async], ids=lambda one: one.name)
def test_inputs_that_share_a_container_may_call_other_functions_at_the_same_time(function):
    assert list(function.map(range(8))) == [x * x for x in range(8)]
