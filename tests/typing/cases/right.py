"""Checked by mypy, never run."""

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

import offload

app = offload.App("t")


@app.function(cpu=(1, 2.5), memory=(64, 128), ephemeral_disk=10)
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

first = square.spawn(3)
later = square.with_options(priority=5, call_timeout=60, after=first, run_anyway=True)
assert_type(later.remote(3), int)
assert_type(square.with_options(after=[first, "fc-1", asq.spawn(1)]).spawn(3).get(), int)
assert_type(
    square.with_options(idempotency_key="monday", memory=64).spawn_map([3]).get(), list[int]
)
assert_type(list(gen.with_options(gpu=None).remote_gen(3)), list[str])
square.update_autoscaler(min_containers=1, scaledown_window=5.0)


@app.function(gpu="H100:2", labels={"zone": "a"}, buffer_containers=1, priority=2, call_timeout=60)
def train(x: int) -> float:
    return 0.5


assert_type(train.remote(3), float)
for letter in offload.dead_letters(app, limit=5):
    assert_type(letter, offload.DeadLetter)
    assert_type(letter.reason, str)
    assert_type(letter.replay(), offload.FunctionCall[object])
    letter.drop()


async def f() -> None:
    assert_type(await square.remote.aio(3), int)
    async for x in square.map.aio([1]):
        assert_type(x, int)
    async for y in gen.remote_gen.aio(1):
        assert_type(y, str)
    assert_type(await square.spawn.aio(3), offload.FunctionCall[int])
    assert_type(await offload.dead_letters.aio(), list[offload.DeadLetter])
    await square.update_autoscaler.aio(max_containers=4)
    assert_type(await offload.wait_first.aio(square.spawn(3)), offload.FunctionCall[int])


@app.function(single_use_containers=True)
@offload.concurrent(max_inputs=1)
def fresh(x: int) -> int:
    return x


@app.function()
@offload.concurrent(max_inputs=10, target_inputs=5)
async def many(x: int) -> str:
    return ""


@app.function()
@offload.batched(max_batch_size=8, wait_ms=20)
def together(xs: list[int]) -> list[str]:
    return [""]


@app.function()
@offload.batched(max_batch_size=8, wait_ms=20)
async def together_async(xs: list[int]) -> list[float]:
    return [0.5]


assert_type(fresh.remote(1), int)
assert_type(many.remote(1), str)
assert_type(together.remote(1), str)
assert_type(together_async.remote(1), float)
assert_type(offload.current_input_id(), str | None)
assert_type(offload.is_local(), bool)

shared = offload.Dict.from_name("shared", create_if_missing=True)
assert_type(shared, offload.Dict)
assert_type(shared.hydrate(), offload.Dict)
assert_type(shared.put("a", 1, skip_if_exists=True), bool)
assert_type(shared.get("a"), object)
assert_type(len(shared), int)
assert_type(list(shared.items()), list[tuple[object, object]])

with offload.Queue.ephemeral() as jobs:
    assert_type(jobs, offload.Queue)
    assert_type(jobs.get(timeout=1), object)
    assert_type(jobs.get_many(3), list[object])
    assert_type(jobs.put("x", partition="p"), None)


async def use_both() -> None:
    assert_type(await shared.contains.aio("a"), bool)
    assert_type(await jobs.len.aio(total=True), int)
    await offload.Dict.delete.aio("shared")


@app.cls(memory=64, enable_memory_snapshot=True)
@offload.concurrent(max_inputs=3)
class Model:
    size: str = offload.parameter(default="small")
    name: str = offload.parameter(init=False)

    @offload.enter(snap=True)
    def load(self) -> None:
        self.table = {1: "one"}

    @offload.method()
    def predict(self, x: int) -> str:
        return self.table[x] + self.size

    @offload.method()
    def each(self, n: int) -> Iterator[str]:
        yield self.predict(n)

    @offload.method()
    async def later(self, x: int) -> bytes:
        return b""

    @offload.exit()
    def close(self) -> None:
        self.table.clear()


model = Model()
assert_type(model, Model)
assert_type(model.predict.remote(1), str)
assert_type(model.predict.local(1), str)
assert_type(model.later.remote(1), bytes)
assert_type(list(model.each.remote_gen(3)), list[str])
assert_type(list(model.predict.map([1])), list[str])
assert_type(model.predict.spawn(1), offload.FunctionCall[str])
