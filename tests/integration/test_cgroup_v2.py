"""Control groups of version 2 as the kernel has them here; which controllers they have depends on the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import cgroup_probe
from tests.support.ordinary_user import plain_environment

from offload.worker.runtimes.cgroups import Cgroups, ContainerCgroup


@pytest.fixture
def mount() -> Path:
    """Return where the hierarchy is mounted."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2" and os.access(f"{place}/cgroup.procs", os.W_OK):
            return Path(place)
    pytest.skip("no hierarchy of version 2 is mounted that this user may write")


@pytest.fixture
def group(mount: Path) -> Iterator[Path]:
    """Return an empty group of a test's own."""
    directory = mount / f"offload-test-{os.getpid()}"
    directory.mkdir()
    yield directory
    for path in (*directory.glob("*/"), directory):
        path.rmdir()


def controllers_of(mount: Path) -> list[str]:
    return (mount / "cgroup.controllers").read_text().split()


def probe(mount: Path, group: Path, *controllers: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, cgroup_probe.__file__, str(mount), group.name, ",".join(controllers)],
        env=plain_environment("/"),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_group_without_the_controllers_is_left_as_it_is(mount: Path, group: Path) -> None:
    if {"memory", "pids"} & set((group / "cgroup.controllers").read_text().split()):
        pytest.skip("memory or pids are controlled by version 2 here")

    found = probe(mount, group, "memory", "pids")

    assert found == {"is_made": False, "enabled": [], "place": group.name, "given_on": []}
    assert list(group.glob("*/")) == []


def test_a_worker_alone_in_its_group_steps_into_a_leaf_and_hands_a_controller_on(
    mount: Path, group: Path
) -> None:
    available = [it for it in controllers_of(mount) if it not in ("cpuset", "cpu")]
    if not available:
        pytest.skip("version 2 controls nothing here")
    given = (mount / "cgroup.subtree_control").read_text().split()
    controller = available[0]
    if controller not in given:
        (mount / "cgroup.subtree_control").write_text(f"+{controller}")

    try:
        found = probe(mount, group, controller, "nonsense")
    finally:
        for directory in (group, mount):
            if controller not in given:
                (directory / "cgroup.subtree_control").write_text(f"-{controller}")

    assert found["is_made"]
    assert found["enabled"] == [controller]
    assert found["place"] == "offload-worker"
    assert found["given_on"] == [controller]


def test_memory_is_limited_and_counted(mount: Path, group: Path) -> None:
    if "memory" not in (group / "cgroup.controllers").read_text().split():
        pytest.skip("the memory controller is not version 2's here")

    found = probe(mount, group, "memory", "pids")

    assert (found["exit"], found["oom_kills"]) == (-9, 1)
    assert isinstance(found["peak_mib"], int)
    assert found["peak_mib"] <= 32


def test_a_group_is_killed_at_once_and_removed(group: Path) -> None:
    container = ContainerCgroup(group / "ct-1", group / "ct-1")
    (group / "ct-1").mkdir()
    with subprocess.Popen(["sleep", "60"]) as process:
        container.add(process.pid)

        container.kill()

        assert process.wait(10) == -9
    container.remove()
    assert not (group / "ct-1").exists()


def test_a_machine_of_version_2_alone_without_the_controllers_limits_by_other_means(
    mount: Path, group: Path, tmp_path: Path
) -> None:
    if {"memory", "pids"} & set(controllers_of(mount)):
        pytest.skip("memory or pids are controlled by version 2 here")
    (tmp_path / "own").write_text(f"0::/{group.name}\n")

    cgroups = Cgroups(mount, tmp_path / "own")

    assert (cgroups.controls_memory, cgroups.controls_pids) == (False, False)
    assert cgroups.roots == []
    cgroups.close()
