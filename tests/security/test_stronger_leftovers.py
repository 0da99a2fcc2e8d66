"""Containers of gVisor and of a Docker Engine that ended leave nothing on the machine."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.runtime_guest import GUEST_ARGV, a_spec, ask

from offload.worker.docker_engine import DockerEngine
from offload.worker.ports import RuntimeUnavailableError
from offload.worker.runtimes.docker import DockerRuntime
from offload.worker.runtimes.gvisor import GvisorRuntime
from offload.worker.runtimes.options import RuntimeOptions

if TYPE_CHECKING:
    from offload.worker.ports import Exit


def a_gvisor(tmp_path: Path) -> GvisorRuntime:
    try:
        return GvisorRuntime(RuntimeOptions(str(tmp_path), guest_argv=GUEST_ARGV))
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))


def below(pid: int | str) -> set[str]:
    """Name the living processes below one; the dead are their parents' to collect, when they come to it."""
    found = set[str]()
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found.update((task / "children").read_text().split())
    return {word for child in found for word in (child, *below(child)) if is_alive(word)}


def is_alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def own_cgroups() -> list[str]:
    return [str(path) for path in Path("/sys/fs/cgroup").rglob(f"offload-{os.getpid()}-*/ct-*")]


def doors_of(runtime: DockerRuntime) -> list[Path]:
    return list(Path(runtime._doors.name).iterdir())


def test_closed_containers_of_gvisor_leave_no_process_and_no_cgroup(tmp_path: Path) -> None:
    async def scenario() -> tuple[set[str], set[str], list[str]]:
        runtime = a_gvisor(tmp_path)
        ground = runtime._ground._process.pid
        before = below(ground)
        containers = [await runtime.start(a_spec(f"ct-{number}")) for number in range(2)]
        await ask(containers[0], "1")  # the other is closed while it starts
        running = below(ground) - before

        for container in containers:
            await container.close()

        left = below(ground) - before, own_cgroups()
        await runtime.close()
        return running, *left

    running, processes, groups = asyncio.run(scenario())
    assert len(running) > 2
    assert processes == set()
    assert groups == []


def test_containers_of_gvisor_end_with_their_ground_and_start_on_another(tmp_path: Path) -> None:
    async def scenario() -> tuple[Exit, object]:
        runtime = a_gvisor(tmp_path)
        container = await runtime.start(a_spec("ct-before"))
        await ask(container, "1")

        runtime._ground._process.kill()
        ended = await container.wait()
        after = await runtime.start(a_spec("ct-after"))
        answer = await ask(after, "'alive'")

        await container.close()
        await runtime.close()
        return ended, answer

    ended, answer = asyncio.run(scenario())
    assert ended.signal == 9
    assert answer == "alive"


def test_a_closed_container_is_gone_from_the_engine_and_its_door_from_the_machine(
    tmp_path: Path, docker_socket: str
) -> None:
    async def scenario() -> tuple[int, int, list[Path]]:
        options = RuntimeOptions(str(tmp_path), guest_argv=GUEST_ARGV, docker_socket=docker_socket)
        runtime = DockerRuntime(options)
        engine = DockerEngine(docker_socket)
        container = await runtime.start(a_spec())
        await ask(container, "1")
        running = len(engine.containers_now("offload.owner"))

        await container.close()

        left = (
            len(engine.containers_now("offload.owner")),
            doors_of(runtime),
        )
        await runtime.close()
        return running, *left

    assert asyncio.run(scenario()) == (1, 0, [])


def test_a_worker_removes_what_a_dead_one_left_in_the_engine_and_nothing_of_a_living_one(
    tmp_path: Path, docker_socket: str
) -> None:
    async def scenario() -> tuple[list[str], list[str]]:
        options = RuntimeOptions(str(tmp_path), guest_argv=GUEST_ARGV, docker_socket=docker_socket)
        living = DockerRuntime(options)
        dead = DockerRuntime(options)
        # As if this process's number had been another's before.
        dead._owner += "0"
        await ask(await living.start(a_spec("ct-living")), "1")
        await ask(await dead.start(a_spec("ct-dead")), "1")

        third = DockerRuntime(options)

        engine = DockerEngine(docker_socket)
        owners = list(engine.containers_now("offload.owner").values())
        for runtime in (living, dead, third):
            await runtime.close()
        return owners, [living._owner]

    owners, living = asyncio.run(scenario())
    assert owners == living
