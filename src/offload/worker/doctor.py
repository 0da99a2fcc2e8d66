"""Looks at this machine as a worker would, and changes nothing on it. What is seen is judged by `core.doctor`."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
from pathlib import Path

from offload.worker.config import usable_memory_mib
from offload.worker.core.doctor import OTHERS_IN_GROUP, MachineFacts
from offload.worker.docker_engine import DockerEngine, DockerError
from offload.worker.images.ids import read_subordinate
from offload.worker.ports import RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap_program import find_bubblewrap
from offload.worker.runtimes.gpus import find_gpus
from offload.worker.sandbox.arguments import TRIAL
from offload.worker.sandbox.seccomp import filter_program

_SECONDS = 20.0
_CONTROLLERS = ("memory", "pids", "cpu")
_PROGRAMS = ("nft", "pasta", "slirp4netns")
_ROOT = Path("/")

# Setting -> the value that forbids what a sandbox needs.
_CLOSED = {
    "user.max_user_namespaces": "0",
    "kernel.unprivileged_userns_clone": "0",
    "kernel.apparmor_restrict_unprivileged_userns": "1",
}
_CAP_NET_ADMIN = 12


def look(data_dir: Path, docker_sockets: tuple[str, ...], root: Path = _ROOT) -> MachineFacts:
    """Return the facts; `root` is where /proc, /sys, /etc and /dev are found, for tests."""
    is_root = os.getuid() == 0
    machine = os.uname()
    bubblewrap, sandbox_error, overlay_error = _try_sandboxes()
    closed = read_closed_sysctls(root / "proc/sys")
    # A worker of root starts its sandboxes under a uid that is nobody's, which these settings are about as well.
    if is_root and closed:
        sandbox_error = sandbox_error or "only root itself may make user namespaces"
    version, controllers, problem = read_cgroups(
        root / "sys/fs/cgroup", root / "proc/self/cgroup", os.getpid()
    )
    docker, docker_error = _ask_docker(docker_sockets)
    user = _user()
    return MachineFacts(
        kernel=machine.release,
        machine=machine.machine,
        is_root=is_root,
        user=user,
        bubblewrap=bubblewrap,
        sandbox_error=sandbox_error,
        overlay_error=overlay_error,
        closed_sysctls=closed,
        cgroup_version=version,
        controllers=controllers,
        cgroup_problem=problem,
        has_seccomp=filter_program(machine.machine) is not None
        and (root / "proc/sys/kernel/seccomp").exists(),
        uid_map_programs=_found("newuidmap", "newgidmap"),
        has_subordinate_ids=all(
            read_subordinate(root / "etc" / name, [user, str(os.getuid())])
            for name in ("subuid", "subgid")
        ),
        network_programs=_found(*_PROGRAMS),
        may_make_links=_may(_CAP_NET_ADMIN, root / "proc/self/status"),
        has_tun=os.access(root / "dev/net/tun", os.R_OK | os.W_OK),
        docker=docker,
        docker_error=docker_error,
        runsc=shutil.which("runsc") or "",
        gpus=tuple(gpu.kind for gpu in find_gpus()),
        has_nvidia_smi=shutil.which("nvidia-smi") is not None,
        data_dir=str(data_dir),
        free_disk_mib=_free_mib(data_dir),
        memory_mib=usable_memory_mib(),
        pythons=_pythons(),
    )


def read_cgroups(mount: Path, own: Path, pid: int) -> tuple[int, tuple[str, ...], str]:
    """Return the version, the controllers that a worker in this process's place could use, and what stands in the way.

    Raises nothing: what cannot be read is not there.
    """
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return 0, (), "/proc/self/cgroup cannot be read"
    paths = {name: path.lstrip("/") for _, names, path in lines for name in names.split(",")}
    if (mount / "cgroup.controllers").exists():
        return 2, *_read_version_2(mount / paths.get("", ""), pid)
    usable = tuple(
        name
        for name in _CONTROLLERS
        if name in paths and _is_writable_group(mount / name, paths[name])
    )
    version = 1 if any((mount / name).is_dir() for name in _CONTROLLERS) else 0
    problem = (
        "no hierarchies are mounted" if not version else "others are not this user's to divide"
    )
    return version, usable, "" if len(usable) == len(_CONTROLLERS) else problem


def _is_writable_group(hierarchy: Path, path: str) -> bool:
    """Tell whether groups can be made; in a container the mount itself is this process's group."""
    group = hierarchy / path
    return os.access(group if group.is_dir() else hierarchy, os.W_OK) and hierarchy.is_dir()


