"""Interrupting one input, wherever its code is, and never another."""

# The functions here run in another process and bring their imports along.
# ruff: noqa: PLC0415, T201, TID251

from __future__ import annotations

import pytest
from tests.support.runner import RunnerProcess, race_cancels

from offload.wire import guest


def sleep():
    import time

    time.sleep(60)


def lock():
    import threading

    threading.Lock().acquire() and threading.Event().wait()


def spin():
    while True:
        pass


async def wait():
    import asyncio

    await asyncio.sleep(60)


def wait_for_a_thread():
    import queue

    queue.Queue().get()


for place in (sleep, lock, spin, wait, wait_for_a_thread):
    place.__module__ = "__main__"  # so that they travel by value, as a script's functions do


@pytest.mark.parametrize(
    "place", [sleep, lock, spin, wait, wait_for_a_thread], ids=lambda place: place.__name__
)
def test_a_cancelled_input_is_interrupted_wherever_it_is(place: object) -> None:
    with RunnerProcess() as runner:
        runner.load(place)
        runner.run("in-1")
        runner.wait_for(guest.Begun)

        runner.send(guest.Cancel(("in-1",), timed_out=False, reason="by its caller"))
        result = runner.result()

        assert result.interrupted
        assert result.fault is not None
        assert result.value is None


def test_catching_exception_does_not_swallow_a_cancellation() -> None:
    def stubborn():
        import contextlib
        import select

        while True:
            with contextlib.suppress(Exception):
                select.select((), (), (), 60)

    with RunnerProcess() as runner:
        runner.load(stubborn)
        runner.run("in-1")
        runner.wait_for(guest.Begun)

        runner.send(guest.Cancel(("in-1",), timed_out=True, reason="ran for 1 s"))
        result = runner.result()

        assert result.interrupted
        assert result.fault is not None
        assert result.fault.type_name.endswith("InputCancellation")
        assert result.fault.message == "ran for 1 s"
        assert result.fault.frames[-1].function == "stubborn"


def test_a_destructor_that_swallows_the_interrupt_only_delays_it() -> None:
    def work():
        import select

        class Slow:
            def __del__(self):
                print("destructor runs")
                select.select((), (), (), 60)

        Slow()
        select.select((), (), (), 60)

    with RunnerProcess() as runner:
        runner.load(work)
        runner.run("in-1")
        runner.wait_for(guest.Outputs)

        runner.send(guest.Cancel(("in-1",), timed_out=False, reason=""))
        result = runner.result()

        assert result.interrupted
        assert result.run_seconds < 30


def test_a_generator_is_interrupted_between_and_inside_its_items() -> None:
    def endless():
        i = 0
        while True:
            i += 1
            yield i

    with RunnerProcess() as runner:
        runner.load(endless, is_generator=True)
        runner.run("in-1")
        runner.wait_for(guest.Item)

        runner.send(guest.Cancel(("in-1",), timed_out=False, reason="enough"))
        result = runner.result()

        assert result.interrupted
        assert result.item_count == len(runner.items())


def test_an_async_function_may_clean_up_when_it_is_cancelled() -> None:
    async def careful():
        import asyncio

        try:
            print("started")
            await asyncio.sleep(60)
        finally:
            print("cleaned up")

    with RunnerProcess() as runner:
        runner.load(careful)
        runner.run("in-1")
        runner.wait_for(guest.Outputs)

        runner.send(guest.Cancel(("in-1",), timed_out=False, reason=""))
        result = runner.result()

        assert result.interrupted
        assert ("in-1", "stdout", "cleaned up") in runner.lines()


def test_a_queued_input_comes_back_unrun_and_the_others_run() -> None:
    def wait_if(seconds):
        import select

        select.select((), (), (), seconds)
        return seconds

    with RunnerProcess() as runner:
        runner.load(wait_if)
        tasks = [runner.task("in-1", 0.1), runner.task("in-2", 0), runner.task("in-3", 0)]
        runner.send(guest.Run(tuple(tasks)))

        runner.send(guest.Cancel(("in-2",), timed_out=False, reason=""))
        results = runner.results(2)

        assert guest.GivenBack(("in-2",)) in runner.seen
        assert [result.input_id for result in results] == ["in-1", "in-3"]
        assert all(result.fault is None for result in results)


def test_cancelling_an_input_never_hits_the_next_one() -> None:
    with RunnerProcess() as runner:
        runner.load(lambda: sum(range(200)))

        race_cancels(runner)


def test_a_cancel_for_an_input_that_has_ended_is_ignored() -> None:
    with RunnerProcess() as runner:
        runner.load(lambda: 1)
        runner.call()

        runner.send(guest.Cancel(("in-1",), timed_out=False, reason=""))

        assert runner.value(runner.call()) == 1


def clean_up_a_function():
    import time

    import offload

    try:
        print("started")
        time.sleep(60)
    except offload.InputCancellation as cancelled:
        time.sleep(0.05)
        print(f"cleaned up: {cancelled}")
        raise


def clean_up_a_generator():
    import time

    try:
        yield 1
        print("started")
        time.sleep(60)
    finally:
        time.sleep(0.05)
        print("cleaned up: enough")


async def clean_up_an_async_function():
    import asyncio

    try:
        print("started")
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(0.05)
        print("cleaned up: enough")
        raise


async def clean_up_an_async_generator():
    import asyncio

    try:
        yield 1
        print("started")
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.05)
        print("cleaned up: enough")


def clean_up_after_a_read():
    import os

    import offload

    readable, _ = os.pipe()
    try:
        print("started")
        os.read(readable, 1)
    except offload.InputCancellation as cancelled:
        print(f"cleaned up: {cancelled}")
        raise


def clean_up_after_a_long_computation():
    import hashlib

    import offload

    try:
        print("started")
        while True:
            hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 200_000)
    except offload.InputCancellation as cancelled:
        print(f"cleaned up: {cancelled}")
        raise


_CLEANERS = (
    clean_up_a_function,
    clean_up_a_generator,
    clean_up_an_async_function,
    clean_up_an_async_generator,
    clean_up_after_a_read,
    clean_up_after_a_long_computation,
)
for cleaner in _CLEANERS:
    cleaner.__module__ = "__main__"


@pytest.mark.parametrize("cleaner", _CLEANERS, ids=lambda cleaner: cleaner.__name__)
def test_whatever_is_cancelled_may_clean_up_and_take_its_time_for_it(cleaner: object) -> None:
    with RunnerProcess() as runner:
        runner.load(cleaner, is_generator="generator" in cleaner.__name__)
        runner.run("in-1")
        while ("in-1", "stdout", "started") not in runner.lines():
            runner.wait_for(guest.Outputs)

        runner.send(guest.GiveBack(), guest.Cancel(("in-1",), timed_out=False, reason="enough"))
        result = runner.result()

        assert result.interrupted
        assert ("in-1", "stdout", "cleaned up: enough") in runner.lines()
