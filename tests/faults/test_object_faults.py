"""The store killed at every write of every operation on objects: what is found is the state before or after."""

from __future__ import annotations

import asyncio
import json
import queue
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.support.control_server import start
from tests.support.object_scenes import SCENES, look, play, prepare

import offload
from offload.control.stores.sqlite import SqliteStore
from offload.sdk.blocking import run
from offload.sdk.client import Client, ServerAddress
from offload.sdk.session import use_client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_a_kill_at_any_write_of_an_operation_leaves_the_state_before_or_after(
    tmp_path: Path, pytestconfig: pytest.Config, scene: str
) -> None:
    store = SqliteStore(tmp_path / "reference.db")
    prepare(store)
    before = look(store)
    play(store, scene)
    after = look(store)
    store.close()

    done = subprocess.run(
        [sys.executable, "-m", "tests.support.object_scenes", str(tmp_path), scene],
        cwd=pytestconfig.rootpath,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert before != after
    assert [kill for kill in found if kill[2] not in (before, after)] == []
    assert [kill for kill in found if kill[1] and kill[2] != after] == []
    assert before in [state for _, _, state in found]


class Killed:
    """A server process that can be killed and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = start(folder)

    def address(self) -> ServerAddress:
        return ServerAddress(f"ws://127.0.0.1:{self.server.http_port}/link", self.server.token)

    def kill_and_restart(self) -> None:
        port = self.server.http_port
        self.server.kill()
        self.server = start(self.folder, http_port=port)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Killed]:
    killed = Killed(tmp_path)
    client = Client(killed.address, 60.0)
    before = use_client(client)
    try:
        yield killed
    finally:
        run(client.close())
        use_client(before)
        killed.server.end()


def test_each_item_is_got_once_whenever_the_server_is_killed(server: Killed) -> None:
    jobs = offload.Queue.from_name("jobs", create_if_missing=True)
    got: list[int] = []
    count = 120
    kills = {share: asyncio.Event() for share in (24, 48, 72, 96)}

    async def put_all() -> None:
        for number in range(count):
            await jobs.put.aio(number)

    async def get_all() -> None:
        while len(got) < count:
            try:
                got.append(await jobs.get.aio(timeout=1))
            except queue.Empty:
                continue
            if len(got) in kills:
                kills[len(got)].set()

    async def play() -> None:
        async with asyncio.TaskGroup() as group:
            for doing in (put_all(), get_all(), get_all(), get_all()):
                group.create_task(doing)
            for due in kills.values():
                await due.wait()
                await asyncio.to_thread(server.kill_and_restart)

    asyncio.run(play())

    assert sorted(got) == list(range(count))


def test_one_of_many_gets_each_lock_whenever_the_server_is_killed(server: Killed) -> None:
    locks = offload.Dict.from_name("locks", create_if_missing=True)
    taken: list[int] = []
    kills = {count: asyncio.Event() for count in (10, 20, 30)}

    async def take_all(name: int) -> None:
        for number in range(40):
            if await locks.put.aio(number, name, skip_if_exists=True):
                taken.append(number)
                if len(taken) in kills:
                    kills[len(taken)].set()

    async def play() -> None:
        async with asyncio.TaskGroup() as group:
            for name in range(4):
                group.create_task(take_all(name))
            for due in kills.values():
                await due.wait()
                await asyncio.to_thread(server.kill_and_restart)

    asyncio.run(play())

    assert sorted(taken) == list(range(40))
