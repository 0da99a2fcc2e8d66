"""Packs of blobs that a client writes into a folder of a server on the same machine: what both have to know.

See `offload.control.blobs.landing` for what the server makes of them.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER_PREFIX = "landing-"

# Less than that goes over the link as fast.
MIN_PACK_BYTES = 1024 * 1024

# Measured here on ext4: smaller ones cost more, and writes of 4 MiB now and then ten times as much.
_WRITE_BYTES = 256 * 1024

_FOLDER = re.compile(rf"{FOLDER_PREFIX}[0-9a-f]{{32}}")
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def this_machine() -> str:
    """Return what names this machine until it is booted again; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class LandedPack:
    """A file in a landing folder, until the server has adopted it."""

    def __init__(self, folder: int, name: str) -> None:
        self._folder = folder
        self.name = name

    def close(self) -> None:
        """Remove the file, if it is still there."""
        with suppress(OSError):
            os.unlink(self.name, dir_fd=self._folder)
        os.close(self._folder)


def put_down(folder: str, pieces: Iterable[bytes | memoryview]) -> LandedPack | None:
    """Write pieces one after another into a new file of the server's folder. Blocking.

    None where that cannot be: the folder is not seen here (another machine, a container), it is not this user's alone, or its
    disk is full.
    """
    # A server must not have files written just anywhere.
    if _FOLDER.fullmatch(Path(folder).name) is None:
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    pack = LandedPack(descriptor, secrets.token_hex(16))
    try:
        status = os.fstat(descriptor)
        if status.st_uid == os.geteuid() and not status.st_mode & 0o077:
            _write(pack.name, descriptor, pieces)
            return pack
    except OSError:
        pass  # the link shows what is wrong, if anything is
    pack.close()
    return None


def _write(name: str, folder: int, pieces: Iterable[bytes | memoryview]) -> None:
    descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=folder)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        for data in pieces:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest[:_WRITE_BYTES]) :]
