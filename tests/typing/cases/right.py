"""Checked by mypy, never run."""

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

import offload

app = offload.App("t")


@app.function(cpu=1)
def square(x: int) -> int:
    return x * x


@app.function()
async def asq(x: int) -> str:
    return ""


@app.function()
def gen(n: int) -> Iterator[str]:
    yield ""


@app.function()
async def agen(n: int) -> AsyncIterator[bytes]:
    yield b""


assert_type(square(3), int)
assert_type(square.remote(3), int)
assert_type(asq.remote(3), str)
assert_type(list(gen.remote_gen(3)), list[str])
assert_type(list(agen.remote_gen(3)), list[bytes])
assert_type(list(square.map([3])), list[int])
assert_type(square.spawn(3), offload.FunctionCall[int])
assert_type(square.spawn(3).get(timeout=3), int)
assert_type(square.spawn_map([3]).get(), list[int])
assert_type(offload.gather(square.spawn(3)), list[int])


async def f() -> None:
    assert_type(await square.remote.aio(3), int)
    async for x in square.map.aio([1]):
        assert_type(x, int)
    async for y in gen.remote_gen.aio(1):
        assert_type(y, str)
    assert_type(await square.spawn.aio(3), offload.FunctionCall[int])
    assert_type(await offload.wait_first.aio(square.spawn(3)), offload.FunctionCall[int])
