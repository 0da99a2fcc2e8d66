"""Volumes through the SDK and a whole stack: mounted in sandboxed containers, and read and written from outside."""

from __future__ import annotations

import asyncio
import io
import os
import random
from pathlib import Path

import pytest

import offload
from offload import errors, testing

app = offload.App("volumes")
shared = offload.Volume.from_name("shared", create_if_missing=True)

DATA = Path("/data")


def see(place: Path) -> dict[str, str]:
    return {
        str(path.relative_to(place)): path.read_text()
        for path in sorted(place.rglob("*"))
        if path.is_file()
    }


@app.function(volumes={"/data": shared})
def write(name: str, text: str) -> dict[str, str]:
    (DATA / name).parent.mkdir(parents=True, exist_ok=True)
    (DATA / name).write_text(text)
    return see(DATA)


@app.function(volumes={"/srv/deep/down": shared.read_only()}, scaledown_window=0)
def look() -> tuple[dict[str, str], str]:
    try:
        Path("/srv/deep/down/new").write_text("no")
    except OSError as error:
        return see(Path("/srv/deep/down")), type(error).__name__
    return {}, "it could be written"


@app.function(volumes={"/mnt/part": shared.sub_path("part")}, scaledown_window=0)
def write_part(text: str) -> dict[str, str]:
    Path("/mnt/part/file").write_text(text)
    return see(Path("/mnt/part"))


@app.function(volumes={"/data": shared})
def misbehave() -> list[str]:
    os.mkfifo(DATA / "pipe")
    (DATA / "evil").symlink_to("/etc/passwd")
    (DATA / "up").symlink_to("../etc")
    (DATA / "fine").symlink_to("kept")
    (DATA / "kept").write_text("kept")
    return sorted(path.name for path in DATA.iterdir())


@app.function(volumes={"/data": shared}, scaledown_window=30)
def talk(step: str) -> object:
    if step == "publish":
        (DATA / "mine").write_text("by the container")
        shared.commit()
    elif step == "open":
        with (DATA / "theirs").open():
            shared.reload()
    elif step == "reload":
        shared.reload()
    return see(DATA)


@app.function(volumes={"/data": shared}, scaledown_window=0)
def die() -> None:
    (DATA / "lost").write_text("never committed")
    os._exit(3)


@app.function(scaledown_window=0)
def read_elsewhere(volume: offload.Volume) -> tuple[dict[str, bytes], int]:
    """Read a volume that is an argument, and mounted nowhere; then have it be what it was first."""
    found = contents(volume)
    return found, volume.restore(volume.snapshots()[-1])


@app.function(scaledown_window=0)
def write_elsewhere(volume: offload.Volume, large: bytes) -> None:
    """Change a volume that is an argument, and mounted nowhere."""
    volume.put_file(io.BytesIO(large), "large")
    Path("/tmp/small").write_text("from inside")  # noqa: S108 - the container's own
    with volume.batch_upload() as batch:
        batch.put_file("/tmp/small", "folder/small")  # noqa: S108 - as above
        batch.put_file(io.BytesIO(), "folder/empty")
    volume.copy_files(["folder/small"], "copy")
    volume.rename("folder", "renamed")
    volume.remove_file("old")


@pytest.fixture(scope="module", autouse=True)
def running(tmp_path_factory):
    directory = tmp_path_factory.mktemp("stack")
    with testing.local_stack(directory), app.run():
        yield directory


@pytest.fixture(autouse=True)
def volume():
    for entry in shared.listdir():
        shared.remove_file(entry.path, recursive=True)
    return shared


def contents(volume: offload.Volume) -> dict[str, bytes]:
    return {
        entry.path: b"".join(volume.read_file(entry.path))
        for entry in volume.iterdir()
        if entry.type == "file"
    }


def test_what_an_input_wrote_is_there_for_whoever_has_its_result(volume):
    volume.put_file(io.BytesIO(b"before"), "old.txt")

    seen = write.remote("deep/new.txt", "written")

    assert seen["old.txt"] == "before"
    assert contents(volume)["deep/new.txt"] == b"written"


