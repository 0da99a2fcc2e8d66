"""Every adapter of a port, for the tests of that port."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.support.builders import make
from tests.support.images import BASE, Recorder, chain, make_builder, put_base

from offload.control.stores.memory import MemoryStore
from offload.control.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from offload.control.ports.store import Store
    from offload.worker.ports import RootImage


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    kept = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "offload.db")
    yield kept
    kept.close()


@pytest.fixture(scope="session")
def image_root(tmp_path_factory: pytest.TempPathFactory) -> RootImage:
    builder = make_builder(tmp_path_factory.mktemp("images"))
    put_base(builder)
    return asyncio.run(builder.build(chain(BASE), Recorder())).root


@pytest.fixture(scope="session")
def docker_image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.fixture
def docker_image_root(
    request: pytest.FixtureRequest, docker_image_folder: Path
) -> Iterator[RootImage]:
    # All tests have one engine, and some prune it: where nobody has, this finds the image that the test before has made.
    builder = make("docker", request, docker_image_folder)
    hold = asyncio.run(builder.build(chain(BASE), Recorder()))
    yield hold.root
    hold.release()
