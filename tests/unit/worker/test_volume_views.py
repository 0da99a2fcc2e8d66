"""What containers see of volumes, and what becomes of what they write, without containers."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.volume_server import KeptVolumes

from offload.worker.core.values import VolumeMount
from offload.worker.volumes import VolumeError, Volumes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from offload.worker.volumes import Mounts


class Stage:
    """A worker's volumes, and containers that have not started."""

    def __init__(self, directory: Path, cache_bytes: int = 10**9) -> None:
        self.server = KeptVolumes()
        self.volumes = Volumes(directory / "volumes", cache_bytes, self.server)
        self.told: list[str] = []

    async def mount(
        self, name: str, *, is_read_only: bool = False, sub_path: str = ""
    ) -> tuple[Mounts, Path]:
        mounted = VolumeMount("vo-1", "/data", is_read_only, sub_path)
        mounts = await self.volumes.mount(name, [mounted], self.told.append)
        await mounts.settle()
        return mounts, Path(mounts.binds[0].source)


def play(tmp_path: Path, scenario: Callable[[Stage], Awaitable[None]], **options: int) -> None:
    async def run() -> None:
        await scenario(Stage(tmp_path, **options))

    asyncio.run(run())


def contents(place: Path) -> dict[str, str]:
    return {
        str(path.relative_to(place)): path.read_text()
        for path in sorted(place.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("is_read_only", [False, True])
def test_a_container_sees_the_volume_as_it_was_at_its_start(
    tmp_path: Path, is_read_only: bool
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.server.put({"a/one": "1", "two": "2"})

        mounts, place = await stage.mount("ct-1", is_read_only=is_read_only)
        stage.server.put({"a/one": "changed"})

        assert contents(place) == {"a/one": "1", "two": "2"}
        await mounts.close(commits=False)
        assert not place.exists()

    play(tmp_path, scenario)


def test_a_commit_publishes_what_changed_and_nothing_else(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        stage.server.put({"a/one": "1", "a/two": "2", "theirs": "old"})
        mounts, place = await stage.mount("ct-1")
        stage.server.put({"theirs": "new"})
        (place / "a/one").write_text("mine")
        (place / "a/two").unlink()
        (place / "b").mkdir()
        (place / "b/three").write_text("3")

        await mounts.commit("vo-1")

        assert stage.server.files() == {"a/one": "mine", "b/three": "3", "theirs": "new"}
        versions = stage.server.newest()
        await mounts.commit("vo-1")
        assert stage.server.newest() == versions
        await mounts.close(commits=False)

    play(tmp_path, scenario)


def test_a_change_that_keeps_size_and_time_is_noticed(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        stage.server.put({"file": "one"})
        mounts, place = await stage.mount("ct-1")
        before = (place / "file").stat()
        (place / "file").write_text("two")
        os.utime(place / "file", ns=(before.st_atime_ns, before.st_mtime_ns))

        await mounts.commit_all()

        assert stage.server.files() == {"file": "two"}
        await mounts.close(commits=False)

    play(tmp_path, scenario)


def test_a_reload_takes_in_what_others_published_and_keeps_what_is_not_committed(
    tmp_path: Path,
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.server.put({"kept": "1", "changed": "1", "gone/x": "1", "own": "1"})
        mounts, place = await stage.mount("ct-1")
        (place / "own").write_text("mine")
        stage.server.put({"changed": "2", "new/file": "2", "own": "theirs"}, removes=("gone",))

        await mounts.reload("vo-1")

        assert contents(place) == {"kept": "1", "changed": "2", "new/file": "2", "own": "mine"}
        assert not (place / "gone").exists()
        await mounts.commit("vo-1")
        assert stage.server.files()["own"] == "mine"
        await mounts.close(commits=False)

    play(tmp_path, scenario)


@pytest.mark.parametrize("is_read_only", [False, True])
def test_a_reload_is_refused_with_the_list_of_open_files(
    tmp_path: Path, is_read_only: bool
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.server.put({"a/open": "1", "closed": "1"})
        mounts, place = await stage.mount("ct-1", is_read_only=is_read_only)
        stage.server.put({"a/open": "2"})

        with (place / "a/open").open(), pytest.raises(VolumeError, match=r"close /data/a/open$"):
            await mounts.reload("vo-1")

        assert contents(place)["a/open"] == "1"
        await mounts.reload("vo-1")
        assert contents(place)["a/open"] == "2"
        await mounts.close(commits=False)

    play(tmp_path, scenario)


def test_what_is_open_for_writing_is_left_out_unless_it_is_asked_for(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        mounts, place = await stage.mount("ct-1")
        (place / "whole").write_text("all of it")
        with (place / "half").open("w") as half:
            half.write("the first part, ")
            half.flush()
            await mounts.commit_all()
            published = stage.server.files()
            await mounts.commit("vo-1")
        assert published == {"whole": "all of it"}
        assert stage.server.files() == {"whole": "all of it", "half": "the first part, "}
        await mounts.close(commits=False)

    play(tmp_path, scenario)


def test_what_no_volume_takes_is_left_out_and_told_of_once(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        stage.server.put({"file": "1"})
        mounts, place = await stage.mount("ct-1")
        os.mkfifo(place / "pipe")
        (place / "evil").symlink_to("/etc/passwd")
        os.link(place / "file", place / "other")

        await mounts.commit_all()
        await mounts.commit_all()

        assert stage.server.files() == {"file": "1", "other": "1"}
        assert [line.split(":")[0] for line in sorted(stage.told)] == [
            "/data/evil is not committed",
            "/data/pipe is not committed",
        ]
        await mounts.close(commits=False)

    play(tmp_path, scenario)


def test_a_folder_of_the_volume_can_be_mounted_alone(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        stage.server.put({"models/small/x": "1", "models/smaller": "2", "other": "3"})
        mounts, place = await stage.mount("ct-1", sub_path="models/small")
        absent, empty = await stage.mount("ct-2", sub_path="not/there")

        seen = contents(place), contents(empty)
        (place / "y").write_text("new")
        (empty / "z").write_text("new")
        await mounts.commit_all()
        await absent.commit_all()

        assert seen == ({"x": "1"}, {})
        assert stage.server.files() == {
            "models/small/x": "1", "models/small/y": "new", "models/smaller": "2",
            "not/there/z": "new", "other": "3",
        }  # fmt: skip
        for each in (mounts, absent):
            await each.close(commits=False)

    play(tmp_path, scenario)


@pytest.mark.parametrize("sub_path", ["a/file", "a/file/below"])
def test_what_is_no_folder_is_not_mounted_as_one(tmp_path: Path, sub_path: str) -> None:
    async def scenario(stage: Stage) -> None:
        stage.server.put({"a/file": "1"})

        with pytest.raises(VolumeError, match="'a/file' is a file or a link"):
            await stage.mount("ct-1", sub_path=sub_path)

        assert stage.server.files() == {"a/file": "1"}

    play(tmp_path, scenario)


def test_read_only_views_share_one_copy_and_writable_ones_have_their_own(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        stage.server.put({"file": "1"})

        shared = [await stage.mount(f"ct-{n}", is_read_only=True) for n in range(2)]
        own = [await stage.mount(f"ct-{n}") for n in range(2, 4)]

        inodes = [(place / "file").stat().st_ino for _, place in shared]
        assert inodes[0] == inodes[1]
        assert len({(place / "file").stat().st_ino for _, place in own} | {inodes[0]}) == 3
        assert stage.server.fetched_bytes == 1
        with pytest.raises(VolumeError, match="read-only"):
            await shared[0][0].commit("vo-1")
        for mounts, _ in (*shared, *own):
            await mounts.close(commits=False)

    play(tmp_path, scenario)


def test_of_a_large_file_that_changed_a_little_only_that_is_fetched(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        large = os.urandom(5_000_000).hex()
        stage.server.put({"large": large})
        await (await stage.mount("ct-1"))[0].close(commits=False)
        before = stage.server.fetched_bytes
        stage.server.put({"large": large[:6_000_000] + "changed" + large[6_000_000:]})

        mounts, place = await stage.mount("ct-2")

        assert len((place / "large").read_text()) == 10_000_007
        assert stage.server.fetched_bytes - before < 3_000_000
        await mounts.close(commits=False)

    play(tmp_path, scenario)


def test_a_volume_larger_than_the_cache_can_be_mounted(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        stage.server.put({f"file{n}": "x" * 1000 for n in range(20)})

        mounts, place = await stage.mount("ct-1", is_read_only=True)

        assert len(contents(place)) == 20
        kept = sum(path.stat().st_size for path in (tmp_path / "volumes/files").iterdir())
        assert kept <= 5_000
        await mounts.close(commits=False)

    play(tmp_path, scenario, cache_bytes=5_000)


def test_the_end_of_a_container_publishes_what_it_has_left(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        good, good_place = await stage.mount("ct-1")
        killed, killed_place = await stage.mount("ct-2")
        (good_place / "good").write_text("1")
        (killed_place / "killed").write_text("1")

        assert await good.close(commits=True) == ""
        await killed.close(commits=False)

        assert stage.server.files() == {"good": "1"}

    play(tmp_path, scenario)


def test_the_end_of_a_container_waits_for_the_commit_of_a_result(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        stage.server.put({"folder/old": "1"})
        mounts, place = await stage.mount("ct-1")
        (place / "folder/new").write_text("2")
        closing: list[asyncio.Task[str]] = []

        async def end_it() -> None:
            closing.append(asyncio.create_task(mounts.close(commits=False)))
            await asyncio.wait(closing, timeout=0.1)

        stage.server.before_upload = end_it
        why_not = await stage.volumes.commit_all_of("ct-1")
        await closing[0]

        assert why_not == ""
        assert stage.server.files() == {"folder/old": "1", "folder/new": "2"}
        assert not place.exists()

    play(tmp_path, scenario)


def test_a_volume_that_is_not_mounted_cannot_be_committed(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        mounts, _ = await stage.mount("ct-1")

        with pytest.raises(VolumeError, match="not mounted in this container"):
            await mounts.commit("vo-other")
        await mounts.close(commits=False)

    play(tmp_path, scenario)


def test_a_chunk_that_the_server_has_lost_is_given_back_where_it_is_here(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        stage.server.put({"file": "1", "other": "2"})
        lost = dict(stage.server.chunks)
        mounts, _ = await stage.mount("ct-1", is_read_only=True)
        await mounts.close(commits=False)
        stage.server.chunks.clear()

        given = [await stage.volumes.give_chunk(name) for name in (*lost, "0" * 64)]

        assert given == [True, True, False]
        assert stage.server.chunks == lost

    play(tmp_path, scenario)
