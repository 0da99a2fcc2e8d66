"""Chunks on their way up and down, for the SDK and for workers: batches in a pipeline, each repeated when its link breaks."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol, TypeVar

from offload.wire import volume_requests as requests
from offload.wire.chunking import BATCHES, MIN_CHUNK_BYTES
from offload.wire.landing import MIN_PACK_BYTES, put_down, this_machine
from offload.wire.status import LinkClosedError, Status, WireError

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        Awaitable,
        Callable,
        Iterator,
        Sequence,
    )

    from offload.wire.chunking import Batch
    from offload.wire.link import Link
    from offload.wire.trees import Chunk

T = TypeVar("T")

# What is fetched at once: as much is in memory twice, once in hand and once on its way.
WINDOW_BYTES = 16 * 1024 * 1024
WINDOW_CHUNKS = 2_000


class Repeat(Protocol):
    """Makes a request over a link, again after each break, until it is answered."""

    async def __call__(self, attempt: Callable[[Link], Awaitable[T]], /) -> T:
        """Return what the attempt returned."""
        ...


async def upload(
    repeat: Repeat,
    next_batch: Callable[[], Batch],
    on_sent: Callable[[int], None] = lambda _: None,
) -> int:
    """Store the blobs of every batch until an empty one; return how many bytes had to be sent.

    `next_batch` is called in a thread, and `on_sent` told how many bytes of it have been dealt with. Before it is called again
    all but the last `BATCHES` batches have been: one is written by the server while the next one is sent.
    """
    sending: deque[asyncio.Task[int]] = deque()
    sent = 0
    try:
        while batch := await asyncio.to_thread(next_batch):
            if len(sending) >= BATCHES:
                sent += await sending[0]
                sending.popleft()
            sending.append(asyncio.ensure_future(_send(repeat, batch, on_sent)))
        return sent + sum(await asyncio.gather(*sending))
    finally:
        for task in sending:
            task.cancel()


async def contents(repeat: Repeat, chunks: Sequence[Chunk]) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of chunks in this order, verified, the next ones on their way meanwhile."""
    windows = list(_windows(chunks))
    coming: asyncio.Task[dict[str, bytes]] | None = None
    try:
        for number, window in enumerate(windows):
            found = await (coming or _fetch(repeat, window))
            coming = None
            if number + 1 < len(windows):
                coming = asyncio.ensure_future(_fetch(repeat, windows[number + 1]))
            for chunk in window:
                yield found[chunk.sha256]
    finally:
        if coming is not None:
            coming.cancel()


async def _send(repeat: Repeat, batch: Batch, on_sent: Callable[[int], None]) -> int:
    async def attempt(link: Link) -> int:
        missing, landing = await requests.missing(link, list(batch), this_machine())
        wanted = {sha256: data for sha256, data in batch.items() if sha256 in missing}
        landed = await _land(link, landing, wanted) if landing else set()
        left = {sha256: data for sha256, data in wanted.items() if sha256 not in landed}
        if left:
            await requests.upload_many(link, left)
        return sum(map(len, wanted.values()))

    sent = await repeat(attempt)
    on_sent(sum(map(len, batch.values())))
    return sent


async def _land(link: Link, folder: str, blobs: Batch) -> set[str]:
    """Put blobs into the server's own folder, where that works and is worth it; return which."""
    # The server keeps smaller ones in another way.
    large = {name: data for name, data in blobs.items() if len(data) > MIN_CHUNK_BYTES}
    if sum(map(len, large.values())) < MIN_PACK_BYTES:
        return set()
    pack = await asyncio.to_thread(put_down, folder, large.values())
    if pack is None:
        return set()
    try:
        await requests.adopt(link, pack.name, large)
    except LinkClosedError:
        raise
    except WireError:
        return set()  # where something is wrong with the server's disk, the link says so
    else:
        return set(large)
    finally:
        pack.close()


async def _fetch(repeat: Repeat, window: Sequence[Chunk]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    names = list({chunk.sha256: None for chunk in window})

    async def attempt(link: Link) -> None:
        left = [name for name in names if name not in found]
        async with aclosing(requests.download_many(link, left)) as blobs:
            async for sha256, data in blobs:
                if hashlib.sha256(data).hexdigest() != sha256:
                    raise WireError(
                        Status.DATA_LOSS, f"The chunk {sha256} was changed on its way here."
                    )
                found[sha256] = data

    await repeat(attempt)
    return found


def _windows(chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
    window: list[Chunk] = []
    size_bytes = 0
    for chunk in chunks:
        window.append(chunk)
        size_bytes += chunk.size_bytes
        if size_bytes >= WINDOW_BYTES or len(window) >= WINDOW_CHUNKS:
            yield window
            window, size_bytes = [], 0
    if window:
        yield window
