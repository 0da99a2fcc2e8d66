"""Packs that a client wrote into the server's own folder: what is adopted, and what is refused."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.clock import SettableClock

from offload.control.blobs.disk import DiskBlobs
from offload.control.blobs.landing import KEPT_SECONDS
from offload.control.ports.blobs import BlobCorruptError, BlobMissingError
from offload.wire.landing import put_down, this_machine

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENTS = {
    hashlib.sha256(data).hexdigest(): data for data in (b"", b"small", b"x" * 70_000, b"y" * 90_000)
}
SIZES = [len(data) for data in CONTENTS.values()]
ANY_NAME = "0123456789abcdef" * 2

pytestmark = pytest.mark.skipif(
    not this_machine(), reason="this system does not say which machine it is"
)


@pytest.fixture
def blobs(tmp_path: Path) -> DiskBlobs:
    return DiskBlobs(tmp_path / "blobs", SettableClock(100.0))


def folder_of(blobs: DiskBlobs) -> Path:
    return Path(blobs.landing(this_machine()))


def put(blobs: DiskBlobs) -> str:
    pack = put_down(str(folder_of(blobs)), CONTENTS.values())
    assert pack is not None
    return pack.name


def packs(blobs: DiskBlobs) -> list[Path]:
    return list(folder_of(blobs).parent.glob("*.pack"))


def test_an_adopted_pack_is_its_blobs_and_is_moved_not_copied(blobs: DiskBlobs) -> None:
    name = put(blobs)
    inode = (folder_of(blobs) / name).stat().st_ino

    names = blobs.adopt(name, SIZES)

    assert names == list(CONTENTS)
    assert blobs.read_many(names) == CONTENTS
    assert blobs.stale(101.0, "", 10) == sorted(CONTENTS)
    assert [place.stat().st_ino for place in packs(blobs)] == [inode]
    assert list(folder_of(blobs).iterdir()) == []


def test_adopted_blobs_survive_a_restart_and_are_collected_as_others_are(
    blobs: DiskBlobs, tmp_path: Path
) -> None:
    blobs.adopt(put(blobs), SIZES)
    blobs.close()

    reopened = DiskBlobs(tmp_path / "blobs", SettableClock(200.0))

    assert reopened.read_many(list(CONTENTS)) == CONTENTS
    assert all(reopened.remove(sha256, 150.0) for sha256 in CONTENTS)
    assert packs(reopened) == []


def test_a_pack_of_what_has_come_meanwhile_is_not_kept(blobs: DiskBlobs) -> None:
    name = put(blobs)
    blobs.adopt(put(blobs), SIZES)
    before = packs(blobs)

    blobs.adopt(name, SIZES)

    assert packs(blobs) == before
    assert blobs.read_many(list(CONTENTS)) == CONTENTS


def too_short(place: Path) -> None:
    os.truncate(place, place.stat().st_size - 1)


def too_long(place: Path) -> None:
    with place.open("ab") as file:
        file.write(b"more")


@pytest.mark.parametrize("spoil", [too_short, too_long])
def test_nothing_is_kept_of_a_pack_that_is_not_as_long_as_was_said(
    blobs: DiskBlobs, spoil: Callable[[Path], None]
) -> None:
    name = put(blobs)
    spoil(folder_of(blobs) / name)

    with pytest.raises(BlobCorruptError, match="upload"):
        blobs.adopt(name, SIZES)

    assert blobs.missing(list(CONTENTS)) == list(CONTENTS)
    assert packs(blobs) == []
    assert list(folder_of(blobs).iterdir()) == []


def test_blobs_have_the_names_of_the_bytes_that_are_in_the_pack(blobs: DiskBlobs) -> None:
    name = put(blobs)
    with (folder_of(blobs) / name).open("r+b") as file:
        file.seek(60_000)
        file.write(b"!")

    names = blobs.adopt(name, SIZES)

    changed = b"x" * (60_000 - 5) + b"!" + b"x" * (10_000 + 4)
    assert names[:2] == list(CONTENTS)[:2]
    assert blobs.read_many([names[2]]) == {hashlib.sha256(changed).hexdigest(): changed}
    assert blobs.missing(list(CONTENTS)) == [list(CONTENTS)[2]]


def test_a_pack_of_repeats_keeps_one_of_each(blobs: DiskBlobs) -> None:
    data = b"z" * 100_000
    pack = put_down(str(folder_of(blobs)), [data] * 5)
    assert pack is not None

    names = blobs.adopt(pack.name, [len(data)] * 5)

    assert names == [hashlib.sha256(data).hexdigest()] * 5
    assert blobs.read_many(names) == {names[0]: data}
    assert [place.stat().st_size for place in packs(blobs)] == [len(data)]


def a_link(place: Path, whole: Path) -> None:
    place.symlink_to(whole)


def a_second_name(place: Path, whole: Path) -> None:
    place.hardlink_to(whole)


def a_folder(place: Path, whole: Path) -> None:
    place.mkdir()
    whole.rename(place / whole.name)


def a_pipe_that_nobody_writes_into(place: Path, whole: Path) -> None:
    os.mkfifo(place)
    whole.unlink()


def a_file_of_another_user(place: Path, whole: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.chown(whole, 12_345, 12_345)
    whole.rename(place)


@pytest.mark.parametrize(
    "leave",
    [
        a_link,
        a_second_name,
        a_folder,
        a_pipe_that_nobody_writes_into,
        a_file_of_another_user,
    ],
)
def test_what_is_no_plain_file_of_the_servers_own_is_left_where_it_is(
    blobs: DiskBlobs, tmp_path: Path, leave: Callable[[Path, Path], None]
) -> None:
    whole = tmp_path / "whole"
    whole.write_bytes(b"".join(CONTENTS.values()))
    leave(folder_of(blobs) / ANY_NAME, whole)

    with pytest.raises(BlobMissingError, match="upload its blobs"):
        blobs.adopt(ANY_NAME, SIZES)

    assert blobs.missing(list(CONTENTS)) == list(CONTENTS)
    assert packs(blobs) == []
    assert os.listdir(folder_of(blobs)) == [ANY_NAME]  # noqa: PTH208 - a link may lead nowhere


def test_what_a_dead_client_left_is_removed_after_an_hour(tmp_path: Path) -> None:
    clock = SettableClock(100.0)
    blobs = DiskBlobs(tmp_path / "blobs", clock)
    left = folder_of(blobs) / put(blobs)
    os.utime(left, (100.0, 100.0))

    clock.time = 100.0 + KEPT_SECONDS
    was_there = (folder_of(blobs) / left.name).exists()
    clock.time += 1.0
    is_there = (folder_of(blobs) / left.name).exists()

    assert was_there
    assert not is_there


def test_what_lies_in_the_folder_at_the_end_is_gone_at_the_next_start_and_so_is_its_name(
    blobs: DiskBlobs, tmp_path: Path
) -> None:
    put(blobs)
    before = folder_of(blobs)
    blobs.close()

    after = folder_of(DiskBlobs(tmp_path / "blobs", SettableClock(100.0)))

    assert not before.exists()
    assert after.name != before.name
    assert after.stat().st_mode & 0o777 == 0o700
