"""Containers forked from a template, at the runtime's port: from `fork()` to a first result; the last line is one JSON object.

`coldstart` runs this with a heavy function, for what no call through the SDK shows: a hundred containers at once, how many fresh
ones a second, and the memory of each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from offload.wire import guest
from offload.worker.ports import Container, ContainerSpec, LocalImage, Template
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.options import RuntimeOptions
from offload.worker.runtimes.readiness import readable

BENCH_VENV = Path(__file__).resolve().parent.parent / ".venv-bench"

LIGHT = "def answer(value): return value"
HEAVY = "import numpy, pandas, sklearn.linear_model\ndef answer(value): return int(numpy.ones(value).sum())"


class Function:
    """A function in source, made where it is unpickled."""

    def __init__(self, source: str) -> None:
        self._source = source

    def __reduce__(self) -> tuple[object, ...]:
        return eval, ("[exec(s, g), g['answer']][1]", {"s": self._source, "g": {}})


class Contestant:
    """One interpreter with one function, started plainly or forked."""

    def __init__(self, runtime: BubblewrapRuntime, python: Path, source: str) -> None:
        self._runtime = runtime
        prefixes = tuple({str(python.parent.parent), sys.base_prefix})
        self.spec = ContainerSpec(
            "ct", "answer", LocalImage(str(python), prefixes, "/"), 100, 512, block_network=False
        )
        command = [str(python), "-c", "import json, sys; print(json.dumps(sys.path[1:]))"]
        path = tuple(json.loads(subprocess.check_output(command)))
        code = guest.Body("cloudpickle", pickle.dumps(Function(source)))
        self.load = guest.encode(guest.Load("answer", False, code, path, (), "/"))
        self.template: Template | None = None
        self._count = 0

    def _next(self) -> ContainerSpec:
        self._count += 1
        return replace(self.spec, container_id=f"ct-{id(self)}-{self._count}")

    async def start_plainly(self) -> Container:
        """Return a container that is told to load the function."""
        container = await self._runtime.start(self._next())
        container.socket.send(self.load)
        return container

    async def make_template(self) -> None:
        """Have the function loaded once."""
        self.template = await self._runtime.start_template(self._next())
        self.template.socket.send(self.load)
        loaded = await hear(self.template, guest.Loaded)
        if loaded.fault is not None:
            raise RuntimeError(loaded.fault.message)

    async def fork(self) -> Container:
        """Return a container that is loaded."""
        if self.template is None:
            raise RuntimeError("it has no template yet")
        return await self.template.fork(self._next())


async def hear(container: Container, kind: type[guest.Message]) -> guest.Message:
    """Return the first such message."""
    decoder = guest.Decoder()
    while True:
        await readable(container.socket.fileno())
        data = container.socket.recv(65536)
        if not data:
            raise EOFError((await container.wait()).detail or "the runner ended")
        for message in decoder.feed(data):
            if isinstance(message, kind):
                return message


async def ask(container: Container) -> None:
    """Have a container answer one input."""
    arguments = guest.Body("pickle", pickle.dumps(((1,), {})))
    container.socket.send(guest.encode(guest.Run((guest.Task("in-1", 1, arguments),))))
    results = await hear(container, guest.Results)
    if results.results[0].fault is not None:
        raise RuntimeError(results.results[0].fault.message)


async def first_result_ms(start: Callable[[], Awaitable[Container]]) -> float:
    """Return what one start and one input take; the end is not counted."""
    begin = time.perf_counter()
    container = await start()
    await ask(container)
    took = time.perf_counter() - begin
    await container.close()
    return took * 1e3


async def hundred_ms(contestant: Contestant) -> tuple[float, float]:
    """Return until when a hundred containers have answered, and what each adds to the memory in use, in MB."""
    before = descendants_pss()

    async def one() -> Container:
        container = await contestant.fork()
        await ask(container)
        return container

    begin = time.perf_counter()
    containers = await asyncio.gather(*(one() for _ in range(100)))
    took = time.perf_counter() - begin
    each = (descendants_pss() - before) / 100
    await asyncio.gather(*(container.close() for container in containers))
    return took * 1e3, each / 1e6


async def fresh_per_s(contestant: Contestant, seconds: float = 5.0, lanes: int = 4) -> float:
    """Return how many inputs a second are answered, each by a container of its own that is gone after."""
    done = 0
    begin = time.perf_counter()

    async def lane() -> None:
        nonlocal done
        while time.perf_counter() - begin < seconds:
            container = await contestant.fork()
            await ask(container)
            await container.close()
            done += 1

    await asyncio.gather(*(lane() for _ in range(lanes)))
    return done / (time.perf_counter() - begin)


def descendants_pss() -> int:
    """Return the proportional memory of all processes below this one, in bytes."""
    parent_of = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent_of[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
    ours, grown = {os.getpid()}, True
    while grown:
        found = {pid for pid, parent in parent_of.items() if parent in ours} - ours
        ours |= found
        grown = bool(found)
    total = 0
    for pid in ours - {os.getpid()}:
        with suppress(OSError, IndexError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(text.split("\nPss:")[1].split()[0]) * 1024
    return total


async def measure(rounds: int) -> dict[str, float]:
    """Measure everything in turns on one runtime."""
    with tempfile.TemporaryDirectory() as data_dir:
        runtime = BubblewrapRuntime(RuntimeOptions(data_dir))
        light = Contestant(runtime, Path(sys.executable), LIGHT)
        heavy = Contestant(runtime, BENCH_VENV / "bin" / "python", HEAVY)
        names = {
            "start_plain_ms": light.start_plainly,
            "start_template_ms": light.fork,
            "heavy_plain_ms": heavy.start_plainly,
            "heavy_template_ms": heavy.fork,
        }
        await light.make_template()
        await heavy.make_template()
        times: dict[str, list[float]] = {name: [] for name in names}
        for number in range(rounds + 1):
            for name, start in names.items():
                took = await first_result_ms(start)
                if number:  # the first of each warms the files
                    times[name].append(took)
        figures = {name: statistics.median(values) for name, values in times.items()}
        figures["hundred_ready_ms"], figures["per_container_mb"] = await hundred_ms(light)
        _, figures["heavy_per_container_mb"] = await hundred_ms(heavy)
        figures["fresh_per_s"] = await fresh_per_s(light)
        await runtime.close()
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    figures = asyncio.run(measure(parser.parse_args().rounds))
    for name, value in figures.items():
        print(f"{name:>24} {value:10.1f}")
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
