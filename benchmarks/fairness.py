"""What one tenant's calls take beside another tenant's hundred thousand inputs.

Tenant B makes one call a second of a function that computes for some milliseconds, first with the machine to itself, then
beside tenant A's map of 100,000 inputs of the same function, which wants every core. One server, one worker with its
defaults, sandboxed containers. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

import offload
from benchmarks.harness import own_stack, quantile, report

BUSY_SECONDS = 0.005
WAIT_FOR_A_SECONDS = 5.0
app = offload.App("bench-fairness")


@app.function()
def compute(number: int) -> int:
    """Keep a core busy for a few milliseconds of its own time."""
    end = time.thread_time() + BUSY_SECONDS
    while time.thread_time() < end:
        number += 1
    return number


def call_every_second(count: int) -> list[float]:
    """Be tenant B; return how long each call took, in milliseconds."""
    took = []
    for _ in range(count):
        began = time.perf_counter()
        compute.remote(1)
        took.append((time.perf_counter() - began) * 1000)
        time.sleep(1.0)
    return took


def flood(inputs: int) -> None:
    """Be tenant A, for as long as it takes."""
    with app.run():
        done = sum(1 for _ in compute.map(range(inputs), order_outputs=False))
    print(f"tenant A got {done:,} results", file=sys.stderr)


def main() -> None:
    """Let B call alone, then beside A, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--flood", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.flood:
        flood(options.inputs)
        return
    with own_stack():
        os.environ["OFFLOAD_WORKSPACE"] = "b"
        with app.run():
            compute.remote(0)
            alone = call_every_second(options.calls)
            crowd = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.fairness", "--flood", "--inputs", str(options.inputs)],
                env={**os.environ, "OFFLOAD_WORKSPACE": "a"},
            )  # fmt: skip
            try:
                time.sleep(WAIT_FOR_A_SECONDS)
                beside = call_every_second(options.calls)
                if crowd.poll() is not None:
                    raise SystemExit("tenant A was done too early: give it more --inputs")
            finally:
                crowd.terminate()
                crowd.wait()
    p99_alone, p99_beside = quantile(alone, 0.99), quantile(beside, 0.99)
    result: dict[str, object] = {
        "b_p50_alone_ms": round(statistics.median(alone), 2),
        "b_p99_alone_ms": round(p99_alone, 2),
        "b_p50_beside_a_ms": round(statistics.median(beside), 2),
        "b_p99_beside_a_ms": round(p99_beside, 2),
        "b_p99_ratio": round(p99_beside / p99_alone, 2),
    }
    rows = {
        "B alone": {"p50 ms": f"{statistics.median(alone):.2f}", "p99 ms": f"{p99_alone:.2f}"},
        "B beside A": {"p50 ms": f"{statistics.median(beside):.2f}", "p99 ms": f"{p99_beside:.2f}"},
    }
    report(f"One call a second beside {options.inputs:,} inputs", rows, result)


if __name__ == "__main__":
    main()
