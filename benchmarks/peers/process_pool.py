"""One round of ProcessPoolExecutor with chunksize 1: round trips, then a map. Arguments: calls, inputs."""

import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor


def noop(value):
    return value


def main(calls: int, inputs: int) -> None:
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for value in range(200):
            pool.submit(noop, value).result()
        times = []
        for value in range(calls):
            began = time.perf_counter()
            pool.submit(noop, value).result()
            times.append(time.perf_counter() - began)
        began = time.perf_counter()
        list(pool.map(noop, range(inputs), chunksize=1))
        took = time.perf_counter() - began
    times.sort()
    figures = {
        "p50_ms": times[calls // 2] * 1e3,
        "p99_ms": times[int(calls * 0.99)] * 1e3,
        "per_s": inputs / took,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
