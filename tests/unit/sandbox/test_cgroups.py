"""How control groups are made and cleared away, on plain directory trees that stand for the kernel's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from offload.worker.runtimes.cgroups import (
    Cgroups,
    ContainerCgroup,
    GroupLimits,
    MemoryUse,
    _limit_cpu,
    _limit_memory,
)

if TYPE_CHECKING:
    from pathlib import Path


def a_tree(root: Path) -> tuple[Path, Path]:
    for controller in ("memory", "pids"):
        (root / "mount" / controller / "worker").mkdir(parents=True)
    (root / "own").write_text("8:pids:/worker\n4:memory:/worker\n0::/\n")
    return root / "mount", root / "own"


def a_tree_of_version_2(root: Path, controllers: str) -> tuple[Path, Path]:
    worker = root / "mount" / "worker"
    worker.mkdir(parents=True)
    for directory in (root / "mount", worker):
        (directory / "cgroup.controllers").write_text(controllers)
        (directory / "cgroup.subtree_control").write_text("")
    (root / "own").write_text("0::/worker\n")
    return root / "mount", root / "own"


def test_groups_of_dead_workers_are_removed_and_those_of_living_ones_kept(tmp_path: Path) -> None:
    mount, own = a_tree(tmp_path)
    dead = mount / "memory" / "worker" / "offload-999999999-0a"
    (dead / "ct-1").mkdir(parents=True)
    alive = mount / "memory" / "worker" / f"offload-{os.getpid()}-0a"
    alive.mkdir()

    Cgroups(mount, own)

    assert not dead.exists()
    assert alive.exists()


def test_a_group_that_cannot_be_limited_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    cgroups = Cgroups(*a_tree(tmp_path))

    with pytest.raises(OSError, match="limit_in_bytes"):
        cgroups.make("ct-1", GroupLimits(memory_mib=64, pids=8))

    assert list(tmp_path.rglob("ct-1")) == []


def test_without_controllers_nothing_is_controlled(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/\n")

    cgroups = Cgroups(tmp_path, tmp_path / "own")

    assert (cgroups.controls_memory, cgroups.controls_pids) == (False, False)


def test_out_of_memory_kills_are_read_in_both_layouts(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for directory in (old, new):
        directory.mkdir()
    (old / "memory.max_usage_in_bytes").write_text(f"{64 << 20}\n")
    (old / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    (new / "memory.peak").write_text(f"{32 << 20}\n")
    (new / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")

    uses = [ContainerCgroup(directory, None).memory_use() for directory in (old, new)]

    assert uses == [MemoryUse(64, 2), MemoryUse(32, 1)]


@pytest.mark.parametrize("controllers", ["cpuset io", ""])
def test_version_2_without_memory_and_pids_controls_nothing_and_makes_nothing(
    tmp_path: Path, controllers: str
) -> None:
    mount, own = a_tree_of_version_2(tmp_path, controllers)

    cgroups = Cgroups(mount, own)

    assert (cgroups.controls_memory, cgroups.controls_pids) == (False, False)
    assert list((mount / "worker").glob("*/")) == []
    assert (mount / "worker" / "cgroup.subtree_control").read_text() == ""


def test_a_limit_of_version_2_leaves_no_swap_and_ends_a_container_as_a_whole(
    tmp_path: Path,
) -> None:
    for name in ("memory.max", "memory.swap.max", "memory.oom.group"):
        (tmp_path / name).write_text("max")

    _limit_memory(tmp_path, 64 << 20, is_v2=True)

    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert written["memory.max"].startswith(str(64 << 20))
    assert written["memory.swap.max"].startswith("0")
    assert written["memory.oom.group"].startswith("1")


def test_a_kernel_without_swap_is_limited_too(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("")

    _limit_memory(tmp_path, 64 << 20, is_v2=True)

    assert (tmp_path / "memory.max").read_text() == str(64 << 20)


def test_another_runtime_of_a_worker_makes_its_groups_beside_the_step_the_first_one_took(
    tmp_path: Path,
) -> None:
    mount, own = a_tree_of_version_2(tmp_path, "memory pids")
    own.write_text("0::/worker/offload-worker\n")

    Cgroups(mount, own)

    enabled = (mount / "worker" / "cgroup.subtree_control").read_text()
    assert enabled == "+memory +pids"


def test_a_group_of_several_containers_first_processes_does_not_end_as_a_whole(
    tmp_path: Path,
) -> None:
    for name in ("memory.max", "memory.swap.max", "memory.oom.group"):
        (tmp_path / name).write_text("max")

    _limit_memory(tmp_path, 64 << 20, is_v2=True, dies_as_one=False)

    assert (tmp_path / "memory.oom.group").read_text() == "max"


def the_files(directory: Path, *names: str) -> None:
    """Lay out files that stand for the kernel's, which it makes with the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).write_text("")


def test_the_share_is_the_request_and_the_quota_the_limit_in_both_layouts(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    the_files(old, "cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us")
    the_files(new, "cpu.weight", "cpu.max")
    limits = GroupLimits(memory_mib=64, pids=8, cpu_milli=500, cpu_limit_milli=1500)

    _limit_cpu(old, limits, is_v2=False)
    _limit_cpu(new, limits, is_v2=True)

    assert {path.name: path.read_text() for path in old.iterdir()} == {
        "cpu.shares": "512",
        "cpu.cfs_period_us": "100000",
        "cpu.cfs_quota_us": "150000",
    }
    assert {path.name: path.read_text() for path in new.iterdir()} == {
        "cpu.weight": "50",
        "cpu.max": "150000 100000",
    }


def test_without_a_limit_there_is_no_quota(tmp_path: Path) -> None:
    the_files(tmp_path, "cpu.weight")

    _limit_cpu(tmp_path, GroupLimits(memory_mib=64, pids=8), is_v2=True)

    assert (tmp_path / "cpu.weight").read_text() == "100"


def test_cores_that_cannot_be_shared_out_are_not_promised_and_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "mount" / "cpu" / "worker").mkdir(parents=True)
    (tmp_path / "own").write_text("1:cpu:/worker\n")

    cgroups = Cgroups(tmp_path / "mount", tmp_path / "own")

    assert not cgroups.controls_cpu
    assert list((tmp_path / "mount" / "cpu" / "worker").iterdir()) == []
