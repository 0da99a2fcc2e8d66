"""How control groups are made and cleared away, on a plain directory tree that stands for version 1."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from offload.worker.runtimes.cgroups import Cgroups, ContainerCgroup, MemoryUse

if TYPE_CHECKING:
    from pathlib import Path


def a_tree(root: Path) -> tuple[Path, Path]:
    for controller in ("memory", "pids"):
        (root / "mount" / controller / "worker").mkdir(parents=True)
    (root / "own").write_text("8:pids:/worker\n4:memory:/worker\n0::/\n")
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
        cgroups.make("ct-1", memory_mib=64, pids=8)

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
