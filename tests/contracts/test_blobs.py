"""What every blob store must do; see `offload.control.ports.blobs.Blobs`."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from offload.control.blobs.disk import DiskBlobs
from offload.control.blobs.memory import MemoryBlobs
from offload.control.ports.blobs import BlobCorruptError, BlobError, BlobMissingError

if TYPE_CHECKING:
    from pathlib import Path

    from offload.control.ports.blobs import Blobs

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=["memory", "disk"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return MemoryBlobs() if request.param == "memory" else DiskBlobs(tmp_path / "blobs")


def save(blobs: Blobs, content: bytes, expected: str = "") -> tuple[str, int]:
    writer = blobs.writer()
    for start in range(0, len(content), 1000):
        writer.write(content[start : start + 1000])
    return writer.commit(expected)


def test_a_blob_comes_back_as_it_was_written(blobs: Blobs) -> None:
    written = save(blobs, CONTENT, SHA256)

    reader = blobs.reader(SHA256, 0)

    assert written == (SHA256, len(CONTENT))
    assert reader.size_bytes == len(CONTENT)
    assert reader.read(300) == CONTENT[:300]
    assert reader.read(10**6) == CONTENT[300:]
    assert reader.read(1) == b""
    reader.close()


def load(blobs: Blobs, sha256: str, offset: int = 0) -> bytes:
    reader = blobs.reader(sha256, offset)
    content = reader.read(10**6)
    reader.close()
    return content


def test_an_empty_blob_is_a_blob(blobs: Blobs) -> None:
    sha256, size_bytes = save(blobs, b"")

    assert size_bytes == 0
    assert load(blobs, sha256) == b""


def test_a_reader_may_begin_anywhere_within(blobs: Blobs) -> None:
    save(blobs, CONTENT)

    assert load(blobs, SHA256, 10_000) == CONTENT[10_000:]
    assert load(blobs, SHA256, len(CONTENT)) == b""
    with pytest.raises(BlobError, match="cannot be read from"):
        blobs.reader(SHA256, len(CONTENT) + 1)


def test_nothing_is_visible_before_commit(blobs: Blobs) -> None:
    writer = blobs.writer()
    writer.write(CONTENT)

    assert not blobs.has(SHA256)

    writer.commit("")
    assert blobs.has(SHA256)


def test_bytes_that_are_not_what_was_announced_are_not_kept(blobs: Blobs) -> None:
    with pytest.raises(BlobCorruptError, match=SHA256):
        save(blobs, CONTENT[:-1], SHA256)

    assert not blobs.has(SHA256)
    assert not blobs.has(hashlib.sha256(CONTENT[:-1]).hexdigest())


def test_an_aborted_blob_is_gone_and_abort_may_be_repeated(blobs: Blobs) -> None:
    writer = blobs.writer()
    writer.write(CONTENT)

    writer.abort()
    writer.abort()

    assert not blobs.has(SHA256)
    with pytest.raises(BlobError, match="finished"):
        writer.write(b"more")


def test_abort_after_commit_is_harmless(blobs: Blobs) -> None:
    writer = blobs.writer()
    writer.write(CONTENT)
    writer.commit("")

    writer.abort()

    assert load(blobs, SHA256) == CONTENT


def test_a_blob_written_twice_is_kept_once_and_stays_readable(blobs: Blobs) -> None:
    save(blobs, CONTENT)
    reader = blobs.reader(SHA256, 0)

    assert save(blobs, CONTENT) == (SHA256, len(CONTENT))

    assert reader.read(10**6) == CONTENT
    reader.close()


@pytest.mark.parametrize(
    "name", ["", "../../etc/passwd", SHA256.upper(), SHA256[:-1], SHA256 + "\n"]
)
def test_what_is_no_sha256_names_no_blob(blobs: Blobs, name: str) -> None:
    save(blobs, CONTENT)

    assert not blobs.has(name)
    with pytest.raises(BlobMissingError, match="64 lower-case hex"):
        blobs.reader(name, 0)


def test_a_missing_blob_is_named(blobs: Blobs) -> None:
    with pytest.raises(BlobMissingError, match=SHA256):
        blobs.reader(SHA256, 0)


def test_a_closed_reader_may_be_closed_again(blobs: Blobs) -> None:
    save(blobs, CONTENT)
    reader = blobs.reader(SHA256, 0)
    reader.close()

    reader.close()