def test_a_read_only_mount_shows_everything_and_takes_nothing(volume):
    volume.put_file(io.BytesIO(b"model"), "weights/model")

    seen, refusal = look.remote()

    assert (seen, refusal) == ({"weights/model": "model"}, "OSError")


def test_a_folder_of_a_volume_is_mounted_alone(volume):
    volume.put_file(io.BytesIO(b"other"), "other")

    seen = write_part.remote("inside")

    assert seen == {"file": "inside"}
    assert contents(volume) == {"other": b"other", "part/file": b"inside"}


def test_what_could_lead_out_of_a_volume_never_gets_into_it(volume):
    names = misbehave.remote()

    assert {"evil", "fine", "kept", "pipe", "up"} <= set(names)
    assert {entry.path: entry.target for entry in volume.listdir()} == {"fine": "kept", "kept": ""}


def test_a_container_commits_and_reloads_when_its_code_says_so(volume):
    talk.remote("publish")
    committed = contents(volume)
    volume.put_file(io.BytesIO(b"by a program"), "theirs")

    before = talk.remote("nothing")
    after = talk.remote("reload")

    assert committed["mine"] == b"by the container"
    assert "theirs" not in before
    assert after["theirs"] == "by a program"
    with pytest.raises(errors.InvalidError, match="close /data/theirs"):
        talk.remote("open")


def test_what_a_killed_container_had_not_committed_is_lost(volume):
    with pytest.raises(errors.ContainerExitError):
        die.remote()

    assert "lost" not in contents(volume)


def test_what_is_damaged_on_the_servers_disk_is_read_from_a_workers_copy(volume, running):
    text = os.urandom(100_000).hex()
    others = set(running.glob("**/packed/*.pack"))
    volume.put_file(io.BytesIO(text.encode()), "weights")
    look.remote()
    packs = set(running.glob("**/packed/*.pack")) - others
    for pack in packs:
        pack.write_bytes(bytes(byte ^ 1 for byte in pack.read_bytes()))

    found = b"".join(volume.read_file("weights"))

    assert packs
    assert found.decode() == text


def test_a_volume_that_is_an_argument_is_read_and_restored_where_it_is_not_mounted():
    with offload.Volume.ephemeral() as volume:
        volume.put_file(io.BytesIO(b"first"), "a")
        volume.put_file(io.BytesIO(bytes(3_000_000)), "large")

        found, restored = read_elsewhere.remote(volume)

        assert found == {"a": b"first", "large": bytes(3_000_000)}
        assert restored == 3
        assert contents(volume) == {"a": b"first"}


def test_a_volume_that_is_an_argument_is_changed_where_it_is_not_mounted():
    large = random.Random(0).randbytes(5_000_000)  # noqa: S311 - the same each time
    with offload.Volume.ephemeral() as volume:
        volume.put_file(io.BytesIO(b"old"), "old")

        write_elsewhere.remote(volume, large)

        assert contents(volume) == {
            "large": large,
            "copy": b"from inside",
            "renamed/small": b"from inside",
            "renamed/empty": b"",
        }
        assert [snapshot.cause for snapshot in volume.snapshots()][:-1] == [
            "remove_file",
            "rename_file",
            "copy_files",
            "batch_upload",
            "put_file",
        ]


def test_code_outside_of_containers_has_nothing_to_commit(volume):
    with pytest.raises(errors.InvalidError, match="for code in a container"):
        volume.commit()


def test_a_folder_goes_up_and_comes_back_as_one_commit(volume, tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "script.sh").write_text("#!/bin/sh")
    (tmp_path / "a" / "b" / "script.sh").chmod(0o755)
    (tmp_path / "large").write_bytes(os.urandom(3_000_000))
    (tmp_path / "link").symlink_to("a/b/script.sh")
    before = len(volume.snapshots())

    volume.put_directory(tmp_path, "/up")

    found = {entry.path: entry for entry in volume.iterdir("up")}
    assert list(found) == ["up/a", "up/a/b", "up/a/b/script.sh", "up/large", "up/link"]
    assert found["up/a/b/script.sh"].mode == 0o755
    assert found["up/link"].target == "a/b/script.sh"
    assert b"".join(volume.read_file("up/large")) == (tmp_path / "large").read_bytes()
    assert len(volume.snapshots()) == before + 1


