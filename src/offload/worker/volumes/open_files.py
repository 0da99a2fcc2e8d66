"""Which files of a view some process has open: what is half written is not to be published by itself."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

_PROC = Path("/proc")
# gVisor's server of files closes them when it is told many at once. What user code has open gVisor's kernel has, too.
_CLOSES_LATE = b"runsc-gofer\0"
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
            if (process / "cmdline").read_bytes().startswith(_CLOSES_LATE):
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


def _may_write(process: str, name: str) -> bool:
    for line in Path(f"/proc/{process}/{name.replace('fd/', 'fdinfo/')}").read_text().splitlines():
        if line.startswith("flags:"):
            return bool(int(line.split()[1], 8) & _WRITES)
    return False
