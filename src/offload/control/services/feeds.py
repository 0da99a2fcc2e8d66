"""Streams that begin in the store and go on live, without a gap or a repeat, in bounded memory.

A follower registers before it reads the store, and drops by `seq` what it has seen. A slow one does not make the server
keep rows for it: beyond a bound its live rows are forgotten, and it reads them from the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

PAGE_ROWS = 256

# What a follower may have before it takes it. Outcomes are published as they are committed, in groups: a fast map's are
# some thousands of rows of a hundred bytes, and what does not fit is read from the store a second time.
LIVE_BYTES = 4 * 1024 * 1024

# A row's objects beside its bytes, roughly.
_ROW_BYTES = 400


class Sequenced(Protocol):
    """A row of a stream."""

    @property
    def seq(self) -> int:
        """Its place; rises along the stream."""

    @property
    def size_bytes(self) -> int:
        """How long its text or body is."""


Row = TypeVar("Row", bound=Sequenced)
# (after_seq, limit) -> rows in order; fewer than `limit` says that there are no more now.
Read = Callable[[int, int], Awaitable[list[Row]]]


class Topic(Generic[Row]):
    """The rows of one stream, handed to its followers as they come."""

    def __init__(self) -> None:
        self._followers: set[Follower[Row]] = set()

    @property
    def is_followed(self) -> bool:
        """Whether anybody would see a row."""
        return bool(self._followers)

    def publish(self, rows: Sequence[Row]) -> None:
        """Give rows, in order, that a `Read` begun from now on would find."""
        for follower in self._followers:
            follower.offer(rows)

    def refresh(self) -> None:
        """Have the followers look into the store: there are rows nobody gave."""
        for follower in self._followers:
            follower.fall_behind()

    def end(self) -> None:
        """Say that no row will follow."""
        for follower in self._followers:
            follower.finish()

    def add(self, follower: Follower[Row]) -> None:
        """Let the follower see what comes."""
        self._followers.add(follower)

    def remove(self, follower: Follower[Row]) -> None:
        """Let the follower go. Idempotent."""
        self._followers.discard(follower)


class Follower(Generic[Row]):
    """One reader of a stream from `after_seq` on; without a topic, of what the store has."""

    def __init__(self, topic: Topic[Row] | None, read: Read[Row], after_seq: int) -> None:
        self._topic = topic
        self._read = read
        self._last = after_seq
        self._live: list[Row] = []
        self._live_bytes = 0
        self._is_behind = True
        self._is_finished = topic is None
        self._is_nudged = False
        self.is_closed = False
        self._wake: asyncio.Future[None] | None = None
        if topic is not None:
            topic.add(self)

    def offer(self, rows: Sequence[Row]) -> None:
        """Take rows just published."""
        self._live.extend(rows)
        self._live_bytes += sum(row.size_bytes + _ROW_BYTES for row in rows)
        if self._live_bytes > LIVE_BYTES:
            self._live.clear()
            self._live_bytes = 0
            self._is_behind = True
        self._notify()

    def fall_behind(self) -> None:
        """Take the next rows from the store."""
        self._live.clear()
        self._is_behind = True
        self._notify()

    def finish(self) -> None:
        """Take note that no row will follow."""
        self._is_finished = True
        self._notify()

    def nudge(self) -> None:
        """Make `next` return, with an empty list if there is no row."""
        self._is_nudged = True
        self._notify()

    def close(self) -> None:
        """Leave the topic. Idempotent."""
        self.is_closed = True
        if self._topic is not None:
            self._topic.remove(self)

    async def next(self) -> list[Row] | None:
        """Return the next rows; an empty list after a nudge, None at the end."""
        while True:
            rows = await self._take()
            if rows:
                return rows
            if self._is_behind or self._live:
                continue
            if self._is_finished:
                return None
            if self._is_nudged:
                self._is_nudged = False
                return []
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake

    async def batches(self) -> AsyncIterator[list[Row]]:
        """Iterate over the rows to the end, and leave the topic then."""
        try:
            while (rows := await self.next()) is not None:
                yield rows
        finally:
            self.close()

    async def _take(self) -> list[Row]:
        if self._is_behind:
            # Before the read: rows that overflow while it runs must cause another one.
            self._is_behind = False
            rows = await self._read(self._last, PAGE_ROWS)
            self._is_behind = self._is_behind or len(rows) >= PAGE_ROWS
        else:
            live, self._live, self._live_bytes = self._live, [], 0
            rows = [row for row in live if row.seq > self._last]
        if rows:
            self._last = rows[-1].seq
        return rows

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
