"""From no container of a function to its first result, and one warm call, on every sandbox that this machine has."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

import offload
from benchmarks.harness import own_stack, quantile, report, timed

WARM_CALLS = 100


def offered_sandboxes() -> list[str]:
    """Return the runtimes of the running stack's worker, its default first."""
    command = [sys.executable, "-m", "offload", "worker", "ls", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return list(json.loads(done.stdout)[0]["runtimes"])


def first_and_warm(runtime: str) -> tuple[float, float]:
    """Return the seconds that a function without any container takes to answer, and then again at the median."""
    app = offload.App("bench-sandbox-starts")

    @app.function(runtime=runtime)
    def noop(value: int) -> int:
        return value

    with app.run():
        first = timed(lambda: noop.remote(1))
        warm = [timed(lambda: noop.remote(1)) for _ in range(WARM_CALLS)]
    return first, quantile(warm, 0.5)


def main() -> None:
    """Measure in turns and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    with own_stack():
        sandboxes = offered_sandboxes()
        for name in sandboxes:
            first_and_warm(name)
        found = [{name: first_and_warm(name) for name in sandboxes} for _ in range(options.rounds)]
    rows, result = {}, dict[str, object]()
    for name in sandboxes:
        first = [times[name][0] * 1e3 for times in found]
        warm = [times[name][1] * 1e3 for times in found]
        rows[name] = {
            "first p50 ms": f"{quantile(first, 0.5):.1f}",
            "first p90 ms": f"{quantile(first, 0.9):.1f}",
            "warm p50 ms": f"{quantile(warm, 0.5):.2f}",
        }
        result[f"{name}_p50_ms"] = round(quantile(first, 0.5), 2)
        result[f"{name}_warm_p50_ms"] = round(quantile(warm, 0.5), 3)
    report(f"No container to first result, {options.rounds} rounds", rows, result)


if __name__ == "__main__":
    main()
