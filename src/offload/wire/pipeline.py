"""Slow steps beside a stream of chunks, so that the disk works while the network does.

Handing every chunk to a thread and waiting for it costs a wake-up on both sides and leaves one of disk and network
idle at any time: it halved the rate of large values. Here one step is under way at a time, behind or ahead of the
stream, and takes all that has gathered meanwhile.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from offload.wire.limits import BATCH_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable


class WriteBehind:
    """Writes chunks in order, several at a time, while the next ones come; at most two batches are in memory."""

    def __init__(self, write: Callable[[list[bytes]], Awaitable[None]]) -> None:
        self._write = write
        self._gathered: list[bytes] = []
        self._size_bytes = 0
        self._writing: asyncio.Future[None] | None = None

    async def add(self, chunk: bytes) -> None:
        """Take a chunk; wait while too much is unwritten. Raises what an earlier write failed with."""
        self._gathered.append(chunk)
        self._size_bytes += len(chunk)
        if self._writing is None or self._writing.done() or self._size_bytes >= BATCH_BYTES:
            await self._settle()
            self._start()

    async def flush(self) -> None:
        """Return when every chunk is written."""
        await self._settle()
        self._start()
        await self._settle()

    async def abandon(self) -> None:
        """Drop what is not written; return when no write is under way. Idempotent."""
        self._gathered.clear()
        with suppress(Exception):
            await self._settle()

    async def _settle(self) -> None:
        if self._writing is not None:
            writing = self._writing
            await asyncio.shield(writing)
            self._writing = None

    def _start(self) -> None:
        if self._gathered:
            batch, self._gathered, self._size_bytes = self._gathered, [], 0
            self._writing = asyncio.ensure_future(self._write(batch))
            # Whoever gives up does not ask how it ended.
            self._writing.add_done_callback(lambda done: done.cancelled() or done.exception())


async def read_ahead(read: Callable[[], Awaitable[bytes]]) -> AsyncGenerator[bytes, None]:
    """Yield what `read` returns until it returns nothing, the next read under way meanwhile."""
    reading = asyncio.ensure_future(read())
    try:
        while data := await asyncio.shield(reading):
            reading = asyncio.ensure_future(read())
            yield data
    finally:
        # The file must not be closed below a thread that reads it.
        with suppress(Exception):
            await reading
