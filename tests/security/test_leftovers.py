"""A container that ended leaves nothing on the machine."""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
from contextlib import suppress
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


def parents() -> dict[int, int]:
    """Map every process of this machine to its parent."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            found[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
    return found


def ground_mounts() -> int:
    """Count the scratch mounts of this process's ground, which is a child's child."""
    count = 0
    parent_of = parents()
    for pid, parent in parent_of.items():
        if parent_of.get(parent) == os.getpid():
            with suppress(OSError):
                mounts = Path(f"/proc/{pid}/mountinfo").read_text()
                count += mounts.count("/dev/shm/scratch/")  # noqa: S108 - the ground's own
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


def processes_with(word: str) -> dict[int, int]:
    """Return the living processes, each with its parent, whose command line holds the word."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (entry / "cmdline").read_bytes():
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                if fields[0] != "Z":
                    found[int(entry.name)] = int(fields[1])
        except OSError:
            continue
    return found


def a_marked_runtime(tmp_path: Path, mark: str) -> BubblewrapRuntime:
    """Return a runtime whose processes can be told from all others."""
    argv = (*GUEST_ARGV[:-1], f"# {mark}\n{GUEST_ARGV[-1]}")
    try:
        return BubblewrapRuntime(RuntimeOptions(str(tmp_path), guest_argv=argv))
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))


def wait_until_none_is_left(mark: str) -> dict[int, int]:
    """Wait for the end of all processes with the mark; return those that have not ended in time."""
    for pid in processes_with(mark):
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        select.select([descriptor], [], [], 5.0)
        os.close(descriptor)
    return processes_with(mark)


def test_a_container_that_is_closed_while_it_starts_leaves_no_process(tmp_path: Path) -> None:
    async def scenario() -> dict[int, int]:
        runtime = a_marked_runtime(tmp_path, "closed-early-6c1f")
        for number in range(8):
            container = await runtime.start(a_spec(f"ct-early-{number}"))
            for _ in range(number):
                await asyncio.sleep(0)
            async with asyncio.timeout(60):
                await container.close()

        left = processes_with("closed-early-6c1f")

        await runtime.close()
        return left

    assert asyncio.run(scenario()) == {}


def test_a_ground_that_is_killed_takes_every_process_along(tmp_path: Path) -> None:
    async def scenario() -> dict[int, int]:
        runtime = a_marked_runtime(tmp_path, "ground-killed-1b7e")
        containers = [await runtime.start(a_spec(f"ct-ground-{number}")) for number in range(3)]
        for container in containers:
            await ask(container, "1")

        runtime._ground._process.kill()
        async with asyncio.timeout(60):
            for container in containers:
                await container.wait()
        left = wait_until_none_is_left("ground-killed-1b7e")

        for container in containers:
            await container.close()
        await runtime.close()
        return left

    assert asyncio.run(scenario()) == {}


@pytest.mark.parametrize("which", ["outer", "inner"])
def test_containers_start_again_after_the_ground_was_killed(tmp_path: Path, which: str) -> None:
    async def scenario() -> tuple[str, int]:
        runtime = a_runtime(tmp_path)
        before = await runtime.start(a_spec("ct-before"))
        await ask(before, "1")
        outer = runtime._ground._process.pid
        inner = next(pid for pid, parent in parents().items() if parent == outer)
        os.kill(outer if which == "outer" else inner, signal.SIGKILL)
        await before.wait()
        await before.close()

        after = await runtime.start(a_spec("ct-after"))
        answer = await ask(after, "'alive'")

        await after.close()
        mounted = ground_mounts()
        await runtime.close()
        return str(answer), mounted

    assert asyncio.run(scenario()) == ("alive", 0)


def test_a_bubblewrap_that_is_killed_ends_its_container(tmp_path: Path) -> None:
    async def scenario() -> tuple[int | None, dict[int, int]]:
        runtime = a_marked_runtime(tmp_path, "monitor-killed-9d20")
        container = await runtime.start(a_spec("ct-monitor"))
        signal.pidfd_send_signal(container._monitor_fd, signal.SIGKILL)

        async with asyncio.timeout(60):
            ended = await container.wait()
            await container.close()

        await runtime.close()
        return ended.signal, wait_until_none_is_left("monitor-killed-9d20")

    assert asyncio.run(scenario()) == (9, {})
