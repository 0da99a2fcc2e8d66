"""Queues that programs and containers share."""

from __future__ import annotations

import queue
from functools import partial
from typing import IO, TYPE_CHECKING

from offload.errors import InvalidError
from offload.sdk import serialize
from offload.sdk.blocking import StreamWork, Work, blocking, blocking_stream
from offload.sdk.call import load
from offload.sdk.objects import NamedObject
from offload.sdk.session import current_client

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Iterable

Body = bytes | IO[bytes]


class Queue(NamedObject):
    """A queue on the server, first in, first out. Items are whatever can be pickled.

    A partition is a queue of its own within it. Items that nobody took go after their `ttl` (in seconds; a day). What
    cannot be had or put in time raises `queue.Empty` or `queue.Full` of the standard library.
    """

    kind = "queue"

    @blocking
    def put(
        self,
        value: object,
        block: bool = True,
        timeout: float | None = None,
        *,
        partition: str | None = None,
        ttl: float | None = None,
    ) -> Work[bool, None]:
        """Append an item. Where there is no room, wait for it, at most `timeout` seconds, or raise `queue.Full` at once."""
        items = [serialize.dumps(value, "the item")]
        wait = _wait_seconds(block=block, timeout=timeout)
        return Work(self._put(items, _named(partition), ttl, wait), _was_put)

    @blocking
    def put_many(
        self,
        values: Iterable[object],
        block: bool = True,
        timeout: float | None = None,
        *,
        partition: str | None = None,
        ttl: float | None = None,
    ) -> Work[bool, None]:
        """Append items in order, as `put` does. Each megabyte of them is put at once, or not at all."""
        items = [serialize.dumps(value, "an item") for value in values]
        wait = _wait_seconds(block=block, timeout=timeout)
        return Work(self._put(items, _named(partition), ttl, wait), _was_put)

    @blocking
    def get(
        self, block: bool = True, timeout: float | None = None, *, partition: str | None = None
    ) -> Work[list[Body], object]:
        """Take the first item. Where there is none, wait for it, at most `timeout` seconds, or raise `queue.Empty` at once."""
        wait = _wait_seconds(block=block, timeout=timeout)
        return Work(self._get(1, _named(partition), wait), _first)

    @blocking
    def get_many(
        self,
        n_values: int,
        block: bool = True,
        timeout: float | None = None,
        *,
        partition: str | None = None,
    ) -> Work[list[Body], list[object]]:
        """Take the first items that there are, at most `n_values`. Where there is none, do as `get`."""
        from offload.sdk.option_checks import check_whole  # noqa: PLC0415  # as other arguments are checked

        check_whole("n_values", n_values, 1, 2**31)
        wait = _wait_seconds(block=block, timeout=timeout)
        return Work(self._get(n_values, _named(partition), wait), _all)

    @blocking_stream
    def iterate(
        self, *, partition: str | None = None, item_poll_timeout: float = 0.0
    ) -> StreamWork[Body, object]:
        """Yield the items without taking them; end where none came for `item_poll_timeout` seconds."""
        if not item_poll_timeout >= 0:
            raise InvalidError(f"item_poll_timeout={item_poll_timeout!r} is below 0 seconds")
        return StreamWork(partial(self._iterate, _named(partition), item_poll_timeout), _all)

    @blocking
    def len(self, *, partition: str | None = None, total: bool = False) -> Work[int, int]:
        """Return how many items there are in a partition, or in `total` in all of them."""
        return Work(self._length(None if total else _named(partition)), int)

    @blocking
    def clear(self, *, partition: str | None = None, all: bool = False) -> Work[None, None]:  # noqa: A002  # as users know it
        """Remove the items of a partition, or of `all` partitions."""
        if all and partition:
            raise InvalidError("clear() takes a partition or all=True, not both")
        return Work(self._clear(None if all else _named(partition)), lambda _: None)

    def __len__(self) -> int:
        return self.len()

    def __bool__(self) -> bool:
        return True  # a handle, however many items there are

    async def _put(
        self, items: list[bytes], partition: str, ttl: float | None, wait: float
    ) -> bool:
        place = (await self._reference.object_id(), partition)
        return await current_client().contents.put_items(place, items, _checked_ttl(ttl), wait)

    async def _get(self, count: int, partition: str, wait: float) -> list[Body]:
        place = (await self._reference.object_id(), partition)
        contents = current_client().contents
        items = await contents.get_items(place, count, wait)
        # A message holds about a megabyte of them.
        while 0 < len(items) < count:
            more = await contents.get_items(place, count - len(items), 0.0)
            if not more:
                break
            items += more
        return items

    async def _iterate(
        self, partition: str, wait: float, _loop: asyncio.AbstractEventLoop | None
    ) -> AsyncGenerator[list[Body], None]:
        place = (await self._reference.object_id(), partition)
        after = 0
        while page := await current_client().contents.peek(place, after, wait):
            after = page[-1][0]
            yield [body for _, body in page]

    async def _length(self, partition: str | None) -> int:
        object_id = await self._reference.object_id()
        return await current_client().contents.length_of_queue(object_id, partition)

    async def _clear(self, partition: str | None) -> None:
        object_id = await self._reference.object_id()
        await current_client().contents.clear_queue(object_id, partition)


def _named(partition: object) -> str:
    if partition is not None and not isinstance(partition, str):
        raise InvalidError(f"partition={partition!r} is not the name of a partition: a text")
    return partition or ""


def _wait_seconds(*, block: bool, timeout: float | None) -> float:
    if timeout is not None and not timeout >= 0:
        raise InvalidError(
            f"timeout={timeout!r} is below 0 seconds; None waits as long as it takes"
        )
    if not block:
        return 0.0
    return -1.0 if timeout is None else timeout


def _checked_ttl(ttl: float | None) -> float:
    if ttl is not None and not ttl > 0:
        raise InvalidError(f"ttl={ttl!r} must be more than 0 seconds; None is a day")
    return ttl or 0.0


def _was_put(is_done: bool) -> None:  # what a request came to
    if not is_done:
        raise queue.Full


def _first(bodies: list[Body]) -> object:
    if not bodies:
        raise queue.Empty
    return load(bodies[0])


def _all(bodies: list[Body]) -> list[object]:
    if not bodies:
        raise queue.Empty
    return [load(body) for body in bodies]
