"""One round of ProcessPoolExecutor with chunksize 1. Arguments: calls, inputs."""

import os
import sys
from concurrent.futures import ProcessPoolExecutor

from measure import measure


def noop(value: int) -> int:
    """Do nothing."""
    return value


def main(calls: int, inputs: int) -> None:
    """Measure a pool with a process per core."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        measure(
            lambda value: pool.submit(noop, value).result(),
            lambda values: list(pool.map(noop, values, chunksize=1)),
            calls,
            inputs,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
