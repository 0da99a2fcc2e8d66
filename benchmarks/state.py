"""State beside the functions: dicts and queues beside Redis, volumes beside `cp`. Each part is a module of its own."""

from __future__ import annotations

import argparse

from benchmarks import state_objects, state_volumes
from benchmarks.harness import Figures, own_stack, report, rounds


def main() -> None:
    """Play the rounds of every part and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--batch", type=int, default=1000)
    options = parser.parse_args()
    sizes = (options.calls, options.batches, options.batch)
    many = state_objects.MANY
    with own_stack() as data_dir, state_objects.redis_server() as port:
        medians = rounds(
            {
                "offload 1": lambda: state_objects.play_ours(1, *sizes),
                "redis 1": lambda: state_objects.play_redis(port, 1, *sizes),
                f"offload {many}": lambda: state_objects.play_ours(many, *sizes),
                f"redis {many}": lambda: state_objects.play_redis(port, many, *sizes),
            },
            options.rounds,
        )
        volumes = state_volumes.measure(data_dir)
    rows = {name: _row(figures) for name, figures in medians.items()}
    result: dict[str, object] = {}
    for name, figures in medians.items():
        who, _, clients = name.partition(" ")
        suffix = "" if clients == "1" else f"_{clients}_clients"
        ours = who == "offload"
        result[("dict_put_per_s" if ours else "redis_put_per_s") + suffix] = round(
            figures["dict_put_per_s"]
        )
        result[("dict_get_p50_ms" if ours else "redis_get_p50_ms") + suffix] = round(
            figures["dict_get_p50_ms"], 4
        )
        result[("queue_put_get_per_s" if ours else "redis_queue_per_s") + suffix] = round(
            figures["queue_per_s"]
        )
        result[("queue_batch_per_s" if ours else "redis_pipeline_per_s") + suffix] = round(
            figures["batch_per_s"]
        )
    state_volumes.show(volumes)
    result.update(volumes)
    report("Dicts and queues beside Redis (everysec), by clients", rows, result)


def _row(figures: Figures) -> dict[str, str]:
    return {
        "put/s": f"{figures['dict_put_per_s']:,.0f}",
        "get p50 ms": f"{figures['dict_get_p50_ms']:.3f}",
        "get/s": f"{figures['dict_get_per_s']:,.0f}",
        "put+get/s": f"{figures['queue_per_s']:,.0f}",
        "batched items/s": f"{figures['batch_per_s']:,.0f}",
    }


if __name__ == "__main__":
    main()
