"""Where a client writes packs, and where it does not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from offload.wire.landing import FOLDER_PREFIX, put_down

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = f"{FOLDER_PREFIX}{'0' * 32}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / NAME
    place.mkdir(mode=0o700)
    return place


def test_blobs_lie_one_after_another_in_a_file_of_this_users(folder: Path) -> None:
    pack = put_down(str(folder), [b"one", memoryview(b"two"), b""])

    assert pack is not None
    assert (folder / pack.name).read_bytes() == b"onetwo"
    assert (folder / pack.name).stat().st_mode & 0o777 == 0o600
    pack.close()
    assert list(folder.iterdir()) == []


def test_a_pack_that_the_server_took_is_not_missed(folder: Path) -> None:
    pack = put_down(str(folder), [b"one"])
    assert pack is not None
    (folder / pack.name).rename(folder / "taken")

    pack.close()

    assert (folder / "taken").read_bytes() == b"one"


def gone(folder: Path) -> Path:
    folder.rmdir()
    return folder


def open_to_others(folder: Path) -> Path:
    folder.chmod(0o770)
    return folder


def under_a_name_that_no_server_chooses(folder: Path) -> Path:
    return folder.rename(folder.parent / "Documents")


def behind_a_link(folder: Path) -> Path:
    folder.rename(folder.parent / "elsewhere")
    folder.symlink_to(folder.parent / "elsewhere")
    return folder


def of_another_user(folder: Path) -> Path:
    if os.geteuid() != 0:
        pytest.skip("only root gives folders away")
    os.chown(folder, 12_345, 12_345)
    return folder


@pytest.mark.parametrize(
    "change",
    [gone, open_to_others, under_a_name_that_no_server_chooses, behind_a_link, of_another_user],
)
def test_nothing_is_written_into_a_folder(folder: Path, change: Callable[[Path], Path]) -> None:
    place = change(folder)

    assert put_down(str(place), [b"one"]) is None

    assert not place.exists() or list(place.iterdir()) == []


def test_what_cannot_be_written_to_its_end_leaves_nothing(folder: Path) -> None:
    class OutOfRoom:
        def __iter__(self) -> OutOfRoom:
            return self

        def __next__(self) -> bytes:
            raise OSError("no space left on device")

    assert put_down(str(folder), OutOfRoom()) is None

    assert list(folder.iterdir()) == []
