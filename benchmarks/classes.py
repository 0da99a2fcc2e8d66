"""Throughput of batched calls, and of several calls in one container, beside the plain function and a method of a class.

Once with functions that do nothing, which shows what each way costs, and once with functions that wait for 5 ms a call, as for a
model or somebody's server, which shows what each is for.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Iterable

import offload
from benchmarks.harness import Figures, own_stack, report, rounds, timed

app = offload.App("bench-classes")
Map = Callable[[list[float]], Iterable[float]]
WAIT_SECONDS = 0.005
TOGETHER = 100


@app.function()
def plain(seconds: float) -> float:
    """Take one input after the other."""
    if seconds:
        time.sleep(seconds)
    return seconds


@app.cls()
class Instance:
    """A class with one method."""

    @offload.method()
    def plain(self, seconds: float) -> float:
        """Take one input after the other."""
        if seconds:
            time.sleep(seconds)
        return seconds


@app.function()
@offload.batched(max_batch_size=TOGETHER, wait_ms=10)
def batched(seconds: list[float]) -> list[float]:
    """Take many inputs, and wait once for all of them."""
    if seconds[0]:
        time.sleep(seconds[0])
    return seconds


@app.function()
@offload.batched(max_batch_size=TOGETHER, wait_ms=10)
async def batched_async(seconds: list[float]) -> list[float]:
    """Take many inputs, and wait once for all of them."""
    if seconds[0]:
        await asyncio.sleep(seconds[0])
    return seconds


@app.function()
@offload.concurrent(max_inputs=TOGETHER)
async def concurrent_async(seconds: float) -> float:
    """Wait beside others, in a task."""
    if seconds:
        await asyncio.sleep(seconds)
    return seconds


@app.function()
@offload.concurrent(max_inputs=TOGETHER)
def concurrent_threads(seconds: float) -> float:
    """Wait beside others, in a thread."""
    if seconds:
        time.sleep(seconds)
    return seconds


def mapped_per_second(each: Map, inputs: int) -> Figures:
    """One round: the throughput of a map of no-ops, and of one of calls that wait."""
    with app.run():
        list(each([0.0] * (inputs // 10)))
        noop_seconds = timed(lambda: list(each([0.0] * inputs)))
        waits = inputs // 5
        wait_seconds = timed(lambda: list(each([WAIT_SECONDS] * waits)))
    return {"per_s": inputs / noop_seconds, "waiting_per_s": waits / wait_seconds}


def main() -> None:
    """Play the rounds and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--only", default="", help="comma-separated names, for a quick look")
    options = parser.parse_args()

    def round_of(each: Map) -> Callable[[], Figures]:
        return lambda: mapped_per_second(each, options.inputs)

    contestants = {
        "plain": round_of(plain.map),
        "method": round_of(Instance().plain.map),
        "batched": round_of(batched.map),
        "batched_async": round_of(batched_async.map),
        "concurrent_async": round_of(concurrent_async.map),
        "concurrent_threads": round_of(concurrent_threads.map),
    }
    wanted = [name for name in options.only.split(",") if name] or list(contestants)
    with own_stack():
        medians = rounds({name: contestants[name] for name in wanted}, options.rounds)
    rows = {
        name: {
            "no-ops/s": f"{figures['per_s']:,.0f}",
            "waits of 5 ms/s": f"{figures['waiting_per_s']:,.0f}",
        }
        for name, figures in medians.items()
    }
    result: dict[str, object] = {
        f"{name}_{key}": round(value)
        for name, figures in medians.items()
        for key, value in figures.items()
    }
    report(f"{options.inputs:,} inputs mapped", rows, result)


if __name__ == "__main__":
    main()
