"""What the worker makes of a keeper's news, without a keeper."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest
from tests.support.runtime_guest import a_spec

from offload.worker.ports import ContainerStartError, Exit
from offload.worker.runtimes.bubblewrap_template import BubblewrapTemplate
from offload.worker.runtimes.cgroups import ContainerCgroup
from offload.worker.runtimes.readiness import readable
from offload.worker.runtimes.sandbox_console import console_entry
from offload.worker.sandbox.guest import Enforced

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from offload.worker.runtimes.bubblewrap_container import BubblewrapContainer
    from offload.worker.runtimes.bubblewrap_template import ForkedContainer
    from offload.worker.runtimes.cgroups import Cgroups


class _Keeper:
    """A keeper's sandbox, which lives until it is killed."""

    container_id, stdout_fd, stderr_fd = "t-1", -1, -1

    def __init__(self) -> None:
        self.socket, self._other = socket.socketpair()
        self._killed = asyncio.Event()

    async def wait(self) -> Exit:
        await self._killed.wait()
        return Exit(None, 9)

    def kill(self) -> None:
        self._killed.set()

    def read_detail(self) -> str:
        return ""

    async def close(self) -> None:
        self.socket.close()
        self._other.close()


class _Groups:
    """A control group of which nobody becomes a member."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def make(self, container_id: str, _: object) -> ContainerCgroup:
        group = self._directory / container_id
        group.mkdir()
        for name in ("tasks", "cgroup.procs"):
            (group / name).touch()
        return ContainerCgroup(group)


class Stage:
    """A template whose keeper is the test."""

    def __init__(self, directory: Path) -> None:
        control, self.keeper = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.setblocking(False)
        sandbox, groups = (
            cast("BubblewrapContainer", _Keeper()),
            cast("Cgroups", _Groups(directory)),
        )
        console = partial(console_entry, Enforced(memory=False, pids=False), None)
        self.template = BubblewrapTemplate(sandbox, control, groups, console, lambda: None)

    async def fork(self) -> asyncio.Task[ForkedContainer]:
        """Ask for a container; return when the keeper has the request."""
        forking = asyncio.create_task(self.template.fork(a_spec("ct-1")))
        await readable(self.keeper.fileno())
        for fd in socket.recv_fds(self.keeper, 65536, 16)[1]:
            os.close(fd)
        return forking

    def tell_forked(self, process: subprocess.Popen[bytes]) -> None:
        pidfd = os.pidfd_open(process.pid)
        socket.send_fds(self.keeper, [json.dumps({"forked": "ct-1"}).encode()], [pidfd])
        os.close(pidfd)

    def tell_ended(self, code: int | None, killed_by: int | None) -> None:
        news = {"ended": "ct-1", "code": code, "signal": killed_by}
        self.keeper.send(json.dumps(news).encode())


def play(directory: Path, scenario: Callable[[Stage], Awaitable[None]]) -> None:
    async def run() -> None:
        stage = Stage(directory)
        async with asyncio.timeout(60):
            await scenario(stage)
            await stage.template.close()
        stage.keeper.close()

    asyncio.run(run())


def test_a_fork_whose_end_is_told_in_the_same_breath_ends(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        forking = await stage.fork()
        stage.tell_forked(process)
        stage.tell_ended(3, None)

        container = await forking
        assert (await container.wait()).code == 3

    with subprocess.Popen(["true"]) as process:
        play(tmp_path, scenario)


def test_a_fork_that_lives_outside_its_control_group_is_killed_and_refused(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        forking = await stage.fork()
        stage.tell_forked(process)
        await readable(watch)
        stage.tell_ended(None, signal.SIGKILL)

        with pytest.raises(ContainerStartError, match="did not put it into its control group"):
            await forking

    with subprocess.Popen(["sleep", "600"]) as process:
        watch = os.pidfd_open(process.pid)
        try:
            play(tmp_path, scenario)
        finally:
            os.close(watch)
            process.kill()
