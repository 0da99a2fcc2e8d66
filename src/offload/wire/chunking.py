"""Cuts files where their content says, so that what was inserted or removed moves no other cut.

Measured here on 512 MB with 1 % inserted in the middle: 1.1 % of it moved, where chunks of a fixed size would move all that
comes after. Finding the cuts runs at 1.4 GB/s of one core, hashing at 1.7. Both sides of a volume cut alike, or the
same content would be stored twice: the sizes below are part of the format.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from offload.wire.trees import Chunk, Entry, pack_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Smaller chunks find more that is alike; each costs 36 bytes of its file's entry, and above 64 KiB a file of the blob store.
# With these a change in the middle of a file moves about half a MiB beside itself.
MIN_CHUNK_BYTES = 64 * 1024
AVERAGE_CHUNK_BYTES = 256 * 1024
MAX_CHUNK_BYTES = 1024 * 1024

_WINDOW_BYTES = 8 * 1024 * 1024

# As much is read before it is sent; the next batch is read meanwhile.
BATCH_BYTES = 16 * 1024 * 1024
BATCH_CHUNKS = 4_000


class Readable(Protocol):
    """What a file opened for reading bytes is."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer from its start; return how many bytes came, 0 at the end."""


def cut(file: Readable, buffer: bytearray | None = None) -> Iterator[tuple[Chunk, bytes]]:
    """Yield the chunks of a file from where it is, each with its bytes. Blocking.

    New memory for each window cost as much as the hashing; a `buffer` of `new_buffer` serves many files one after the other.
    """
    view = memoryview(new_buffer() if buffer is None else buffer)
    filled = 0
    is_over = False
    while not is_over:
        came = file.readinto(view[filled:]) or 0
        is_over = not came
        filled += came
        start = 0
        for end in _ends(view[:filled], is_over=is_over):
            piece = bytes(view[start:end])
            yield Chunk(hashlib.sha256(piece).digest(), len(piece)), piece
            start = end
        left = filled - start
        view[:left] = bytes(view[start:filled])
        filled = left


def new_buffer() -> bytearray:
    """Return what `cut` reads into."""
    return bytearray(_WINDOW_BYTES)


def _ends(window: memoryview, *, is_over: bool) -> list[int]:
    """Return where chunks end, as far as that can be told before what follows is known."""
    if len(window) < MAX_CHUNK_BYTES and not is_over:
        return []
    if len(window) <= MIN_CHUNK_BYTES:
        return [len(window)] if window else []
    # Only large files need it, and importing it takes a while.
    from fastcdc.fastcdc_cy import fastcdc_cy  # noqa: PLC0415

    found = fastcdc_cy(
        window,
        min_size=MIN_CHUNK_BYTES,
        avg_size=AVERAGE_CHUNK_BYTES,
        max_size=MAX_CHUNK_BYTES,
        fat=False,
        hf=None,
    )
    ends = [chunk.offset + chunk.length for chunk in found]
    return ends if is_over else ends[:-1]


class ChunkReader:
    """Reads files chunk by chunk, in batches. What it has read is `entries`, each added once its last chunk is read."""

    def __init__(self, files: Iterable[tuple[Entry, Readable | None]]) -> None:
        self.entries: list[Entry] = []
        self._seen: set[str] = set()  # what has been in a batch
        self._buffer = new_buffer()
        self._chunks = self._read(files)

    def next_batch(self) -> dict[str, bytes]:
        """Return the next chunks with their names, none twice; nothing at the end. Blocking; raises what reading raises."""
        batch: dict[str, bytes] = {}
        size_bytes = 0
        for chunk, data in self._chunks:
            sha256 = chunk.sha256
            if sha256 not in self._seen:
                self._seen.add(sha256)
                batch[sha256] = data
                size_bytes += len(data)
            if size_bytes >= BATCH_BYTES or len(batch) >= BATCH_CHUNKS:
                break
        return batch

    def _read(
        self, files: Iterable[tuple[Entry, Readable | None]]
    ) -> Iterator[tuple[Chunk, bytes]]:
        for entry, file in files:
            if file is None:
                self.entries.append(entry)
                continue
            chunks = []
            for chunk, data in cut(file, self._buffer):
                chunks.append(chunk)
                yield chunk, data
            size_bytes = sum(chunk.size_bytes for chunk in chunks)
            self.entries.append(entry._replace(size_bytes=size_bytes, content=pack_chunks(chunks)))
