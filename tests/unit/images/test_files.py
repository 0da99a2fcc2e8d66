import hashlib
import io
import tarfile

import pytest

from offload.worker.images.files import unpack_files
from offload.worker.images.guest_unpack import HostileArchiveError, checked_name, checked_part
from offload.worker.ports import ImageError


def archive(*entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for entry, data in entries:
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def entry(name, kind=tarfile.REGTYPE, link="", mode=0o644):
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, link, mode
    return made


def unpack(data, target, sha256=None):
    unpack_files(io.BytesIO(data), target, sha256 or hashlib.sha256(data).hexdigest())


def test_files_are_laid_out_with_their_folders(tmp_path):
    data = archive((entry("a/b/run.sh", mode=0o755), b"x"), (entry("empty", tarfile.DIRTYPE), b""))

    unpack(data, tmp_path)

    assert (tmp_path / "a/b/run.sh").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "empty").is_dir()


@pytest.mark.parametrize(
    "hostile",
    [
        entry("../out"),
        entry("a/../../out"),
        entry("/absolute"),
        entry("a//b"),
        entry("link", tarfile.SYMTYPE, "/etc"),
        entry("hard", tarfile.LNKTYPE, "/etc/passwd"),
        entry("null", tarfile.CHRTYPE),
        entry("disk", tarfile.BLKTYPE),
        entry("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda each: each.name,
)
def test_what_is_no_plain_file_is_refused(tmp_path, hostile):
    inside = tmp_path / "inside"
    inside.mkdir()

    with pytest.raises(ImageError, match=r"no plain file|leads out of the image"):
        unpack(archive((hostile, b"")), inside)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["inside"]


def test_an_archive_that_is_another_is_refused(tmp_path):
    with pytest.raises(ImageError, match="SHA-256"):
        unpack(archive((entry("a"), b"x")), tmp_path, "0" * 64)


def test_a_damaged_archive_is_refused(tmp_path):
    with pytest.raises(ImageError, match="cannot be laid out"):
        unpack(b"no archive" * 200, tmp_path)


@pytest.mark.parametrize("name", ["../x", "a/../b", "a/..", ".."])
def test_a_name_that_leads_out_of_a_layer_is_refused(name):
    with pytest.raises(HostileArchiveError, match="leads out"):
        checked_name(name)


def test_other_names_are_below_the_root():
    assert checked_name("./usr//bin/") == "/usr/bin"
    assert checked_name("/etc") == "/etc"
    assert checked_name("./") == "/"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b"])
def test_a_whiteout_names_one_file_beside_it(name):
    with pytest.raises(HostileArchiveError):
        checked_part(name)
