"""Which files of a view some process has open: what is half written is not to be published by itself."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.sandbox.gvisor import PLACE

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

_PROC = Path("/proc")
_GVISOR, _GVISORS_SERVER = f"{PLACE}/runsc", b"runsc-gofer\0"
_WRITES = os.O_WRONLY | os.O_RDWR


def open_files(device: int, inodes: AbstractSet[int], *, only_writing: bool) -> set[int]:
    """Return those of the files and folders of a file system that a process of this machine has open, or is in.

    Processes that may not be looked into are not those of our containers.
    """
    found: set[int] = set()
    for process in _PROC.iterdir():
        if not process.name.isdecimal():
            continue
        with suppress(OSError):
            if _closes_late(process):
                continue
            names = [f"fd/{descriptor}" for descriptor in os.listdir(process / "fd")]  # noqa: PTH208 - thousands of names
            for name in names if only_writing else [*names, "cwd"]:
                with suppress(OSError):
                    status = os.stat(f"/proc/{process.name}/{name}")  # noqa: PTH116 - as above
                    if (
                        status.st_dev == device
                        and status.st_ino in inodes
                        and status.st_ino not in found
                        and (not only_writing or _may_write(process.name, name))
                    ):
                        found.add(status.st_ino)
    return found


def _closes_late(process: Path) -> bool:
    """Tell gVisor's server of files: it closes them many at once. What user code has open gVisor's kernel has, too."""
    # A command line is read from a process's own memory, which of user code could make the reader wait.
    is_gvisors = os.readlink(process / "exe") == _GVISOR  # noqa: PTH115 - what it says, as it says it
    return is_gvisors and (process / "cmdline").read_bytes().startswith(_GVISORS_SERVER)


def _may_write(process: str, name: str) -> bool:
    for line in Path(f"/proc/{process}/{name.replace('fd/', 'fdinfo/')}").read_text().splitlines():
        if line.startswith("flags:"):
            return bool(int(line.split()[1], 8) & _WRITES)
    return False
