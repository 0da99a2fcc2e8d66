"""The async twins, with a real stack."""

import asyncio
import itertools
import select

import pytest

import offload
from offload import testing

app = offload.App("async-twins")


@app.function()
def wait(seconds):
    select.select([], [], [], seconds)
    return seconds


@app.function()
def count(n):
    yield from range(n)


@app.function()
def square(x):
    return x * x


@pytest.fixture(scope="module", autouse=True)
def running(tmp_path_factory):
    with testing.local_stack(tmp_path_factory.mktemp("stack")):
        yield


def test_everything_has_an_async_twin():
    async def use():
        async with app.run():
            calls = [await square.spawn.aio(x) for x in (2, 3)]
            return (
                await square.remote.aio(5),
                [x async for x in count.remote_gen.aio(3)],
                [x async for x in square.map.aio(range(3))],
                await offload.gather.aio(*calls),
                await (await offload.wait_first.aio(*calls)).get.aio() in (4, 9),
                (await calls[0].status.aio()).state,
            )

    assert asyncio.run(use()) == (25, [0, 1, 2], [0, 1, 4], [4, 9], True, "succeeded")


def test_an_async_iterator_is_mapped_on_its_own_loop():
    async def numbers():
        for x in range(3):
            await asyncio.sleep(0)
            yield x

    async def use():
        async with app.run():
            return [x async for x in square.map.aio(numbers())]

    assert asyncio.run(use()) == [0, 1, 4]


def test_a_task_that_is_cancelled_does_not_wait_for_its_call():
    async def use():
        async with app.run():
            call = asyncio.create_task(wait.remote.aio(60))
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            return await square.remote.aio(2)

    assert asyncio.run(asyncio.wait_for(use(), 50)) == 4


def test_an_endless_map_and_an_endless_generator_may_be_left():
    with app.run():
        first = list(itertools.islice(square.map(itertools.count()), 5))
        items = list(itertools.islice(count.remote_gen(10**9), 3))

    assert (first, items) == ([0, 1, 4, 9, 16], [0, 1, 2])


def test_a_call_that_takes_too_long_to_wait_for_goes_on_until_it_is_cancelled():
    with app.run():
        call = wait.spawn(60)
        with pytest.raises(TimeoutError, match="goes on"):
            call.get(timeout=0.05)

        call.cancel()

        with pytest.raises(offload.errors.InputCancelledError):
            call.get(timeout=60)
