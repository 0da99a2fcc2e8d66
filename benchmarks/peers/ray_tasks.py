"""One round of Ray tasks. Arguments: calls, inputs."""

import sys

import ray
from measure import measure


@ray.remote
def noop(value: int) -> int:
    """Do nothing."""
    return value


def main(calls: int, inputs: int) -> None:
    """Start Ray as its documentation does, and measure."""
    ray.init(log_to_driver=False, logging_level="ERROR")
    measure(
        lambda value: ray.get(noop.remote(value)),
        lambda values: ray.get([noop.remote(value) for value in values]),
        calls,
        inputs,
    )
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
