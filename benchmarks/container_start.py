"""How long a sandboxed container takes from `start()` to its guest's first byte; the last line is one JSON object."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time

from offload.worker.ports import ContainerSpec, LocalImage
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.options import RuntimeOptions
from offload.worker.runtimes.readiness import readable

_ROUNDS = 20
_GUEST = "import os, sys; os.write(int(sys.argv[2]), b'x')"


async def measure(runtime: BubblewrapRuntime) -> dict[str, list[float]]:
    """Start one container after the other; return milliseconds by stage."""
    image = LocalImage(sys.executable, (sys.prefix, sys.base_prefix), "/")
    stages: dict[str, list[float]] = {"spawned_ms": [], "first_byte_ms": [], "ended_ms": []}
    for number in range(_ROUNDS + 1):
        begin = time.perf_counter()
        container = await runtime.start(
            ContainerSpec(f"ct-{number}", "f", image, 1000, 512, block_network=False)
        )
        spawned = time.perf_counter()
        await readable(container.socket.fileno())
        spoke = time.perf_counter()
        await container.wait()
        ended = time.perf_counter()
        await container.close()
        if number:  # the first one stages the image
            for name, at in (
                ("spawned_ms", spawned),
                ("first_byte_ms", spoke),
                ("ended_ms", ended),
            ):
                stages[name].append((at - begin) * 1000)
    return stages


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as data_dir:
        runtime = BubblewrapRuntime(RuntimeOptions(data_dir, guest_argv=("-I", "-S", "-c", _GUEST)))

        async def run() -> dict[str, list[float]]:
            stages = await measure(runtime)
            await runtime.close()
            return stages

        stages = asyncio.run(run())
    result = {name: round(statistics.median(values), 1) for name, values in stages.items()}
    for name, value in result.items():
        print(f"{name:>15} {value:8.1f}  (p50 of {_ROUNDS})")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
