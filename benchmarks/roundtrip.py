"""Warm round trips and map throughput of a no-op, beside Ray tasks, Celery with Redis and a process pool."""

from __future__ import annotations

import argparse

import offload
from benchmarks.harness import Figures, own_stack, peer, quantile, report, rounds, timed

app = offload.App("bench-roundtrip")


@app.function()
def noop(value: int) -> int:
    """Do nothing."""
    return value


def play_offload(calls: int, inputs: int) -> Figures:
    """One round of ours, from a cold container to the figures."""
    with app.run():
        for value in range(200):
            noop.remote(value)
        times = [timed(lambda: noop.remote(1)) for _ in range(calls)]
        list(noop.map(range(inputs // 10)))
        took = timed(lambda: list(noop.map(range(inputs))))
    return {
        "p50_ms": quantile(times, 0.5) * 1e3,
        "p99_ms": quantile(times, 0.99) * 1e3,
        "per_s": inputs / took,
    }


def main() -> None:
    """Play the rounds and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--only", default="", help="comma-separated names, for a quick look")
    options = parser.parse_args()
    sizes = (str(options.calls), str(options.inputs))
    contestants = {
        "offload": lambda: play_offload(options.calls, options.inputs),
        "ray": lambda: peer("ray_tasks.py", *sizes),
        "celery": lambda: peer("celery_tasks.py", *sizes),
        "pool": lambda: peer("process_pool.py", *sizes),
    }
    wanted = [name for name in options.only.split(",") if name] or list(contestants)
    with own_stack():
        medians = rounds({name: contestants[name] for name in wanted}, options.rounds)
    rows = {
        name: {
            "p50 ms": f"{figures['p50_ms']:.3f}",
            "p99 ms": f"{figures['p99_ms']:.3f}",
            "inputs/s": f"{figures['per_s']:,.0f}",
        }
        for name, figures in medians.items()
    }
    result: dict[str, object] = {}
    for name, figures in medians.items():
        ours = name == "offload"
        result["remote_p50_ms" if ours else f"{name}_p50_ms"] = round(figures["p50_ms"], 4)
        result["remote_p99_ms" if ours else f"{name}_p99_ms"] = round(figures["p99_ms"], 4)
        result["map_per_s" if ours else f"{name}_per_s"] = round(figures["per_s"])
    report("Warm no-op round trip, and 10,000 no-ops mapped", rows, result)


if __name__ == "__main__":
    main()
