"""Limits of memory, processes and cores that hold for a whole container, where this worker may make control groups.

Two layouts of the kernel are known: version 2 in a delegated (or root's) cgroup, and version 1 with its `memory`, `pids`
and `cpu` controllers. Groups are made under `offload-<pid>-<number>` below the worker's own, so that limits on the worker hold
for its containers too, and those of dead workers are removed at the next start.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from offload.worker.ports import ContainerSpec

_MIB = 1024 * 1024
_MOUNT = Path("/sys/fs/cgroup")
_WANTED = ("memory", "pids", "cpu")
_PERIOD_MICROSECONDS = 100_000  # the kernel's own default
_LEAST_QUOTA_MICROSECONDS = 1000  # the kernel takes no less
_LEAF = "offload-worker"
_OWN_NAME = re.compile(r"offload-(\d+)-[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """What the kernel counted over a container's life."""

    peak_mib: int | None
    oom_kills: int


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """What a group is held to."""

    memory_mib: int
    pids: int
    cpu_milli: int = 1000  # its weight beside other containers
    cpu_limit_milli: int = 0  # 0: none
    dies_as_one: bool = True  # beyond its memory all of it dies, else what takes most

    @classmethod
    def of(cls, spec: ContainerSpec) -> GroupLimits:
        """Return those of a container."""
        return cls(spec.bound_mib, spec.pids, spec.cpu_milli, spec.cpu_limit_milli)

    def beside(self, memory_mib: int, pids: int) -> GroupLimits:
        """Return these with room for processes of ours, which are not to die of what the others take."""
        return replace(
            self,
            memory_mib=self.memory_mib + memory_mib,
            pids=self.pids + pids,
            dies_as_one=False,
        )


