"""Packs that a client on the server's own machine wrote itself, so that nothing has to pass through a socket.

The client puts a file into a folder that only the server's user can enter, and says how long the blobs in it are. What they are is
found here: each has the name that the hash of its bytes is. Who can write into the folder is the server's user, and could
change every other pack as well.

The folder's name is chosen anew at each start, so that a client finds it only where it sees the same directory.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import stat
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from offload.control.blobs.digests import no_pack
from offload.control.ports.blobs import BlobCorruptError
from offload.wire.landing import FOLDER_PREFIX, this_machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# What lies longer than that is of a client that died.
KEPT_SECONDS = 3600.0

_NAME = re.compile(r"[0-9a-f]{32}")


class Landing:
    """The folder, below the packs' own: a file gets from one to the other by its name alone."""

    def __init__(self, directory: Path) -> None:
        for stale in directory.glob(f"{FOLDER_PREFIX}*"):
            shutil.rmtree(stale, ignore_errors=True)
        self._machine = this_machine()
        self._folder = directory / f"{FOLDER_PREFIX}{secrets.token_hex(16)}"
        self._folder.mkdir(mode=0o700)

    def offer(self, machine: str, now: float) -> str:
        """Return the folder to a client of this machine, and remove what dead ones left in it."""
        if not machine or machine != self._machine:
            return ""
        with os.scandir(self._folder) as entries:
            for entry in entries:
                # Another request may adopt or remove it at any time.
                with suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_mtime < now - KEPT_SECONDS:
                        Path(entry).unlink()
        return str(self._folder.absolute())

    @contextmanager
    def take(self, name: str, place: Path) -> Iterator[FileIO]:
        """Move a file of the folder to `place`, and open it. It is removed again where the block fails."""
        landed = self._folder / name
        file = _open_ours(landed) if _NAME.fullmatch(name) else None
        if file is None:
            raise no_pack(name)
        with file:
            try:
                landed.replace(place)
            except FileNotFoundError:
                raise no_pack(name) from None
            try:
                yield file
            except BaseException:
                place.unlink(missing_ok=True)
                raise


def name_all(file: FileIO, sizes: Sequence[int]) -> list[str]:
    """Return the SHA-256 of each blob of these sizes that the file consists of."""
    wrong_size = BlobCorruptError("The pack is not as long as its blobs: upload them.")
    if os.fstat(file.fileno()).st_size != sum(sizes):
        raise wrong_size
    names = []
    # New memory for each would cost more than its hash.
    memory = memoryview(bytearray(max(sizes, default=0)))
    for size_bytes in sizes:
        piece = memory[:size_bytes]
        filled = 0
        while filled < size_bytes:
            came = file.readinto(piece[filled:])
            if not came:
                raise wrong_size
            filled += came
        names.append(hashlib.sha256(piece).hexdigest())
    return names


def _open_ours(place: Path) -> FileIO | None:
    """Open a plain file of this user's with one name; None where it is anything else."""
    try:
        # It may be a link, or a pipe that nobody ever writes into.
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_uid == os.geteuid():
        return FileIO(descriptor)
    os.close(descriptor)
    return None
