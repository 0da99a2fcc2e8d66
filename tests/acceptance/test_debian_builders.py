"""Debian with packages, made by both builders. Needs the mirrors that apt and pip are configured for."""

from __future__ import annotations

import asyncio
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.support.builders import Docker, Rootfs, tree
from tests.support.docker_daemon import NoDockerError, docker_daemon
from tests.support.images import Recorder, chain

from offload.worker.images.machine import read_image_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What programs write about themselves: times, and what they have counted.
_OWN_NOTES = re.compile(
    r"/var/(log|cache|lib/apt|lib/dpkg/(status|available|info|triggers))|/etc/(machine-id|ld.so.cache|[a-z-]*-$)"
    r"|.*/(__pycache__/|RECORD|INSTALLER|uv_cache.json|REQUESTED)|/root"
)


@pytest.fixture
def socket() -> Iterator[str]:
    try:
        with docker_daemon(shares_network=True) as path:
            yield path
    except NoDockerError as error:
        pytest.skip(str(error))


@pytest.mark.skipif(shutil.which("mmdebstrap") is None, reason="needs mmdebstrap")
@pytest.mark.timeout(900)
def test_debian_and_packages_are_the_same_from_both_builders(
    socket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_image_settings({})
    image = chain(
        ("debian_slim", (), (("python", "3.11"),)),
        ("apt_install", ("tree",)),
        ("pip_install", ("six", "iniconfig")),
    )
    builders = {
        "rootfs": Rootfs(tmp_path / "rootfs", settings, has_base=False),
        "docker": Docker(socket, tmp_path / "docker", settings, has_base=False),
    }

    async def build_both() -> list[list[str]]:
        building = [tree(builder, image, Recorder()) for builder in builders.values()]
        return await asyncio.gather(*building)

    trees = {
        name: {line for line in lines if not _OWN_NOTES.match(line)}
        for name, lines in zip(builders, asyncio.run(build_both()), strict=True)
    }

    assert any(line.startswith("/usr/bin/tree ") for line in trees["docker"])
    assert any(line.endswith("/six.py") or "/six.py " in line for line in trees["docker"])
    assert trees["docker"] ^ trees["rootfs"] == set()
