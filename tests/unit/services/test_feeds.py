"""Streams from the store into the present."""

import asyncio
from dataclasses import dataclass

from offload.control.services.feeds import LIVE_BYTES, PAGE_ROWS, Follower, Topic


@dataclass(frozen=True)
class Row:
    seq: int
    size_bytes: int = 1


class Shelf:
    """A store of rows whose reads can be made to wait."""

    def __init__(self, count: int = 0) -> None:
        self.rows = [Row(n) for n in range(1, count + 1)]
        self.reads = 0

    async def read(self, after: int, limit: int) -> list[Row]:
        self.reads += 1
        found = [row for row in self.rows if row.seq > after][:limit]
        await asyncio.sleep(0)
        return found

    def put(self, topic: Topic[Row], count: int, size_bytes: int = 1) -> None:
        start = len(self.rows)
        new = [Row(start + n, size_bytes) for n in range(1, count + 1)]
        self.rows += new
        topic.publish(new)


async def _all(follower: Follower[Row]) -> list[int]:
    return [row.seq async for rows in follower.batches() for row in rows]


async def _begin(follower: Follower[Row]) -> list[Row] | None:
    """Let a follower read what the store has, so that it goes on live."""
    follower.nudge()
    return await follower.next()


def test_a_follower_sees_stored_then_live_rows_once_each() -> None:
    async def scenario() -> None:
        shelf, topic = Shelf(PAGE_ROWS * 2 + 3), Topic[Row]()
        reading = asyncio.ensure_future(_all(Follower(topic, shelf.read, 0)))

        for _ in range(20):
            shelf.put(topic, 7)
            await asyncio.sleep(0)
        topic.end()

        assert await reading == list(range(1, len(shelf.rows) + 1))

    asyncio.run(scenario())


def test_a_slow_follower_is_caught_up_from_the_store() -> None:
    async def scenario() -> None:
        shelf, topic = Shelf(), Topic[Row]()
        follower = Follower(topic, shelf.read, 0)
        assert await _begin(follower) == []

        for _ in range(100):
            shelf.put(topic, 10, size_bytes=LIVE_BYTES // 500)
        held = sum(row.size_bytes for row in follower._live)
        topic.end()

        assert held <= LIVE_BYTES
        assert await _all(follower) == list(range(1, 1001))
        assert shelf.reads > 1

    asyncio.run(scenario())


def test_thousands_of_small_rows_at_once_are_not_read_again() -> None:
    async def scenario() -> None:
        shelf, topic = Shelf(), Topic[Row]()
        follower = Follower(topic, shelf.read, 0)
        assert await _begin(follower) == []

        shelf.put(topic, 5000)
        topic.end()

        assert await _all(follower) == list(range(1, 5001))
        assert shelf.reads == 1

    asyncio.run(scenario())


def test_a_follower_begins_after_what_its_caller_has() -> None:
    async def scenario() -> None:
        shelf = Shelf(10)

        assert await _all(Follower(None, shelf.read, 7)) == [8, 9, 10]

    asyncio.run(scenario())


def test_a_nudge_returns_an_empty_list_and_the_end_none() -> None:
    async def scenario() -> None:
        shelf, topic = Shelf(), Topic[Row]()
        follower = Follower(topic, shelf.read, 0)

        follower.nudge()

        assert await follower.next() == []
        topic.end()
        assert await follower.next() is None

    asyncio.run(scenario())


def test_a_topic_is_not_followed_after_its_follower_went() -> None:
    async def scenario() -> None:
        shelf, topic = Shelf(), Topic[Row]()
        follower = Follower(topic, shelf.read, 0)
        assert topic.is_followed

        follower.close()

        assert not topic.is_followed

    asyncio.run(scenario())
