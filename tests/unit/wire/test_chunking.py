"""How files are read for their chunks, and how these are written for the link."""

from __future__ import annotations

import hashlib
import io
import random
from typing import TYPE_CHECKING

import pytest
from fastcdc.fastcdc_cy import fastcdc_cy

from offload.wire import chunking
from offload.wire.chunking import BATCHES, ChunkReader
from offload.wire.gen import blobs_pb2
from offload.wire.trees import Entry, Kind
from offload.wire.volume_requests import blob_head

if TYPE_CHECKING:
    from offload.wire.chunking import Readable

_MIB = 1024 * 1024


class _InDribs:
    """A file that comes in pieces of any size, as a pipe does."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)
        self._random = random.Random(1)  # noqa: S311 - the same each time

    def readinto(self, buffer: memoryview) -> int:
        return self._file.readinto(buffer[: self._random.randint(1, 3 * _MIB)])


def read(*files: Readable) -> tuple[list[Entry], dict[str, bytes]]:
    """Return the entries, and all that was in batches, copied as late as a sender may still read it."""
    reader = ChunkReader((Entry(f"f-{n}", Kind.FILE), file) for n, file in enumerate(files))
    young = []
    kept: dict[str, bytes] = {}
    while True:
        batch = reader.next_batch()
        young.append(batch)
        if len(young) > BATCHES or not batch:
            for old in young if not batch else [young.pop(0)]:
                kept.update((sha256, bytes(data)) for sha256, data in old.items())
        if not batch:
            return reader.entries, kept


def test_chunks_are_those_of_the_whole_file_however_it_comes() -> None:
    content = random.Random(0).randbytes(70 * _MIB)  # noqa: S311 - see above

    (whole, dribs), kept = read(io.BytesIO(content), _InDribs(content))

    sizes = {
        "min_size": chunking.MIN_CHUNK_BYTES,
        "avg_size": chunking.AVERAGE_CHUNK_BYTES,
        "max_size": chunking.MAX_CHUNK_BYTES,
    }
    cuts = [chunk.length for chunk in fastcdc_cy(content, **sizes)]
    assert [chunk.size_bytes for chunk in whole.chunks] == cuts
    assert whole.content == dribs.content
    assert b"".join(kept[chunk.sha256] for chunk in whole.chunks) == content
    assert all(hashlib.sha256(data).hexdigest() == sha256 for sha256, data in kept.items())


def test_what_repeats_fills_no_batch_and_ends_none_early() -> None:
    content = bytes(40 * _MIB) + b"the end"

    (entry, empty, small), kept = read(io.BytesIO(content), io.BytesIO(), io.BytesIO(b"small"))

    assert entry.size_bytes == len(content)
    assert b"".join(kept[chunk.sha256] for chunk in entry.chunks) == content
    assert (empty.size_bytes, empty.chunks) == (0, [])
    assert [kept[chunk.sha256] for chunk in small.chunks] == [b"small"]
    assert sum(map(len, kept.values())) < 2 * _MIB


@pytest.mark.parametrize("size_bytes", [0, 1, 100, 127, 128, 20_000, _MIB])
def test_a_blob_is_written_as_the_schema_says(size_bytes: int) -> None:
    data = bytes(size_bytes)
    names = ["a" * 64, "b" * 64]

    written = b"".join(blob_head(name, size_bytes) + data for name in names)

    said = [blobs_pb2.NamedBlob(sha256=name, data=data) for name in names]
    assert blobs_pb2.ManyBlobs.FromString(written) == blobs_pb2.ManyBlobs(blobs=said)
