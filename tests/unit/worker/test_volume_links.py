"""Where plain processes find their volumes, and where they are refused one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from offload.worker.ports import ContainerStartError, VolumeBind
from offload.worker.runtimes.volume_links import VolumeLinks

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def links(tmp_path: Path) -> VolumeLinks:
    return VolumeLinks(str(tmp_path / "data"), patience_seconds=0.05)


def bind(tmp_path: Path, target: Path, name: str = "ct-1") -> VolumeBind:
    source = tmp_path / "data" / "views" / name
    source.mkdir(parents=True, exist_ok=True)
    return VolumeBind(str(source), str(target), is_read_only=False)


def make(links: VolumeLinks, volume: VolumeBind, name: str = "ct-1") -> None:
    asyncio.run(links.make(name, [volume]))


def test_a_volume_is_found_while_its_container_lives(links: VolumeLinks, tmp_path: Path) -> None:
    volume = bind(tmp_path, tmp_path / "new" / "place")

    make(links, volume)
    found = (tmp_path / "new" / "place").resolve()
    links.remove("ct-1")
    links.remove("ct-1")

    assert str(found) == volume.source
    assert not (tmp_path / "new").exists()


def test_a_path_has_one_container_at_a_time(links: VolumeLinks, tmp_path: Path) -> None:
    make(links, bind(tmp_path, tmp_path / "place"))
    second = bind(tmp_path, tmp_path / "place", "ct-2")

    with pytest.raises(ContainerStartError, match=r"of container ct-1, .* max_containers=1"):
        make(links, second, "ct-2")
    links.remove("ct-2")
    still_the_firsts = (tmp_path / "place").resolve().name
    links.remove("ct-1")
    make(links, second, "ct-2")

    assert still_the_firsts == "ct-1"
    assert (tmp_path / "place").resolve().name == "ct-2"


def test_whoever_waits_for_a_path_gets_it_when_it_is_free(tmp_path: Path) -> None:
    links = VolumeLinks(str(tmp_path / "data"), patience_seconds=60)

    async def scenario() -> None:
        await links.make("ct-1", [bind(tmp_path, tmp_path / "place")])
        waiting = asyncio.create_task(
            links.make("ct-2", [bind(tmp_path, tmp_path / "place", "ct-2")])
        )
        await asyncio.sleep(0)
        links.remove("ct-1")
        await waiting

    asyncio.run(scenario())
    assert (tmp_path / "place").resolve().name == "ct-2"


def test_what_is_there_already_stays(links: VolumeLinks, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")

    for name in ("folder", "link"):
        with pytest.raises(ContainerStartError, match=f"{name} is there already"):
            make(links, bind(tmp_path, tmp_path / name))

    assert (tmp_path / "folder").is_dir()
    assert str((tmp_path / "link").readlink()) == "nowhere"


def test_the_link_of_a_worker_that_was_killed_is_replaced(
    links: VolumeLinks, tmp_path: Path
) -> None:
    (tmp_path / "place").symlink_to(tmp_path / "data" / "views" / "ct-old")

    make(links, bind(tmp_path, tmp_path / "place"))

    assert (tmp_path / "place").resolve().name == "ct-1"


def test_a_link_that_somebody_replaced_is_not_removed(links: VolumeLinks, tmp_path: Path) -> None:
    make(links, bind(tmp_path, tmp_path / "place"))
    (tmp_path / "place").unlink()
    (tmp_path / "place").symlink_to("theirs")

    links.remove("ct-1")

    assert str((tmp_path / "place").readlink()) == "theirs"


@pytest.mark.parametrize(
    ("mode", "is_taken"), [(0o777, False), (0o1777, True), (0o755, True)], ids=oct
)
def test_no_link_is_made_where_others_could_put_theirs(
    links: VolumeLinks, tmp_path: Path, mode: int, is_taken: bool
) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(mode)
    volume = bind(tmp_path, tmp_path / "open" / "deep" / "place")

    if is_taken:
        make(links, volume)
    else:
        with pytest.raises(ContainerStartError, match="others can change"):
            make(links, volume)

    assert (tmp_path / "open" / "deep").exists() == is_taken


def test_a_way_through_a_link_or_a_file_is_none(links: VolumeLinks, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    for name in ("file", "link"):
        with pytest.raises(ContainerStartError, match=f"{name} is no folder"):
            make(links, bind(tmp_path, tmp_path / name / "place"))
