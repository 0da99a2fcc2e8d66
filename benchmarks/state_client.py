"""One client of ours for the state benchmark. Arguments: client's number, calls, batches, batch size."""

from __future__ import annotations

import sys

import offload
from benchmarks.peers.phases import VALUE, play


def main(client: int, calls: int, batches: int, batch: int) -> None:
    """Use one dict for all clients, and a partition of a queue for each."""
    shared = offload.Dict.from_name("bench", create_if_missing=True)
    jobs = offload.Queue.from_name("bench", create_if_missing=True)
    queue, many = f"queue-{client}", f"many-{client}"

    def queue_pair(_number: int) -> object:
        jobs.put(VALUE, partition=queue)
        return jobs.get(timeout=10, partition=queue)

    def batches_of(_number: int) -> object:
        jobs.put_many([VALUE] * batch, partition=many)
        return jobs.get_many(batch, partition=many)

    operations = {
        "dict_put": lambda number: shared.put(f"{client}-{number}", VALUE),
        "dict_get": lambda number: shared.get(f"{client}-{number}"),
        "queue": queue_pair,
        "batch": batches_of,
    }
    play(operations, calls, batches, batch)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