def store(volume: offload.Volume, *names: str, then: Exception | None = None) -> None:
    with volume.batch_upload() as batch:
        for name in names:
            batch.put_file(io.BytesIO(name.encode()), name)
        if then is not None:
            raise then


def test_a_batch_is_stored_whole_or_not_at_all(volume):
    store(volume, "one", "two")
    with pytest.raises(errors.InvalidError, match="two is in the volume already"):
        store(volume, "three", "two")
    with pytest.raises(ZeroDivisionError):
        store(volume, "four", then=ZeroDivisionError())

    assert contents(volume) == {"one": b"one", "two": b"two"}


def test_files_are_copied_renamed_and_removed(volume):
    with volume.batch_upload() as batch:
        for name in ("a/one", "a/two", "b"):
            batch.put_file(io.BytesIO(name.encode()), name)

    volume.copy_files(["a/one", "b"], "copies")
    volume.copy_files(["b"], "c")
    volume.rename("a/two", "a/three")
    volume.rename_file("b", "copies/")
    volume.remove_file("a/one")

    assert contents(volume) == {
        "a/three": b"a/two", "c": b"b", "copies/b": b"b", "copies/one": b"a/one",
    }  # fmt: skip
    with pytest.raises(errors.InvalidError, match="recursive=True"):
        volume.remove_file("a")
    with pytest.raises(errors.NotFoundError, match="no 'gone'"):
        volume.remove_file("gone")


def test_a_volume_is_what_it_was_at_a_snapshot(volume):
    volume.put_file(io.BytesIO(b"good"), "file")
    good = volume.snapshots()[0]
    volume.put_file(io.BytesIO(b"spoilt"), "file")
    volume.put_file(io.BytesIO(b"more"), "more")

    restored = volume.restore(good)

    assert contents(volume) == {"file": b"good"}
    assert restored == volume.snapshots()[0].id
    assert good.files == 1
    with pytest.raises(errors.NotFoundError, match="no version 999999"):
        volume.restore(999_999)


@pytest.mark.parametrize("path", ["../out", "/a/../../b", "a//b", "a\0b"])
def test_no_path_leads_out_of_a_volume(volume, path):
    with pytest.raises(errors.InvalidError):
        volume.put_file(io.BytesIO(b"x"), path)
    with pytest.raises(errors.InvalidError):
        list(volume.read_file(path))


def test_a_file_of_text_is_refused_with_how_to_open_it(volume):
    with pytest.raises(errors.InvalidError, match=r"open it with \"rb\""):
        volume.put_file(io.StringIO("text"), "a")


def test_what_a_volume_cannot_keep_is_refused_on_the_way_up(volume, tmp_path):
    (tmp_path / "evil").symlink_to("/etc/passwd")
    with pytest.raises(errors.InvalidError, match="leads out of the volume"):
        volume.put_directory(tmp_path)
    (tmp_path / "evil").unlink()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(errors.InvalidError, match="no devices, sockets and pipes"):
        volume.put_directory(tmp_path)

    assert contents(volume) == {}


def test_volumes_have_async_twins(volume):
    async def scenario() -> tuple[bytes, list[str]]:
        await volume.put_file.aio(io.BytesIO(b"async"), "file")
        async with volume.batch_upload() as batch:
            batch.put_file(io.BytesIO(b"more"), "more")
        pieces = [piece async for piece in volume.read_file.aio("file")]
        return b"".join(pieces), [entry.path async for entry in volume.iterdir.aio()]

    assert asyncio.run(scenario()) == (b"async", ["file", "more"])


def test_a_deleted_volume_is_gone_and_its_name_is_free():
    first = offload.Volume.from_name("short-lived", create_if_missing=True)
    first.put_file(io.BytesIO(b"1"), "file")
    offload.Volume.rename("short-lived", "renamed")

    offload.Volume.delete("renamed")

    with pytest.raises(errors.NotFoundError):
        first.listdir()
    second = offload.Volume.from_name("renamed", create_if_missing=True)
    assert second.listdir() == []
    offload.Volume.delete("renamed")
