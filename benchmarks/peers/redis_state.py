"""One client of a Redis server, with redis-py and hiredis. Arguments: port, client's number, calls, batches, batch size."""

import sys

import redis
from phases import VALUE, play


def main(port: int, client: int, calls: int, batches: int, batch: int) -> None:
    """Use hashes as dicts and lists as queues."""
    server = redis.Redis(port=port)
    queue, many = f"queue-{client}", f"many-{client}"

    def queue_pair(_number: int) -> object:
        server.rpush(queue, VALUE)
        return server.blpop([queue], timeout=10)

    def batches_of(_number: int) -> object:
        with server.pipeline(transaction=False) as pipeline:
            for _ in range(batch):
                pipeline.rpush(many, VALUE)
            pipeline.execute()
        with server.pipeline(transaction=False) as pipeline:
            for _ in range(batch):
                pipeline.lpop(many)
            return pipeline.execute()

    operations = {
        "dict_put": lambda number: server.hset("dict", f"{client}-{number}", VALUE),
        "dict_get": lambda number: server.hget("dict", f"{client}-{number}"),
        "queue": queue_pair,
        "batch": batches_of,
    }
    play(operations, calls, batches, batch)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
