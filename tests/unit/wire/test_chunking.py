"""How files are read for their chunks, and how these are written for the link."""

from __future__ import annotations

import hashlib
import io
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastcdc.fastcdc_cy import fastcdc_cy

import offload
from offload.wire import chunking
from offload.wire.chunking import BATCHES, Batch, ChunkReader
from offload.wire.gen import blobs_pb2
from offload.wire.trees import Entry, Kind
from offload.wire.volume_requests import blob_head

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    names: list[str] = []
    kept: dict[str, bytes] = {}
    while True:
        batch = reader.next_batch()
        young.append(batch)
        if len(young) > BATCHES or not batch:
            for old in young if not batch else [young.pop(0)]:
                for data in old.chunks():
                    names.append(hashlib.sha256(data).hexdigest())
                    kept[names[-1]] = bytes(data)
        if not batch:
            return reader.entries(names), kept


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


def test_an_environment_without_fastcdc_cuts_at_fixed_places() -> None:
    program = """
import io
from offload.wire.chunking import ChunkReader
from offload.wire.trees import Entry, Kind
content = bytes(range(256)) * 36_000 + b"the end"
reader = ChunkReader([(Entry("file", Kind.FILE), io.BytesIO(content))])
read, sizes = b"", []
while batch := reader.next_batch():
    read += batch.data
    sizes += map(len, batch.chunks())
print(read == content, sorted(set(sizes)))
"""
    source = str(Path(offload.__file__).parents[1])

    # Without `site` there are no installed packages.
    found = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )

    last = (256 * 36_000 + len(b"the end")) % chunking.AVERAGE_CHUNK_BYTES
    assert found.stdout == f"True {[last, chunking.AVERAGE_CHUNK_BYTES]}\n"


def test_files_of_all_sizes_get_what_is_theirs() -> None:
    content = bytes(40 * _MIB) + b"the end"

    (entry, empty, small), kept = read(io.BytesIO(content), io.BytesIO(), io.BytesIO(b"small"))

    assert entry.size_bytes == len(content)
    assert b"".join(kept[chunk.sha256] for chunk in entry.chunks) == content
    assert (empty.size_bytes, empty.chunks) == (0, [])
    assert [kept[chunk.sha256] for chunk in small.chunks] == [b"small"]


def test_a_file_that_is_left_out_leaves_the_others_as_they_are() -> None:
    def files() -> Iterator[tuple[Entry, Readable | None]]:
        yield Entry("first", Kind.FILE), io.BytesIO(b"one")
        yield Entry("changing", Kind.FILE), io.BytesIO(b"two")
        reader.drop_last()
        yield Entry("folder", Kind.DIRECTORY), None
        yield Entry("last", Kind.FILE), io.BytesIO(b"three")

    reader = ChunkReader(files())
    batch = reader.next_batch()

    entries = reader.entries([hashlib.sha256(data).hexdigest() for data in batch.chunks()])

    assert [(entry.path, entry.size_bytes) for entry in entries] == [
        ("first", 3),
        ("folder", 0),
        ("last", 5),
    ]
    assert entries[2].chunks[0].sha256 == hashlib.sha256(b"three").hexdigest()
    assert not reader.next_batch()


def test_neighbours_are_one_span() -> None:
    batch = Batch(memoryview(b"aabbbcdd"), [2, 5, 6, 8])

    assert [bytes(span) for span in batch.spans([0, 1, 3])] == [b"aabbb", b"dd"]
    assert [bytes(span) for span in batch.spans([0, 1, 2, 3])] == [b"aabbbcdd"]
    assert batch.spans([]) == []


@pytest.mark.parametrize("size_bytes", [0, 1, 100, 127, 128, 20_000, _MIB])
def test_a_blob_is_written_as_the_schema_says(size_bytes: int) -> None:
    data = bytes(size_bytes)
    names = ["a" * 64, "b" * 64]

    written = b"".join(blob_head(name, size_bytes) + data for name in names)

    said = [blobs_pb2.NamedBlob(sha256=name, data=data) for name in names]
    assert blobs_pb2.ManyBlobs.FromString(written) == blobs_pb2.ManyBlobs(blobs=said)
