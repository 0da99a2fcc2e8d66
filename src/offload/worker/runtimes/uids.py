"""One unprivileged uid per container, so that limits and files of containers are apart even below the sandbox."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

# systemd's dynamic users; nobody else hands these out.
_FIRST, _LAST = 61184, 65519


class UidRange:
    """Gives out uids that no account, no process at the start, and no other worker on this machine has."""

    def __init__(self) -> None:
        taken = {entry.pw_uid for entry in pwd.getpwall()} | _uids_of_processes()
        self._free = [uid for uid in range(_FIRST, _LAST + 1) if uid not in taken]
        # Workers start at different places, so that they rarely try the same uid at once.
        start = os.getpid() * 61 % len(self._free)
        self._free = self._free[start:] + self._free[:start]
        self._locks: dict[int, socket.socket] = {}

    def take(self) -> int:
        """Reserve a uid, machine-wide."""
        for uid in self._free:
            # An abstract socket address can be bound once and is free again when its process dies, however it dies.
            lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                lock.bind(f"\0offload-uid-{uid}")
            except OSError:
                lock.close()
                continue
            self._free.remove(uid)
            self._locks[uid] = lock
            return uid
        raise OSError("every uid for containers is in use")

    def give(self, uid: int) -> None:
        """Return a uid; it is reused last."""
        self._locks.pop(uid).close()
        self._free.append(uid)


def _uids_of_processes() -> set[int]:
    uids = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                uids.add(entry.stat().st_uid)
            except FileNotFoundError:
                continue  # it ended meanwhile
    return uids
