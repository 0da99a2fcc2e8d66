"""How long a sandboxed container takes from `start()` to its first result; the last line is one JSON object."""

from __future__ import annotations

import argparse
import asyncio
import json
import pickle
import statistics
import sys
import tempfile
import time

import cloudpickle

from offload.wire import guest
from offload.worker.ports import Container, ContainerSpec, LocalImage
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.options import RuntimeOptions
from offload.worker.runtimes.readiness import readable


def answer(value):
    return value


async def hear(container: Container, kind: type[guest.Message]) -> float:
    """Return when the runner has said it; each of its messages here is an answer to one of ours."""
    decoder = guest.Decoder()
    while True:
        await readable(container.socket.fileno())
        data = container.socket.recv(65536)
        if not data:
            raise EOFError("the runner ended")
        if any(isinstance(message, kind) for message in decoder.feed(data)):
            return time.perf_counter()


async def start_once(runtime: BubblewrapRuntime, name: str) -> dict[str, float]:
    """Start one container, have it call a function that travels by value, and end it; return milliseconds by stage."""
    image = LocalImage(sys.executable, (sys.prefix, sys.base_prefix), "/")
    code = guest.Body("cloudpickle", cloudpickle.dumps(answer))
    path = tuple(entry for entry in sys.path if entry)
    arguments = guest.Body("pickle", pickle.dumps(((1,), {})))
    begin = time.perf_counter()
    container = await runtime.start(
        ContainerSpec(name, "answer", image, 1000, 512, block_network=False)
    )
    at = {"spawned_ms": time.perf_counter()}
    at["hello_ms"] = await hear(container, guest.Hello)
    container.socket.send(guest.encode(guest.Load("answer", False, code, path, (), "/")))
    at["loaded_ms"] = await hear(container, guest.Loaded)
    container.socket.send(guest.encode(guest.Run((guest.Task("in-1", 1, arguments),))))
    at["result_ms"] = await hear(container, guest.Results)
    container.socket.send(guest.encode(guest.Stop()))
    await container.wait()
    at["ended_ms"] = time.perf_counter()
    await container.close()
    return {stage: (moment - begin) * 1e3 for stage, moment in at.items()}


async def measure(rounds: int) -> list[dict[str, float]]:
    """Start one container after the other; the first one, which stages the image, does not count."""
    with tempfile.TemporaryDirectory() as data_dir:
        runtime = BubblewrapRuntime(RuntimeOptions(data_dir))
        starts = [await start_once(runtime, f"ct-{number}") for number in range(rounds + 1)]
        await runtime.close()
    return starts[1:]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    starts = asyncio.run(measure(parser.parse_args().rounds))
    result = {
        stage: round(statistics.median(start[stage] for start in starts), 1) for stage in starts[0]
    }
    for stage, value in result.items():
        print(f"{stage:>12} {value:8.1f}  (p50 of {len(starts)})")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
