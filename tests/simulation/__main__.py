"""Play simulated clusters: `python -m tests.simulation --seeds 1000`, or `--seed 17` to replay one."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys

from tests.simulation.cluster import Simulation, SimulationError


def play(seed: int) -> tuple[int, int, str]:
    """Play one seed; return it with how many inputs ended, and what promise it broke, if any."""
    try:
        return seed, Simulation(seed).run(), ""
    except SimulationError as error:
        return seed, 0, str(error)
    except Exception as error:  # noqa: BLE001 whatever it was, the seed must be told
        return seed, 0, f"{type(error).__name__}: {error}"


def main() -> int:
    """Return 1 when a seed broke a promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="play this one only")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    if options.seed is not None:
        print(f"{Simulation(options.seed).run()} inputs, one outcome each")  # noqa: T201
        return 0
    total, failed = 0, 0
    seeds = range(options.first, options.first + options.seeds)
    with multiprocessing.Pool(options.processes) as pool:
        for seed, inputs, broken in pool.imap(play, seeds, chunksize=8):
            total += inputs
            if broken:
                failed += 1
                print(f"seed {seed}: {broken}", file=sys.stderr, flush=True)  # noqa: T201
    print(f"{len(seeds)} seeds, {total} inputs, {failed} seeds broke a promise")  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
