"""How the guest is started: its command, its environment, and the limits it sets before user code."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from offload.worker.core.gpus import gpu_environment
from offload.worker.ports import RootImage
from offload.worker.sandbox.seccomp import entering_filter, filter_program
from offload.worker.sandbox.view import proc_masks

if TYPE_CHECKING:
    from offload.worker.ports import ContainerSpec
    from offload.worker.sandbox.view import HostFacts

# Descriptors of every container's first process; 2 belongs to the runtime until `boot` replaces it by STDERR_FD.
SOCKET_FD = 5
STDERR_FD = 6
FORKS_FD = 7  # of a template

CONTAINER_HOME = "/home/offload"
GUEST_ROOT = "/run/offload/guest"
HOSTNAME = "offload"
USER_ID = 1000

_MIB = 1024 * 1024

# Libraries and what allocators reserve without using it; a guess that lets numpy and its like in.
_MAPPED_MIB = 1024


@dataclass(frozen=True, slots=True)
class Enforced:
    """Which limits something outside the container already holds; the others become rlimits."""

    memory: bool
    pids: bool
    counts_data: bool = True  # else only the whole address space can be limited


@dataclass(frozen=True, slots=True)
class GuestPlace:
    """Where the guest finds its parts."""

    root: str  # the directory with the packages `offload` and `cloudpickle`
    socket_fd: int = SOCKET_FD
    stderr_fd: int = STDERR_FD


def boot_order(spec: ContainerSpec, place: GuestPlace, enforced: Enforced) -> tuple[str, ...]:
    """Say what `offload.runner.boot` shall do: the last arguments of the guest."""
    words = limit_words(spec, enforced)
    return (place.root, str(place.socket_fd), str(place.stderr_fd), *words)


def limit_words(spec: ContainerSpec, enforced: Enforced) -> tuple[str, ...]:
    """Name the limits that every process of a container has for itself."""
    limits = {"CORE": 0, "NOFILE": spec.open_files}
    if not enforced.memory:
        if enforced.counts_data:
            limits["DATA"] = spec.memory_mib * _MIB
        else:
            limits["AS"] = (spec.memory_mib + _MAPPED_MIB) * _MIB
    if not enforced.pids:
        limits["NPROC"] = spec.pids
    return tuple(f"{name}={value}" for name, value in limits.items())


def console_command(
    spec: ContainerSpec, root: str, enforced: Enforced, *words: str
) -> tuple[str, ...]:
    """Build the argument list that starts a console in a container that runs; see there for the `words`."""
    program = posixpath.join(root, "offload", "runner", "console.py")
    return (spec.image.python, "-I", "-S", program, root, *words, *limit_words(spec, enforced))


def guest_command(
    spec: ContainerSpec, place: GuestPlace, enforced: Enforced, own: tuple[str, ...] | None
) -> tuple[str, ...]:
    """Build the argument list that starts the runner, or the guest `own`, in the image's interpreter."""
    boot = posixpath.join(place.root, "offload", "runner", "boot.py")
    arguments = ("-I", "-S", boot) if own is None else own
    entrypoint = spec.image.entrypoint if isinstance(spec.image, RootImage) else ()
    return (*entrypoint, spec.image.python, *arguments, *boot_order(spec, place, enforced))


def door_command(door: str, role: str, python: str, guest: tuple[str, ...]) -> tuple[str, ...]:
    """Build the command that fetches the guest's descriptors at `door` first; see `offload.runner.door`."""
    program = posixpath.join(GUEST_ROOT, "offload", "runner", "door.py")
    return (python, "-I", "-S", program, door, role, *guest)


def guest_environment(spec: ContainerSpec, home: str) -> dict[str, str]:
    """Build the whole environment of the guest; nothing of the worker's own is in it."""
    interpreter_dir = posixpath.dirname(spec.image.python)
    of_image = dict(spec.image.env) if isinstance(spec.image, RootImage) else {}
    return {
        "HOME": home,
        "USER": "offload",
        "LOGNAME": "offload",
        "LANG": "C.UTF-8",
        "PATH": f"{interpreter_dir}:/usr/local/bin:/usr/bin:/bin",
        **of_image,
        "OFFLOAD_CONTAINER_ID": spec.container_id,
        **gpu_environment(spec.gpus),
    }


def template_command(spec: ContainerSpec, place: GuestPlace, enforced: Enforced) -> tuple[str, ...]:
    """Build the argument list that starts the runner as a template."""
    return (*guest_command(spec, place, enforced, None), f"FORKS={FORKS_FD}")


def keeper_command(python: tuple[str, ...], place: GuestPlace, control_fd: int) -> tuple[str, ...]:
    """Build the argument list that starts the keeper in the worker's own interpreter."""
    keeper = posixpath.join(place.root, "offload", "worker", "runtimes", "keeper_process.py")
    return (*python, "-I", "-S", keeper, str(control_fd))


def keeper_order(
    spec: ContainerSpec, argv: tuple[str, ...], facts: HostFacts, machine: str
) -> dict[str, object]:
    """Tell the keeper what to start and what every container of it shall have."""
    masked_files, masked_dirs = proc_masks(facts)
    return {
        "argv": argv,
        "scratch_bytes": spec.scratch_mib * _MIB,
        "scratch_inodes": spec.scratch_inodes,
        "home": CONTAINER_HOME,
        "tmp": "/tmp",  # noqa: S108 - the container's own
        "masked_files": masked_files,
        "masked_dirs": masked_dirs,
        "shell_filter": (filter_program(machine) or b"").hex(),
        "template_filter": (filter_program(machine, may_enter=True) or b"").hex(),
        "container_filter": (entering_filter(machine) or b"").hex(),
    }
