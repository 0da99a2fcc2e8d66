"""One round of Ray tasks: round trips, then a map. Arguments: calls, inputs."""

import json
import sys
import time

import ray


@ray.remote
def noop(value):
    return value


def main(calls: int, inputs: int) -> None:
    ray.init(log_to_driver=False, logging_level="ERROR")
    for value in range(200):
        ray.get(noop.remote(value))
    times = []
    for value in range(calls):
        began = time.perf_counter()
        ray.get(noop.remote(value))
        times.append(time.perf_counter() - began)
    ray.get([noop.remote(value) for value in range(inputs // 10)])
    began = time.perf_counter()
    ray.get([noop.remote(value) for value in range(inputs)])
    took = time.perf_counter() - began
    times.sort()
    ray.shutdown()
    figures = {
        "p50_ms": times[calls // 2] * 1e3,
        "p99_ms": times[int(calls * 0.99)] * 1e3,
        "per_s": inputs / took,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
