"""Files of a volume as they come to this machine."""

from __future__ import annotations

import os

import pytest

from offload.sdk.volume_files import written
from offload.wire.trees import Entry, Kind

ENTRY = Entry("a", Kind.FILE, mode=0o640, mtime_ns=5_000_000_000)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_name_whole_with_its_permissions_and_time(tmp_path):
    (tmp_path / "a").write_bytes(b"before")

    with written(ENTRY, tmp_path / "a") as file:
        file.write(b"after")
        assert (tmp_path / "a").read_bytes() == b"before"

    status = (tmp_path / "a").stat()
    assert (tmp_path / "a").read_bytes() == b"after"
    assert (status.st_mode & 0o777, status.st_mtime_ns) == (0o640, 5_000_000_000)
    assert names(tmp_path) == ["a"]


def test_a_file_that_is_still_to_come_has_no_name_that_a_kill_could_leave(tmp_path):
    try:
        os.close(os.open(tmp_path, os.O_TMPFILE | os.O_WRONLY))
    except OSError as error:
        pytest.skip(f"the file system of {tmp_path} has no files without a name: {error}")

    with written(ENTRY, tmp_path / "a") as file:
        file.write(b"x" * 100_000)
        here = names(tmp_path)

    assert here == []
    assert names(tmp_path) == ["a"]


def test_a_file_that_did_not_come_whole_leaves_what_was_there(tmp_path):
    (tmp_path / "a").write_bytes(b"before")

    def come() -> None:
        with written(ENTRY, tmp_path / "a") as file:
            file.write(b"af")
            raise ValueError("cut off")

    with pytest.raises(ValueError, match="cut off"):
        come()

    assert (tmp_path / "a").read_bytes() == b"before"
    assert names(tmp_path) == ["a"]