def _read_version_2(group: Path, pid: int) -> tuple[tuple[str, ...], str]:
    try:
        available = (group / "cgroup.controllers").read_text().split()
        members = set((group / "cgroup.procs").read_text().split())
    except OSError as error:
        return (), f"its group cannot be read: {error.strerror}"
    if not os.access(group / "cgroup.subtree_control", os.W_OK) or not os.access(group, os.W_OK):
        return (), "this user may not divide its group"
    if group.parent != group and members - {str(pid)}:
        return (), OTHERS_IN_GROUP
    usable = tuple(name for name in _CONTROLLERS if name in available)
    lacking = [name for name in _CONTROLLERS if name not in available]
    return usable, f"not delegated: {', '.join(lacking)}" if lacking else ""


def read_closed_sysctls(proc_sys: Path) -> tuple[str, ...]:
    """List the settings that forbid sandboxes to everybody but root."""
    closed = []
    for name, value in _CLOSED.items():
        file = proc_sys / name.replace(".", "/")
        try:
            if file.read_text().strip() == value:
                closed.append(f"{name}={value}")
        except OSError:
            continue  # this kernel has no such setting
    return tuple(closed)


def _try_sandboxes() -> tuple[str, str, str]:
    """Run `true` in a bare sandbox and on an overlay; return the program, and what either said."""
    try:
        program = find_bubblewrap(None)
    except RuntimeUnavailableError:
        return "", "it is not installed", "bubblewrap is not installed"
    sandbox_error = _try([program, *TRIAL, "--", "/bin/true"])
    layers = ("--overlay-src", "/usr/lib", "--overlay-src", "/usr/bin", "--ro-overlay", "/mnt")
    overlay_error = sandbox_error or _try([program, *TRIAL, *layers, "--", "/bin/true"])
    return program, sandbox_error, overlay_error


def _try(command: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - bubblewrap, with our own arguments
            command, capture_output=True, text=True, timeout=_SECONDS, check=False, env={}
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    said = done.stderr.strip().splitlines()
    return said[-1] if said else f"it ended with exit code {done.returncode}"


def _ask_docker(sockets: tuple[str, ...]) -> tuple[str, str]:
    """Return the first socket at which an engine answers; else why the last one did not."""
    why = ""
    for path in sockets:
        if not Path(path).exists():
            continue
        try:
            DockerEngine(path).facts_now()
        except DockerError as error:
            why = f"{path}: {error}"
        else:
            return path, ""
    return "", why


def _found(*programs: str) -> tuple[str, ...]:
    # What root alone uses is often not on an ordinary user's PATH.
    path = f"{os.defpath}:/usr/sbin:/sbin"
    return tuple(it for it in programs if shutil.which(it) or shutil.which(it, path=path))


def _may(capability: int, status: Path) -> bool:
    match = re.search(r"^CapEff:\s*([0-9a-f]+)", status.read_text(), re.MULTILINE)
    return match is not None and bool(int(match[1], 16) >> capability & 1)


def _free_mib(directory: Path) -> int:
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    return shutil.disk_usage(directory).free >> 20


def _pythons() -> tuple[str, ...]:
    return tuple(
        f"3.{minor}" for minor in range(9, 16) if shutil.which(f"python3.{minor}") is not None
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
