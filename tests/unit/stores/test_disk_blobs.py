"""What blobs on disk add to the port: files, damage and crashes."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import TYPE_CHECKING

import pytest
from tests.support.clock import SettableClock

from offload.control.blobs.disk import DiskBlobs
from offload.control.ports.blobs import BlobCorruptError, BlobError

if TYPE_CHECKING:
    from pathlib import Path

    from offload.control.ports.blobs import BlobReader

CONTENT = b"some bytes" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def save(blobs: DiskBlobs) -> None:
    writer = blobs.writer()
    writer.write(CONTENT)
    writer.commit(SHA256)


def read_all(reader: BlobReader) -> bytes:
    content = b""
    try:
        while data := reader.read(1000):
            content += data
    finally:
        reader.close()
    return content


def test_a_blob_lies_under_the_first_two_digits_and_survives_a_restart(tmp_path: Path) -> None:
    save(DiskBlobs(tmp_path, SettableClock()))

    reopened = DiskBlobs(tmp_path, SettableClock())

    assert (tmp_path / SHA256[:2] / SHA256).read_bytes() == CONTENT
    assert reopened.has(SHA256)


def test_what_a_crash_left_behind_is_removed_at_start(tmp_path: Path) -> None:
    writer = DiskBlobs(tmp_path, SettableClock()).writer()
    writer.write(CONTENT)
    (stale,) = (tmp_path / "incoming").iterdir()

    DiskBlobs(tmp_path, SettableClock())

    assert not stale.exists()
    writer.abort()


def test_a_finished_or_dropped_blob_leaves_no_temporary_file(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path, SettableClock())
    save(blobs)
    save(blobs)
    dropped = blobs.writer()
    dropped.write(CONTENT)

    dropped.abort()

    assert list((tmp_path / "incoming").iterdir()) == []


def test_an_abort_in_the_middle_of_a_write_leaves_the_file_to_the_write(tmp_path: Path) -> None:
    writer = DiskBlobs(tmp_path, SettableClock()).writer()

    with writer._working():
        writer.abort()
        writer._file.write(b"still the same file")

    assert list((tmp_path / "incoming").iterdir()) == []
    with pytest.raises(BlobError, match="finished"):
        writer.commit("")


@pytest.mark.parametrize(
    "damaged", [CONTENT[:-1], CONTENT[:-1] + b"!", b""], ids=["short", "changed", "empty"]
)
def test_damage_on_disk_is_noticed_at_the_end_and_named(tmp_path: Path, damaged: bytes) -> None:
    blobs = DiskBlobs(tmp_path, SettableClock())
    save(blobs)
    place = tmp_path / SHA256[:2] / SHA256
    place.write_bytes(damaged)
    reader = blobs.reader(SHA256, 0)

    with pytest.raises(BlobCorruptError, match=str(tmp_path / "damaged" / SHA256)):
        read_all(reader)
    reader.close()


def test_a_file_cut_short_while_it_is_read_is_damage(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path, SettableClock())
    save(blobs)
    reader = blobs.reader(SHA256, 5)
    (tmp_path / SHA256[:2] / SHA256).write_bytes(CONTENT[:100])
    reader.read(95)

    with pytest.raises(BlobCorruptError, match="damaged on disk"):
        reader.read(10)
    reader.close()


def test_the_time_of_a_blob_survives_a_restart(tmp_path: Path) -> None:
    clock = SettableClock(100.0)
    save(DiskBlobs(tmp_path, clock))

    reopened = DiskBlobs(tmp_path, clock)

    assert reopened.stale(100.0, "", 10) == []
    assert reopened.stale(101.0, "", 10) == [SHA256]


def test_what_somebody_else_put_into_the_directory_is_no_blob(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path, SettableClock(100.0))
    (tmp_path / "ab" / "notes.txt").write_text("mine")

    assert blobs.stale(10.0**9, "", 10) == []


def test_a_damaged_blob_is_missing_until_it_is_brought_again(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path, SettableClock())
    save(blobs)
    (tmp_path / SHA256[:2] / SHA256).write_bytes(CONTENT[:-1] + b"!")

    with pytest.raises(BlobCorruptError, match="upload it again"):
        read_all(blobs.reader(SHA256, 0))

    assert not blobs.has(SHA256)
    assert (tmp_path / "damaged" / SHA256).read_bytes() == CONTENT[:-1] + b"!"
    save(blobs)
    assert read_all(blobs.reader(SHA256, 0)) == CONTENT


def test_damage_before_the_offset_is_noticed_too(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path, SettableClock())
    save(blobs)
    (tmp_path / SHA256[:2] / SHA256).write_bytes(b"!" + CONTENT[1:])

    with pytest.raises(BlobCorruptError):
        read_all(blobs.reader(SHA256, 500))


def test_a_damaged_small_blob_is_removed_and_may_be_brought_again(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path, SettableClock())
    blobs.write_many({SHA256: CONTENT})
    with sqlite3.connect(tmp_path / "packed" / "index.db") as connection:
        connection.execute("UPDATE blobs SET data = x'00'")
    connection.close()

    with pytest.raises(BlobCorruptError, match="upload it again"):
        blobs.read_many([SHA256])

    assert not blobs.has(SHA256)
    blobs.write_many({SHA256: CONTENT})
    assert blobs.read_many([SHA256]) == {SHA256: CONTENT}


def test_a_damaged_blob_of_a_pack_is_removed_and_may_be_brought_again(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path, SettableClock())
    first, second = packed(1), packed(2)
    blobs.write_many({**first, **second})
    (pack,) = (tmp_path / "packed").glob("*.pack")
    with pack.open("r+b") as file:
        file.write(b"damage")

    with pytest.raises(BlobCorruptError, match="upload it again"):
        blobs.read_many(list(first))

    assert blobs.missing([*first, *second]) == list(first)
    blobs.write_many(first)
    assert blobs.read_many([*first, *second]) == {**first, **second}


def test_packs_go_when_little_of_them_is_in_use(tmp_path: Path) -> None:
    clock = SettableClock(100.0)
    blobs = DiskBlobs(tmp_path, clock)
    many = {name: data for number in range(8) for name, data in packed(number).items()}
    blobs.write_many(many)
    names = list(many)

    sizes = []
    for name in names:
        assert blobs.remove(name, 200.0)
        left = names[names.index(name) + 1 :]
        assert blobs.read_many(left) == {each: many[each] for each in left}
        packs = list((tmp_path / "packed").glob("*.pack"))
        sizes.append(sum(pack.stat().st_size for pack in packs))

    in_use = [100_000 * (7 - number) for number in range(8)]
    assert all(size <= 2 * used for size, used in zip(sizes, in_use, strict=True))


def test_a_pack_that_a_crash_left_unnamed_is_removed_at_the_next_start(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path, SettableClock())
    kept = packed(1)
    blobs.write_many(kept)
    (tmp_path / "packed" / "unnamed.pack").write_bytes(b"x")

    reopened = DiskBlobs(tmp_path, SettableClock())

    assert len(list((tmp_path / "packed").glob("*.pack"))) == 1
    assert reopened.read_many(list(kept)) == kept


def packed(number: int) -> dict[str, bytes]:
    content = bytes([number]) * 100_000
    return {hashlib.sha256(content).hexdigest(): content}
