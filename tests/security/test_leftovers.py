"""A container that ended leaves nothing on the machine."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest
from tests.support.runtime_guest import GUEST_ARGV, a_spec, ask

from offload.worker.ports import RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.options import RuntimeOptions


def a_runtime(tmp_path: Path) -> BubblewrapRuntime:
    try:
        return BubblewrapRuntime(RuntimeOptions(str(tmp_path), guest_argv=GUEST_ARGV))
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))


def own_cgroups() -> set[str]:
    mine = re.compile(rf"offload-{os.getpid()}-")
    return {
        directory
        for directory, _, _ in os.walk("/sys/fs/cgroup")
        if any(mine.match(part) for part in Path(directory).parts)
    }


def ground_mounts() -> int:
    """Count the scratch mounts of this process's ground."""
    count = 0
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                parent = (process / "stat").read_text().rsplit(")", 1)[1].split()[1]
                if int(parent) == os.getpid():
                    count += (process / "mountinfo").read_text().count("/dev/shm/scratch/")  # noqa: S108
            except OSError:
                continue
    return count


def uids_of_containers() -> set[str]:
    uids = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            environment = (status.parent / "environ").read_text()
            if re.search(r"OFFLOAD_CONTAINER_ID=ct-probe-[01]\0", environment):
                uids.add(status.read_text().split("Uid:")[1].split()[0])
        except OSError:
            continue
    return uids


def test_a_closed_container_leaves_no_cgroup_and_no_mount(tmp_path: Path) -> None:
    async def scenario() -> tuple[set[str], set[str], int, int]:
        runtime = a_runtime(tmp_path)
        empty = own_cgroups()
        container = await runtime.start(a_spec("ct-leftover"))
        await ask(container, "1")
        mounted = ground_mounts()

        await container.close()

        left, still_mounted = own_cgroups() - empty, ground_mounts()
        await runtime.close()
        return left, own_cgroups(), mounted, still_mounted

    left, after_close, mounted, still_mounted = asyncio.run(scenario())
    assert left == set()
    assert after_close == set()
    assert (mounted, still_mounted) == (1, 0)


def test_containers_of_root_have_uids_of_their_own(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("an ordinary user has only one uid to give")

    async def scenario() -> set[str]:
        runtime = a_runtime(tmp_path)
        containers = [await runtime.start(a_spec(f"ct-probe-{number}")) for number in range(2)]
        for container in containers:
            await ask(container, "1")

        uids = uids_of_containers()

        await runtime.close()
        return uids

    uids = asyncio.run(scenario())
    assert len(uids) == 2
    assert all(61184 <= int(uid) <= 65519 for uid in uids)


def test_the_end_of_the_ground_is_told_and_ends_every_container(tmp_path: Path) -> None:
    async def scenario() -> tuple[int | None, bool]:
        runtime = a_runtime(tmp_path)
        container = await runtime.start(a_spec())
        await ask(container, "1")

        runtime._ground.close()
        ended = await container.wait()

        await container.close()
        await runtime.close()
        return ended.signal, ended.out_of_memory

    assert asyncio.run(scenario()) == (9, False)