class ContainerCgroup:
    """The groups of one container: one directory on version 2, one per controller on version 1."""

    def __init__(self, memory: Path | None, *others: Path | None) -> None:
        self._memory = memory
        self._directories = tuple(
            dict.fromkeys(path for path in (memory, *others) if path is not None)
        )

    @property
    def limits_anything(self) -> bool:
        """Whether there is any group to be put into."""
        return bool(self._directories)

    def add(self, pid: int) -> None:
        """Put a process in, and with it every process it starts from now on."""
        for directory in self._directories:
            _write(directory / "cgroup.procs", str(pid))

    def open_entrances(self) -> list[int]:
        """Open what a process writes "0" to in order to put itself in.

        On version 1 that is a thread's file: the kernel then need not wait until all processes stand still.
        """
        is_v1 = all((directory / "tasks").exists() for directory in self._directories)
        name = "tasks" if is_v1 else "cgroup.procs"
        return [
            os.open(directory / name, os.O_WRONLY | os.O_CLOEXEC) for directory in self._directories
        ]

    def has_entered(self) -> bool:
        """Tell whether somebody is in every one of its groups."""
        return all(
            (directory / "cgroup.procs").read_text().strip() for directory in self._directories
        )

    def kill(self) -> None:
        """Kill everything in it at once, where the kernel offers that (5.14, version 2)."""
        for directory in self._directories:
            with suppress(OSError):
                _write(directory / "cgroup.kill", "1")

    def memory_use(self) -> MemoryUse:
        """Read what the container used; zeros where memory is not controlled."""
        if self._memory is None:
            return MemoryUse(None, 0)
        peak = _read_number(self._memory / "memory.peak") or _read_number(
            self._memory / "memory.max_usage_in_bytes"
        )
        kills = 0
        for name in ("memory.events", "memory.oom_control"):
            with suppress(OSError):
                fields = dict(
                    line.split() for line in (self._memory / name).read_text().splitlines()
                )
                kills = int(fields.get("oom_kill", 0))
                break
        return MemoryUse(peak // _MIB if peak else None, kills)

    def remove(self) -> None:
        """Remove the groups. One that still holds a dying process stays for `Cgroups.close`."""
        for directory in self._directories:
            # Where bubblewrap was killed in its set-up, its child may be here without anybody knowing its number.
            with suppress(OSError):
                for pid in (directory / "cgroup.procs").read_text().split():
                    with suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
            with suppress(OSError):
                directory.rmdir()


class Cgroups:
    """Makes groups for containers. `controls_…` says what this machine allows."""

    def __init__(self, mount: Path = _MOUNT, own: Path = Path("/proc/self/cgroup")) -> None:
        name = f"offload-{os.getpid()}-{secrets.token_hex(4)}"
        self._is_v2 = (mount / "cgroup.controllers").exists()
        own_paths = _own_paths(own)
        if self._is_v2:
            root, controllers = _make_v2(mount / own_paths.get("", "/").lstrip("/"), name)
            self._roots = {it: root for it in controllers if root is not None}
        else:
            made = {it: _make_v1(mount / it, own_paths.get(it), name) for it in _WANTED}
            self._roots = {it: root for it, root in made.items() if root is not None}
        if "cpu" in self._roots and not _weigh_like_all_cores(
            self._roots["cpu"], is_v2=self._is_v2
        ):
            root = self._roots.pop("cpu")
            if root not in self._roots.values():
                _remove_tree(root)
        self.controls_memory = "memory" in self._roots
        self.controls_pids = "pids" in self._roots
        self.controls_cpu = "cpu" in self._roots

    @property
    def roots(self) -> list[str]:
        """The directories that hold everything made here."""
        return sorted(set(map(str, self._roots.values())))

    def make(self, container_id: str, limits: GroupLimits) -> ContainerCgroup:
        """Make a container's groups and set their limits. Raises OSError; then nothing is left."""
        groups = {name: root / container_id for name, root in self._roots.items()}
        made = ContainerCgroup(
            groups.get("memory"), *(path for name, path in groups.items() if name != "memory")
        )
        try:
            for directory in dict.fromkeys(groups.values()):
                directory.mkdir()
            if "memory" in groups:
                _limit_memory(
                    groups["memory"],
                    limits.memory_mib * _MIB,
                    is_v2=self._is_v2,
                    dies_as_one=limits.dies_as_one,
                )
            if "pids" in groups:
                _write(groups["pids"] / "pids.max", str(limits.pids))
            if "cpu" in groups:
                _limit_cpu(groups["cpu"], limits, is_v2=self._is_v2)
        except OSError:
            made.remove()
            raise
        return made

    def close(self) -> None:
        """Remove everything made here; containers must have ended. Idempotent."""
        for root in set(self._roots.values()):
            _remove_tree(root)


def _weigh_like_all_cores(root: Path, *, is_v2: bool) -> bool:
    """Let all containers together weigh as much as a busy process on every core; return whether that can be set.

    A group weighs as much as one process unless told otherwise, however many containers are in it.
    """
    try:
        _set_weight(root, (os.cpu_count() or 1) * 1000, is_v2=is_v2)
    except OSError:
        return False
    return True


def _limit_cpu(directory: Path, limits: GroupLimits, *, is_v2: bool) -> None:
    _set_weight(directory, limits.cpu_milli, is_v2=is_v2)
    if not limits.cpu_limit_milli:
        return
    quota = max(_LEAST_QUOTA_MICROSECONDS, limits.cpu_limit_milli * _PERIOD_MICROSECONDS // 1000)
    if is_v2:
        _write(directory / "cpu.max", f"{quota} {_PERIOD_MICROSECONDS}")
    else:
        _write(directory / "cpu.cfs_period_us", str(_PERIOD_MICROSECONDS))
        _write(directory / "cpu.cfs_quota_us", str(quota))


def _set_weight(directory: Path, cpu_milli: int, *, is_v2: bool) -> None:
    if is_v2:  # 100 is one core's; 1 to 10,000 are allowed
        _write(directory / "cpu.weight", str(min(max(cpu_milli // 10, 1), 10_000)))
    else:  # 1024 is one core's; 2 to 262,144 are allowed
        _write(directory / "cpu.shares", str(min(max(cpu_milli * 1024 // 1000, 2), 262_144)))


def _limit_memory(
    directory: Path, limit_bytes: int, *, is_v2: bool, dies_as_one: bool = True
) -> None:
    if is_v2:
        _write(directory / "memory.max", str(limit_bytes))
        with suppress(OSError):  # a kernel without swap has no such file
            _write(directory / "memory.swap.max", "0")
        if dies_as_one:
            with suppress(OSError):  # a container half killed is worse than one killed
                _write(directory / "memory.oom.group", "1")
        return
    _write(directory / "memory.limit_in_bytes", str(limit_bytes))
    with suppress(OSError):  # swap accounting may be off
        _write(directory / "memory.memsw.limit_in_bytes", str(limit_bytes))


def _make_v1(hierarchy: Path, own: str | None, name: str) -> Path | None:
    if own is None:
        return None
    parent = hierarchy / own.lstrip("/")
    if (
        not parent.is_dir()
    ):  # in a container the path is the host's, and the mount already shows our part
        parent = hierarchy
    return _make_root(parent, name)


def _make_v2(
    parent: Path, name: str, wanted: tuple[str, ...] = _WANTED
) -> tuple[Path | None, tuple[str, ...]]:
    """Make the group for all containers; return it and which of the wanted controllers it has for them."""
    if parent.name == _LEAF:  # another runtime of this worker made the step below already
        parent = parent.parent
    try:
        available = (parent / "cgroup.controllers").read_text().split()
        controllers = tuple(controller for controller in wanted if controller in available)
        if not controllers or not os.access(parent / "cgroup.subtree_control", os.W_OK):
            return None, ()
        if not _enable_v2(parent, controllers):
            # Version 2 lets only leaves hold processes: step into one, if the group is this worker's alone.
            if (parent / "cgroup.procs").read_text().split() != [str(os.getpid())]:
                return None, ()
            leaf = parent / _LEAF
            leaf.mkdir(exist_ok=True)
            _write(leaf / "cgroup.procs", str(os.getpid()))
            if not _enable_v2(parent, controllers):
                return None, ()
        root = _make_root(parent, name)
        if root is not None and not _enable_v2(root, controllers):
            root.rmdir()
            root = None
    except OSError:
        return None, ()
    return root, controllers


def _enable_v2(directory: Path, controllers: tuple[str, ...]) -> bool:
    try:
        _write(directory / "cgroup.subtree_control", " ".join(f"+{it}" for it in controllers))
    except OSError:
        return False
    return True


def _make_root(parent: Path, name: str) -> Path | None:
    _remove_stale(parent)
    try:
        (parent / name).mkdir()
    except OSError:
        return None
    return parent / name


def _remove_stale(parent: Path) -> None:
    for entry in parent.glob("offload-*"):
        match = _OWN_NAME.fullmatch(entry.name)
        if match and not Path("/proc", match[1]).exists():
            _remove_tree(entry)


def _remove_tree(root: Path) -> None:
    for directory in (*root.glob("*/"), root):
        with suppress(OSError):
            directory.rmdir()


def _own_paths(file: Path) -> dict[str, str]:
    """Read /proc/self/cgroup: controller ("" for version 2) -> path."""
    paths = {}
    for line in file.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path
    return paths


def _read_number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _write(path: Path, text: str) -> None:
    # Unbuffered and without O_CREAT: in a file system that is no cgroup this must fail, not make a file.
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
