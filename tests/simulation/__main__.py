"""Play simulated clusters: `python -m tests.simulation --seeds 1000`, or `--seed 17` to replay one."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.cluster import Simulation, SimulationError


def main() -> int:
    """Return 1 when a seed broke a promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many, from 0")
    parser.add_argument("--seed", type=int, help="play this one only")
    options = parser.parse_args()
    seeds = range(options.seeds) if options.seed is None else [options.seed]
    total = 0
    for seed in seeds:
        try:
            total += Simulation(seed).run()
        except SimulationError as error:
            print(f"seed {seed}: {error}", file=sys.stderr)  # noqa: T201
            return 1
    print(f"{len(seeds)} seeds, {total} inputs, one outcome each")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
