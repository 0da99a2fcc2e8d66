"""A power cut: what the kernel has not yet given to the disk is gone."""

import io
import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest
from tests.support.site import running_site

import offload

app = offload.App("power")

MKFS = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin:/bin")


@app.function(cpu=0.1, memory=128)
def size(data):
    return len(data)


@contextmanager
def mounted(image, folder):
    """Have the file system in the image mounted for the length of the block."""
    folder.mkdir()
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def image(tmp_path):
    if os.getuid() != 0 or MKFS is None:
        pytest.skip("only root may mount, and mkfs.ext4 makes what is mounted")
    image = tmp_path / "disk.img"
    image.touch()
    os.truncate(image, 64 << 20)
    subprocess.run([MKFS, "-q", "-F", str(image)], check=True)
    try:
        with mounted(image, tmp_path / "trial"):
            pass
    except subprocess.CalledProcessError:
        pytest.skip("this machine mounts no image of a disk")
    return image


def test_what_was_acknowledged_survives_a_power_cut(image, tmp_path):
    rest = tmp_path / "rest.img"
    content = os.urandom(3 << 20)
    with (
        mounted(image, tmp_path / "before") as disk,
        running_site(disk) as site,
        site.calls(),
        app.run(),
    ):
        volume = offload.Volume.from_name("power", create_if_missing=True)
        with volume.batch_upload() as batch:
            batch.put_file(io.BytesIO(content), "large")
        calls = [size.spawn_map(["x" * 10] * 100), size.spawn(bytes(300_000))]
        # The image is what has reached the disk by now; what is only in the kernel's memory is not in it.
        shutil.copyfile(image, rest)
        token = site.token

    with mounted(rest, tmp_path / "after") as disk, running_site(disk) as site, site.calls():
        site.start_worker("w1", "--cpu", "1", "--memory", "1024")
        results = [offload.FunctionCall.from_id(call.object_id).get() for call in calls]
        kept = b"".join(offload.Volume.from_name("power").read_file("large"))
        token_after = site.token

    assert results == [[10] * 100, 300_000]
    assert kept == content
    assert token_after == token
