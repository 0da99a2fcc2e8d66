"""Containers that are forked, through the SDK and a whole stack: what user code and its caller see is the same."""

from __future__ import annotations

import os
import random
import signal

import pytest

import offload
from offload import errors, testing

app = offload.App("forked")

# An idle container ends at once, so that each call has a fresh one.
fresh = {"scaledown_window": 0}


@app.function(**fresh)
def look():
    # The parent of a forked container is outside of its pid namespace.
    return os.getppid() == 0, random.random(), os.environ["OFFLOAD_CONTAINER_ID"]  # noqa: S311, TID251


@app.function(**fresh)
def die(how):
    if os.getppid() == 0:
        os.kill(os.getpid(), how)
    return os.getppid()


@app.function(**fresh, memory=128)
def hoard(size_mib):
    if os.getppid() == 0:
        return len(b"x" * (size_mib << 20))
    return os.getppid()


@pytest.fixture(scope="module", autouse=True)
def running(tmp_path_factory):
    with testing.local_stack(tmp_path_factory.mktemp("stack")), app.run():
        yield


def call_until_forked(function, argument):
    """Call a function that fails in a fork only."""
    while True:
        function.remote(argument)


def test_after_a_while_each_call_has_a_fork_of_its_own():
    calls = [look.remote()]
    while not calls[-1][0]:
        calls.append(look.remote())

    calls += [look.remote() for _ in range(3)]

    forked = [call for call in calls if call[0]]
    assert not calls[0][0]
    assert len({value for _, value, _ in forked}) == len(forked)
    assert len({container_id for _, _, container_id in calls}) >= len(forked)


def test_a_forked_container_that_is_killed_is_reported_as_any_other():
    with pytest.raises(errors.ContainerExitError, match="SIGSEGV"):
        call_until_forked(die, signal.SIGSEGV)


def test_a_forked_container_that_takes_too_much_memory_is_reported_with_its_limit():
    with pytest.raises((errors.OutOfMemoryError, MemoryError), match="128 MiB"):
        call_until_forked(hoard, 900)
