"""Chunks on their way up and down, for the SDK and for workers: batches in a pipeline, each repeated when its link breaks."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from offload.wire import volume_requests as requests
from offload.wire.chunking import BATCHES, MIN_CHUNK_BYTES
from offload.wire.landing import MIN_PACK_BYTES, put_down, this_machine
from offload.wire.status import LinkClosedError, Status, WireError

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        Awaitable,
        Callable,
        Iterable,
        Iterator,
        Sequence,
    )

    from offload.wire.chunking import Batch
    from offload.wire.landing import LandedPack
    from offload.wire.link import Link
    from offload.wire.trees import Chunk

T = TypeVar("T")

# What is fetched at once: as much is in memory twice, once in hand and once on its way.
WINDOW_BYTES = 16 * 1024 * 1024
WINDOW_CHUNKS = 2_000

# Of so many chunks of a batch it is asked first whether the server has them.
_PROBES = 4


class Repeat(Protocol):
    """Makes a request over a link, again after each break, until it is answered."""

    async def __call__(self, attempt: Callable[[Link], Awaitable[T]], /) -> T:
        """Return what the attempt returned."""
        ...


class Uploaded(NamedTuple):
    """What became of the chunks of all batches."""

    names: list[str]  # the SHA-256 of each, in order
    sent_bytes: int  # of those that the server did not have


async def upload(
    repeat: Repeat,
    next_batch: Callable[[], Batch],
    on_sent: Callable[[int], None] = lambda _: None,
) -> Uploaded:
    """Store the chunks of every batch until an empty one.

    `next_batch` is called in a thread, and `on_sent` told how many bytes of it have been dealt with. Before it is called again
    all but the last `BATCHES` batches have been: one is written by the server while the next one is sent.
    """
    sending: deque[asyncio.Task[Uploaded]] = deque()
    names: list[str] = []
    sent_bytes = 0
    server = _Server(repeat)

    async def settle() -> None:
        nonlocal sent_bytes
        sent = await sending[0]
        sending.popleft()
        names.extend(sent.names)
        sent_bytes += sent.sent_bytes

    try:
        while batch := await asyncio.to_thread(next_batch):
            if len(sending) >= BATCHES:
                await settle()
            sending.append(asyncio.ensure_future(server.keep(batch, on_sent)))
        while sending:
            await settle()
    finally:
        for task in sending:
            task.cancel()
    return Uploaded(names, sent_bytes)


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


class _Server:
    """Whoever keeps the chunks of an upload."""

    def __init__(self, repeat: Repeat) -> None:
        self._repeat = repeat
        # Empty as soon as nothing can be put into a folder of the server's.
        self._machine = this_machine()

    async def keep(self, batch: Batch, on_sent: Callable[[int], None]) -> Uploaded:
        """Have it keep the chunks of a batch."""
        sending = _Sending(batch)
        await self._repeat(lambda link: self._send(link, sending))
        on_sent(len(batch.data))
        return Uploaded(sending.names, sending.sent_bytes)

    async def _send(self, link: Link, sending: _Sending) -> None:
        sending.sent_bytes = 0
        left = await self._land_new(link, sending, list(range(len(sending.chunks))))
        if not left:
            return
        names = await sending.hash(left)
        missing, landing = await requests.missing(link, list(names), self._machine)
        left = [number for name, number in names.items() if name in missing]
        left = await self._land(link, landing, sending, left)
        if left:
            sending.sent_bytes += sending.size_bytes(left)
            wanted = {sending.names[number]: sending.chunks[number] for number in left}
            await requests.upload_many(link, wanted)

    async def _land_new(self, link: Link, sending: _Sending, numbers: list[int]) -> list[int]:
        """Land chunks without their names, if it seems that the server has none of them; return which are left.

        It has to hash them in any case, and hashing is most of what sending costs here.
        """
        large = sending.large(numbers)
        if not self._machine or sending.size_bytes(large) < MIN_PACK_BYTES:
            return numbers
        probes = large[:: -(-len(large) // _PROBES)]
        names = await sending.hash(probes)
        missing, landing = await requests.missing(link, list(names), self._machine)
        if not landing:
            self._machine = ""
        is_new = len(missing) == len(probes)
        return await self._land(link, landing, sending, numbers) if is_new else numbers

    async def _land(
        self, link: Link, folder: str, sending: _Sending, numbers: list[int]
    ) -> list[int]:
        """Put chunks into the server's own folder, where that works and is worth it; return which are left."""
        # The server keeps smaller ones in another way.
        large = sending.large(numbers)
        if not folder or not self._machine or sending.size_bytes(large) < MIN_PACK_BYTES:
            return numbers
        pack = await asyncio.to_thread(put_down, folder, sending.batch.spans(large))
        if pack is None or not await self._adopt(link, pack, sending, large):
            # Where something is wrong with the server's disk, the link says so.
            self._machine = ""
            return numbers
        sending.sent_bytes += sending.size_bytes(large)
        landed = set(large)
        return [number for number in numbers if number not in landed]

    async def _adopt(
        self, link: Link, pack: LandedPack, sending: _Sending, numbers: list[int]
    ) -> bool:
        """Have the server keep what is in a pack; return whether it does, and found in it what was put down."""
        sizes = [len(sending.chunks[number]) for number in numbers]
        try:
            return sending.learn(numbers, await requests.adopt(link, pack.name, sizes))
        except LinkClosedError:
            raise
        except WireError:
            return False
        finally:
            pack.close()


class _Sending:
    """A batch on its way, with what is known of its chunks."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.chunks = batch.chunks()
        self.names = [""] * len(batch)  # SHA-256s, as far as they are known
        self.sent_bytes = 0

    def large(self, numbers: Iterable[int]) -> list[int]:
        """Return which of these chunks packs are for."""
        return [number for number in numbers if len(self.chunks[number]) > MIN_CHUNK_BYTES]

    def size_bytes(self, numbers: Iterable[int]) -> int:
        """Return how many bytes these chunks have together."""
        return sum(len(self.chunks[number]) for number in numbers)

    async def hash(self, numbers: Sequence[int]) -> dict[str, int]:
        """Name these chunks; return which of them has each name, where several have the same the first."""
        await asyncio.to_thread(self._hash, numbers)
        return {self.names[number]: number for number in reversed(numbers)}

    def _hash(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            if not self.names[number]:
                self.names[number] = hashlib.sha256(self.chunks[number]).hexdigest()

    def learn(self, numbers: Sequence[int], names: Sequence[str]) -> bool:
        """Take the names of these chunks from the server, unless one is known to be another."""
        known = [self.names[number] for number in numbers]
        is_same = len(known) == len(names) and all(
            name in ("", found) for name, found in zip(known, names, strict=True)
        )
        if is_same:
            for number, name in zip(numbers, names, strict=True):
                self.names[number] = name
        return is_same


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
