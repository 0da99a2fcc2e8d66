"""What every peer measures, the same way: warm round trips one after the other, then one large map."""

import json
import time
from collections.abc import Callable

WARM_CALLS = 200


def measure(
    round_trip: Callable[[int], object], map_all: Callable[[range], object], calls: int, inputs: int
) -> None:
    """Print the figures of one round as a JSON object."""
    for value in range(WARM_CALLS):
        round_trip(value)
    times = []
    for value in range(calls):
        began = time.perf_counter()
        round_trip(value)
        times.append(time.perf_counter() - began)
    map_all(range(inputs // 10))
    began = time.perf_counter()
    map_all(range(inputs))
    took = time.perf_counter() - began
    times.sort()
    figures = {
        "p50_ms": times[calls // 2] * 1e3,
        "p99_ms": times[int(calls * 0.99)] * 1e3,
        "per_s": inputs / took,
    }
    print(json.dumps(figures))
