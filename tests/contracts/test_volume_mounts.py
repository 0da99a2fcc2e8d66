"""What every runtime promises to containers with volumes, and about them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.consoles import run
from tests.support.every_runtime import a_runtime
from tests.support.trees import listing
from tests.support.volume_stage import CLOSE, IDS, OS, Stage, hold_open, read, write

from offload.wire.trees import Kind
from offload.worker.ports import Runtime
from offload.worker.volumes import VolumeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

# Functions with volumes are not forked from templates.
_SANDBOXES = ["bubblewrap", "gvisor", "docker"]
_WITH_IMAGES = ["bubblewrap image", "gvisor image", "docker docker_image"]
_ALL = ["process", *_SANDBOXES, *_WITH_IMAGES]


@pytest.fixture(params=_ALL)
def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runtime]:
    with a_runtime(request, tmp_path) as made:
        yield made


def play(
    runtime: Runtime,
    tmp_path: Path,
    scenario: Callable[[Stage], Awaitable[object]],
    **options: float,
) -> object:
    async def run() -> object:
        async with asyncio.timeout(120):
            return await scenario(Stage(runtime, tmp_path, **options))

    return asyncio.run(run())


def test_what_a_container_writes_is_committed_and_nothing_that_it_left_alone(
    runtime: Runtime, tmp_path: Path
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.server.put({"old": "1", "folder/kept": "2", "gone": "3"})

        async with stage.container() as opened:
            assert await opened.ask(read("folder/kept")) == "2"
            assert await opened.ask(write("old", "changed")) == 7
            assert await opened.ask(f"{OS}.makedirs('DATA/a/b')") is None
            assert await opened.ask(write("a/b/new", "made")) == 4
            assert await opened.ask(f"{OS}.rename('DATA/a/b/new', 'DATA/folder/new')") is None
            assert await opened.ask(f"{OS}.remove('DATA/gone')") is None
            assert await opened.ask(f"{OS}.symlink('old', 'DATA/link')") is None
            assert await opened.ask(f"{OS}.chmod('DATA/old', 0o700)") is None
            changed = stage.server.files()
            await opened.mounts.commit_all()
            number = stage.server.newest()
            await opened.mounts.commit_all()

        assert changed == {"old": "1", "folder/kept": "2", "gone": "3"}
        assert stage.server.newest() == number
        assert stage.server.files() == {"old": "changed", "folder/kept": "2", "folder/new": "made"}
        entries = listing(stage.server.trees)
        assert (entries["old"].mode, entries["link"].content) == (0o700, b"old")

    play(runtime, tmp_path, scenario)


def test_half_a_file_is_not_committed_by_itself_and_the_last_is_at_a_good_end(
    runtime: Runtime, tmp_path: Path
) -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.container() as opened:
            await opened.ask(write("whole", "whole"))
            await opened.ask(hold_open("half", "w", "half"))
            await stage.server.committed.wait()  # in the background
            await opened.mounts.commit_all()
            while_open = stage.server.files()
            await opened.ask(CLOSE)
            await opened.ask(write("last", "words"))
            opened.container.kill()
            await opened.container.wait()
            await opened.mounts.close(commits=True)

        assert while_open == {"whole": "whole"}
        assert stage.server.files() == {"whole": "whole", "half": "half", "last": "words"}

    play(runtime, tmp_path, scenario, background_seconds=0.05)


def test_a_reload_shows_what_others_committed_once_no_file_is_open(
    runtime: Runtime, tmp_path: Path
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.server.put({"file": "before", "gone": "1", "own": "1"})

        async with stage.container() as opened:
            assert await opened.ask(read("file")) == "before"
            await opened.ask(write("own", "mine"))
            await opened.ask(hold_open("file", "r"))
            stage.server.put({"file": "after", "new": "new"}, removes=("gone",))
            with pytest.raises(VolumeError, match=f"close {opened.path}/file"):
                await opened.mounts.reload("vo-1")
            unchanged = await opened.ask(read("file"))
            await opened.ask(CLOSE)

            await opened.mounts.reload("vo-1")

            names = await opened.ask(f"sorted({OS}.listdir('DATA'))")
            texts = [await opened.ask(read(name)) for name in ("file", "new", "own")]

        assert unchanged == "before"
        assert (names, texts) == (["file", "new", "own"], ["after", "new", "mine"])

    play(runtime, tmp_path, scenario)


@pytest.mark.parametrize("runtime", [*_SANDBOXES, *_WITH_IMAGES], indirect=True)
def test_a_folder_of_a_volume_is_mounted_alone_and_read_only_holds(
    runtime: Runtime, tmp_path: Path
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.server.put({"other": "1", "part/file": "2", "part/closed/file": "3"})
        stage.server.put_folder("part/closed", 0o700)

        async with stage.container("/srv/deep/down", is_read_only=True, sub_path="part") as opened:
            names = await opened.ask(f"sorted({OS}.listdir('DATA'))")
            closed_file = await opened.ask(read("closed/file"))
            refused = [
                await opened.ask(write("new", "no")),
                await opened.ask(write("file", "no")),
                await opened.ask(f"{OS}.remove('DATA/file')"),
                await opened.ask(f"{OS}.chmod('DATA/file', 0o777)"),
            ]
            with pytest.raises(VolumeError, match="mounted read-only"):
                await opened.mounts.commit("vo-1")
            stage.server.put({"part/file": "newer"})
            await opened.mounts.reload("vo-1")
            newer = await opened.ask(read("file"))

        assert (names, closed_file, newer) == (["closed", "file"], "3", "newer")
        for refusal in refused:
            assert str(refusal).startswith(("OSError: [Errno 30]", "PermissionError"))
        async with stage.container(sub_path="part") as opened:
            await opened.ask(write("own", "of the part"))
            await opened.mounts.commit_all()
        assert stage.server.files()["part/own"] == "of the part"

    play(runtime, tmp_path, scenario)


_PLACES = ("/mnt", "/media/in/hidden", "/tmp/in/scratch", "/usr/local/in/it")  # noqa: S108 - inside


@pytest.mark.parametrize("runtime", _SANDBOXES, indirect=True)
def test_volumes_are_found_wherever_they_are_wanted(runtime: Runtime, tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        stage.server.put({"file": "1"})

        async with stage.container(*_PLACES) as opened:
            texts = [await opened.ask(f"open('{path}/file').read()") for path in _PLACES]
            written = [
                await opened.ask(f"open('{path}/file', 'w').write('22')") for path in _PLACES
            ]
            beside = [
                str(await opened.ask(f"open('{Path(path).parent}/new', 'w').write('')"))
                for path in _PLACES
                if "scratch" not in path
            ]
            shown = await opened.ask(f"sorted({OS}.listdir('/usr/local'))")

        assert (texts, written) == (["1"] * 4, [2] * 4)
        assert all("Error" in refusal for refusal in beside)
        assert shown == sorted(["in", *siblings])

    siblings = sorted(entry.name for entry in Path("/usr/local").iterdir())
    play(runtime, tmp_path, scenario)
    assert not any(Path(path).exists() for path in _PLACES[1:])


@pytest.mark.parametrize("runtime", [*_SANDBOXES, *_WITH_IMAGES], indirect=True)
def test_a_volume_gives_user_code_no_rights(runtime: Runtime, tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.container() as opened:
            found = await opened.ask(IDS)
            device = await opened.ask(f"{OS}.mknod('DATA/null', 0o20666, 0x103)")
            given = await opened.ask(f"{OS}.chown('DATA', 0, 0)")
            source = str(Path(opened.mounts.binds[0].source).parent)
            elsewhere = await opened.ask(f"{OS}.path.exists({source!r})")

        assert isinstance(found, list)
        ids, capabilities, is_owner = found
        assert ids == [1000] * 3 or (runtime.capabilities.name == "docker" and min(ids) > 1000)
        assert set(capabilities) <= {""}
        assert is_owner
        assert "PermissionError" in str(device)
        assert "Error" in str(given)
        assert elsewhere is False

    play(runtime, tmp_path, scenario)


@pytest.mark.parametrize("runtime", ["process", *_SANDBOXES], indirect=True)
def test_a_console_has_the_volume_as_its_container_has_it(runtime: Runtime, tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        async with stage.container() as opened:
            await opened.ask(write("runners", "1"))
            program = (
                f"import os; place = '{opened.path}/'; open(place + 'runners').read(); open(place + 'persons', 'w').write('2');"
                "print(os.getuid(), os.stat(place + 'runners').st_uid, open('/proc/self/status').read().split('CapEff:')[1].split()[0])"
            )
            talk = await run(opened.container, sys.executable, "-c", program)
            ids = await opened.ask(f"[{OS}.getuid(), {OS}.stat('DATA/persons').st_uid]")
            await opened.ask(write("persons", "both"))
            await opened.mounts.commit_all()

        assert talk.code == 0, talk.errors
        uid, owner, capabilities = talk.output.decode().split()
        assert [int(uid), int(owner)] == ids
        assert not capabilities.strip("0") or runtime.capabilities.name == "process"
        assert stage.server.files() == {"runners": "1", "persons": "both"}

    play(runtime, tmp_path, scenario)


@pytest.mark.parametrize("runtime", _SANDBOXES, indirect=True)
def test_a_file_that_containers_share_cannot_be_had_as_ones_own(
    runtime: Runtime, tmp_path: Path
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.server.put({"file": "shared"})

        async with stage.container(read_only_at="/shared") as opened:
            tricks = [
                await opened.ask(f"{OS}.link('/shared/file', 'DATA/mine')"),
                await opened.ask(f"{OS}.rename('/shared/file', 'DATA/mine')"),
                await opened.ask("open('/proc/self/fd/%d' % open('/shared/file').fileno(), 'r+')"),
                await opened.ask(f"{OS}.truncate('/shared/file', 0)"),
            ]
            seen = await opened.ask("open('/shared/file').read()")

        assert all("Error: [Errno" in str(refusal) for refusal in tricks), tricks
        assert seen == "shared"

    play(runtime, tmp_path, scenario)


def test_no_name_that_a_container_makes_leads_out_of_its_volume(
    runtime: Runtime, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("the machine's")

    async def scenario(stage: Stage) -> None:
        stage.server.put({"folder/file": "1", "theirs": "1"})

        async with stage.container() as opened:
            for link, target in {
                "absolute": f"{outside}/secret",
                "up": "../../../../../../../../etc",
                "fine": "folder/file",
            }.items():
                await opened.ask(f"{OS}.symlink({target!r}, 'DATA/{link}')")
            await opened.ask(f"{OS}.mkfifo('DATA/pipe')")
            await opened.ask("__import__('socket').socket(1).bind('DATA/socket')")
            # What the worker knows as a file and a folder becomes a way out.
            await opened.ask(f"{OS}.remove('DATA/theirs')")
            await opened.ask(f"{OS}.symlink('{outside}/secret', 'DATA/theirs')")
            await opened.ask(f"{OS}.remove('DATA/folder/file')")
            await opened.ask(f"{OS}.rmdir('DATA/folder')")
            await opened.ask(f"{OS}.symlink('{outside}', 'DATA/folder')")
            await opened.mounts.commit_all()
            committed = listing(stage.server.trees)
            stage.server.put({"theirs": "x", "absolute": "x", "folder/secret": "x"})
            with contextlib.suppress(VolumeError):  # a folder that is a link now is not entered
                await opened.mounts.reload("vo-1")

        links = {path: e.content for path, e in committed.items() if e.kind is Kind.SYMLINK}
        assert committed.keys() == {"fine", "folder", "folder/file", "theirs"}
        assert links == {"fine": b"folder/file"}

    play(runtime, tmp_path, scenario)
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_text() == "the machine's"
