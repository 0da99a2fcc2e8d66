"""How plain processes find their volumes: by a link where each is wanted, as no mount is one process's own.

A link is for every process of the machine. So a path has one container at a time, and a link is made only where nobody else
could put another one in its place.
"""

from __future__ import annotations

import asyncio
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.ports import ContainerStartError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offload.worker.ports import VolumeBind

# A container that is told to end may still have the path that the next one wants.
_PATIENCE_SECONDS = 10.0

_ADVICE = (
    "a plain process finds a volume by a link at its path: mount it in a folder of the worker's user, "
    "or leave out runtime='process'"
)


class VolumeLinks:
    """The links of one worker's containers."""

    def __init__(self, data_dir: str, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._data_dir = data_dir
        self._patience_seconds = patience_seconds
        self._holders: dict[str, str] = {}  # containers, by path
        self._made: dict[str, list[tuple[str, str]]] = {}  # links and sources, by container
        self._folders: dict[str, list[Path]] = {}  # made on the way, the uppermost first
        self._is_freed = asyncio.Event()

    async def make(self, container_id: str, volumes: Sequence[VolumeBind]) -> None:
        """Make the links of a container that is about to start. Raises `ContainerStartError`."""
        wanted = {volume.target for volume in volumes}
        try:
            async with asyncio.timeout(self._patience_seconds):
                while wanted & self._holders.keys():
                    self._is_freed.clear()
                    await self._is_freed.wait()
        except TimeoutError:
            path = min(wanted & self._holders.keys())
            raise ContainerStartError(
                f"{path} is the volume of container {self._holders[path]}, and plain processes share all paths: "
                "write max_containers=1, or leave out runtime='process'"
            ) from None
        self._made[container_id], self._folders[container_id] = [], []
        self._holders.update(dict.fromkeys(wanted, container_id))
        try:
            for volume in volumes:
                self._make(container_id, volume)
        except OSError as error:
            self.remove(container_id)
            raise ContainerStartError(
                f"no volume at {error.filename2 or error.filename}: {error.strerror}; {_ADVICE}"
            ) from error
        except ContainerStartError:
            self.remove(container_id)
            raise

    def remove(self, container_id: str) -> None:
        """Remove the links of a container that has ended, and let others have its paths. Idempotent."""
        for target, source in self._made.pop(container_id, ()):
            _remove(target, source)
        for folder in reversed(self._folders.pop(container_id, [])):
            with suppress(OSError):  # something is in it by now
                folder.rmdir()
        held = [path for path, holder in self._holders.items() if holder == container_id]
        for path in held:
            del self._holders[path]
        self._is_freed.set()

    def _make(self, container_id: str, volume: VolumeBind) -> None:
        target = volume.target
        _check_way(Path(target))
        if not Path(target).exists():
            _remove(target, self._data_dir)  # of a worker that was killed
        if os.path.lexists(target):
            raise ContainerStartError(f"{target} is there already on this machine; {_ADVICE}")
        self._made[container_id].append((target, volume.source))
        for folder in reversed(Path(target).parents):
            if not folder.exists():
                folder.mkdir(mode=0o755)
                self._folders[container_id].append(folder)
        os.symlink(volume.source, target)  # noqa: PTH211 - the error names both


def _check_way(target: Path) -> None:
    """Refuse a place where others than root and this user could put something else. Raises `ContainerStartError`."""
    for folder in target.parents:
        try:
            status = folder.lstat()
        except FileNotFoundError:
            continue  # it will be this user's
        mode = status.st_mode
        others = stat.S_IWOTH | (0 if status.st_gid in (0, os.getgid()) else stat.S_IWGRP)
        if not stat.S_ISDIR(mode):
            raise ContainerStartError(f"no volume at {target}: {folder} is no folder; {_ADVICE}")
        if status.st_uid not in (0, os.getuid()) or (mode & others and not mode & stat.S_ISVTX):
            raise ContainerStartError(
                f"no volume at {target}: others can change {folder} and so what is found there; {_ADVICE}"
            )


def _remove(target: str, into: str) -> None:
    """Remove a link, if it is still the one that leads into a folder."""
    with suppress(OSError):
        if Path(os.readlink(target)).is_relative_to(into):  # noqa: PTH115 - what it says, as it says it
            Path(target).unlink()
