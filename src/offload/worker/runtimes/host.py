"""What the sandbox must know about this machine, read once."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.sandbox.view import HostFacts, HostPath, Shown, is_within

if TYPE_CHECKING:
    from collections.abc import Iterable

# Homes, other people's scratch, host services' sockets, media, and logs of the machine.
_HIDDEN = (
    "/home", "/root", "/tmp", "/var/tmp", "/run", "/mnt", "/media", "/boot", "/lost+found",  # noqa: S108 - hidden
    "/var/log", "/var/mail", "/var/spool", "/var/backups",
    "/var/snap", "/var/lib/lxd", "/var/lib/incus", "/var/lib/docker",
)  # fmt: skip
_NEVER_HIDDEN = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev")
_MASKED_FILES = (
    "/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/kmsg", "/proc/kallsyms", "/proc/timer_list",
    "/proc/sched_debug", "/proc/latency_stats", "/proc/kpagecount", "/proc/kpageflags", "/proc/config.gz",
)  # fmt: skip
_MASKED_DIRS = ("/proc/acpi", "/proc/scsi", "/proc/asound", "/sys/fs/cgroup", "/sys/firmware")
_NAME_FILES = ("/etc/resolv.conf", "/etc/hosts")
_FIRST_PERSON_UID = 1000


def resolve(path: str) -> HostPath:
    """Follow every symbolic link of `path`."""
    return HostPath(os.path.normpath(path), str(Path(path).resolve()))


def interpreter_prefixes(python: str) -> tuple[str, ...]:
    """List the directories an interpreter needs: its own prefix and those its links lead through.

    A virtual environment's `bin/python` is a link to `bin/python3`, that one into an installation, whose directory
    may itself be a link without the patch version.
    """
    prefixes = []
    hop = Path(python)
    for _ in range(16):
        if hop.parent.name == "bin":
            prefixes.append(str(hop.parent.parent))
        if not hop.is_symlink():
            break
        hop = Path(os.path.normpath(hop.parent / hop.readlink()))
    real = Path(python).resolve()
    if real.parent.name == "bin":
        prefixes.append(str(real.parent.parent))
    return tuple(prefix for prefix in dict.fromkeys(prefixes) if prefix != "/")


def read_host_facts(data_dir: str) -> HostFacts:
    """Look at this machine's homes, mount points and name service."""
    real_data_dir = str(Path(data_dir).resolve())
    wanted = [*_HIDDEN, *_homes(), real_data_dir]
    hidden = _outermost(
        HostPath(name, str(Path(name).resolve())) for name in wanted if _can_hide(Path(name))
    )
    resolv_conf = str(Path("/etc/resolv.conf").resolve())
    # systemd-resolved and others keep the real file in /run, without which no name resolves.
    below_hidden = any(is_within(resolv_conf, entry.real) for entry in hidden)
    return HostFacts(
        data_dir=real_data_dir,
        hidden=hidden,
        masked_files=tuple(path for path in _MASKED_FILES if Path(path).exists()),
        masked_dirs=tuple(path for path in _MASKED_DIRS if Path(path).is_dir()),
        always_shown=(Shown(resolv_conf, resolv_conf),)
        if below_hidden and Path(resolv_conf).exists()
        else (),
        names_shown=tuple(
            Shown(str(Path(path).resolve()), path) for path in _NAME_FILES if Path(path).exists()
        ),
    )


def _homes() -> list[str]:
    homes = {
        entry.pw_dir
        for entry in pwd.getpwall()
        if entry.pw_uid >= _FIRST_PERSON_UID or entry.pw_uid == 0
    }
    return sorted(
        home
        for home in homes
        if home.startswith("/")
        and home != "/"
        and not any(is_within(home, kept) for kept in _NEVER_HIDDEN)
    )


def _can_hide(path: Path) -> bool:
    """Tell whether an empty directory can be mounted there: below a closed directory nothing is visible anyway."""
    try:
        if not path.is_dir():
            return False
    except PermissionError:
        return False
    real = path.resolve()
    return os.getuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in real.parents)


def _outermost(entries: Iterable[HostPath]) -> tuple[HostPath, ...]:
    """Drop what lies below another entry, except under another name."""
    kept: list[HostPath] = []
    for entry in sorted(entries, key=lambda entry: (entry.real, entry.named)):
        if not any(
            is_within(entry.real, other.real) and is_within(entry.named, other.named)
            for other in kept
        ):
            kept.append(entry)
    return tuple(kept)
