"""What every client of the state benchmark does, phase by phase, whenever its driver says go.

A client is a process that names its operations; the driver starts any number of them and takes the time of each phase.
"""

import json
import sys
import time
from collections.abc import Callable

VALUE = b"v" * 100
PHASES = ("dict_put", "dict_get", "queue", "batch")


def play(
    operations: dict[str, Callable[[int], object]], calls: int, batches: int, batch: int
) -> None:
    """Do each phase when told to; print how long the calls took, as one JSON object per phase."""
    done = {"dict_put": calls, "dict_get": calls, "queue": calls, "batch": batches}
    for phase in PHASES:
        operation = operations[phase]
        operation(0)  # connects, and finds what it works on
        print("ready", flush=True)
        sys.stdin.readline()
        times = []
        for number in range(done[phase]):
            began = time.perf_counter()
            operation(number)
            times.append(time.perf_counter() - began)
        times.sort()
        count = done[phase] * (batch if phase == "batch" else 1)
        figures = {"count": count, "p50_ms": times[len(times) // 2] * 1e3}
        print(json.dumps(figures), flush=True)
