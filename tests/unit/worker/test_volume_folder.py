"""A folder that hostile code may be changing: nothing outside is read, written or removed through it."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from offload.wire.trees import BadNameError, Kind
from offload.worker.volumes.folder import MAX_DEPTH, Folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "volume").mkdir()
    return tmp_path / "volume"


@pytest.fixture
def folder(place: Path) -> Iterator[Folder]:
    folder = Folder(place)
    yield folder
    folder.close()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    return tmp_path / "outside"


def copy_in(folder: Folder, path: str, source: Path, mode: int = 0o644) -> None:
    descriptor = os.open(source, os.O_RDONLY)
    try:
        folder.copy_in(path, descriptor, mode, 1_000_000_000)
    finally:
        os.close(descriptor)


def test_a_scan_finds_files_folders_and_links_that_stay_inside(place: Path, folder: Folder) -> None:
    (place / "a" / "b").mkdir(parents=True)
    (place / "a" / "file").write_text("hello")
    (place / "a" / "link").symlink_to("../a/file")

    scan = folder.scan()

    kinds = {path: found.kind for path, found in scan.found.items()}
    assert kinds == {
        "a": Kind.DIRECTORY, "a/b": Kind.DIRECTORY, "a/file": Kind.FILE, "a/link": Kind.SYMLINK,
    }  # fmt: skip
    assert scan.found["a/file"].stamp.size_bytes == 5
    assert not scan.refused


def test_what_no_volume_takes_is_refused_and_never_opened(
    place: Path, folder: Folder, outside: Path
) -> None:
    os.mkfifo(place / "pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(place / "socket"))
    (place / "absolute").symlink_to(outside / "secret")
    (place / "up").symlink_to("../outside")
    (place / "long").symlink_to("x" * 200 + "/../../..")
    (place / os.fsdecode(b"\xff")).write_text("no text")
    if os.geteuid() == 0:
        os.mknod(place / "device", 0o600 | 0o020000, os.makedev(1, 3))

    scan = folder.scan()

    expected = {"pipe", "socket", "absolute", "up", "long", os.fsdecode(b"\xff")}
    assert set(scan.refused) - {"device"} == expected
    assert not scan.found


def test_a_scan_goes_no_deeper_than_it_has_descriptors_for(place: Path, folder: Folder) -> None:
    deep = place
    for _ in range(MAX_DEPTH + 5):
        deep /= "d"
    deep.mkdir(parents=True)

    scan = folder.scan()

    assert len(scan.found) == MAX_DEPTH
    assert list(scan.refused.values()) == [f"it is deeper than {MAX_DEPTH} folders"]


@pytest.mark.parametrize("path", ["../outside/secret", "/etc/passwd", "a/../../outside/secret", ""])
def test_no_name_leads_out(folder: Folder, path: str) -> None:
    with pytest.raises(BadNameError), folder.opened(path):
        pass
    with pytest.raises(BadNameError):
        folder.remove(path)


def test_a_folder_that_became_a_link_is_not_followed(
    place: Path, folder: Folder, outside: Path
) -> None:
    (place / "a").symlink_to(outside)

    with pytest.raises(OSError, match="a"), folder.opened("a/secret"):
        pass
    with pytest.raises(OSError, match="a"):
        folder.remove("a/secret")
    with pytest.raises(OSError, match="a"):
        copy_in(folder, "a/new", outside / "secret")
    with pytest.raises(OSError, match="a"):
        folder.make_folder("a/new", 0o755)
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_a_file_that_became_a_link_is_replaced_and_not_written_through(
    place: Path, folder: Folder, outside: Path, tmp_path: Path
) -> None:
    (tmp_path / "new").write_text("new")
    (place / "file").symlink_to(outside / "secret")

    with pytest.raises(OSError, match="file"), folder.opened("file"):
        pass
    copy_in(folder, "file", tmp_path / "new")

    assert (place / "file").read_text() == "new"
    assert not (place / "file").is_symlink()
    assert (outside / "secret").read_text() == "secret"


def test_a_file_that_became_a_pipe_does_not_hold_the_worker_up(place: Path, folder: Folder) -> None:
    os.mkfifo(place / "pipe")

    with pytest.raises(OSError, match="no file"), folder.opened("pipe"):
        pass


def test_files_come_in_whole_with_their_permissions_and_time(
    place: Path, folder: Folder, tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(b"x" * 3_000_000)
    folder.make_folder("a", 0o750)

    copy_in(folder, "a/file", tmp_path / "source", 0o640)
    folder.make_link("a/link", b"file")

    status = (place / "a/file").stat()
    assert (place / "a/link").read_bytes() == b"x" * 3_000_000
    assert (status.st_mode & 0o777, status.st_mtime_ns) == (0o640, 1_000_000_000)
    assert (place / "a").stat().st_mode & 0o777 == 0o750
    assert sorted(path.name for path in (place / "a").iterdir()) == ["file", "link"]


def test_kinds_take_one_anothers_place_but_a_full_folder_stays(
    place: Path, folder: Folder, tmp_path: Path
) -> None:
    (tmp_path / "source").write_text("new")
    (place / "empty").mkdir()
    (place / "full").mkdir()
    (place / "full" / "own").write_text("mine")

    copy_in(folder, "empty", tmp_path / "source")
    folder.make_folder("empty", 0o755)
    folder.remove("full")
    folder.remove("never was")

    assert (place / "empty").is_dir()
    assert (place / "full" / "own").read_text() == "mine"
