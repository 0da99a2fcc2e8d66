"""Where in a container's root its volumes go, and whose they are."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.ports import FunctionRefusedError
from offload.worker.sandbox.arguments import Widened
from offload.worker.sandbox.view import Shown, is_within

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from offload.worker.ports import VolumeBind
    from offload.worker.runtimes.ground import Ground

# A folder with more in it is not mounted anew, entry by entry.
_WIDEST = 2_000
# The container's own, each made before volumes are mounted.
_OWN = ("/dev", "/proc", "/tmp", "/home/offload")  # noqa: S108 - inside
_FROM_KERNEL = ("dev", "proc")


async def place(
    volumes: tuple[VolumeBind, ...], ground: Ground, uid: int
) -> tuple[VolumeBind, ...]:
    """Make volumes a container's own, and return them as its sandbox is told of them. Raises `FunctionRefusedError`."""
    if not volumes:
        return ()
    await own_volumes(volumes, uid)
    # One place for those of all containers: each of its own would stay until the ground ends.
    views = str(Path(volumes[0].source).parents[1])
    staged = (await ground.stage([views]))[views]
    return tuple(
        dataclasses.replace(volume, source=volume.source.replace(views, staged, 1))
        for volume in volumes
    )


async def own_volumes(volumes: tuple[VolumeBind, ...], uid: int) -> int:
    """Make a container's user the owner of what it may write to; return who that is: only root gives files away."""
    if all(volume.is_read_only for volume in volumes):
        return uid
    if os.getuid() != 0:
        return os.getuid()
    await asyncio.to_thread(give_to, volumes, uid)
    return uid


def give_to(volumes: Iterable[VolumeBind], uid: int) -> None:
    """Make a container's user the owner of what it may write to. Blocking; no user code has seen it yet."""
    for volume in volumes:
        if volume.is_read_only:
            continue
        os.chown(volume.source, uid, uid)
        for folder, names, files, descriptor in os.fwalk(volume.source):
            del folder
            for name in (*names, *files):
                os.chown(name, uid, uid, dir_fd=descriptor, follow_symlinks=False)


def mount_points(volumes: Sequence[VolumeBind]) -> tuple[str, ...]:
    """Return a directory that has a mount point for each volume, to be the uppermost layer of an image's root."""
    targets = sorted(volume.target for volume in volumes)
    if not targets:
        return ()
    # Beside the views, and shared by all containers with the same.
    name = hashlib.sha256("\0".join(targets).encode()).hexdigest()
    points = Path(volumes[0].source).parents[2] / "points" / name
    for target in targets:
        (points / target.lstrip("/")).mkdir(mode=0o755, parents=True, exist_ok=True)
    return (str(points),)


def skeletons(volumes: Sequence[VolumeBind], widened: Sequence[Widened]) -> tuple[Shown, ...]:
    """Return a directory for each widened one, in which every name and every mount point is there, and nothing else."""
    made = []
    for wide in widened:
        if wide.path == "/":
            continue  # of a container's own anyway
        facts = repr((wide, sorted(volume.target for volume in volumes)))
        name = hashlib.sha256(facts.encode()).hexdigest()
        place = Path(volumes[0].source).parents[2] / "points" / name
        if not place.exists():
            _make_skeleton(place, wide, volumes)
        made.append(Shown(str(place), wide.path))
    return tuple(made)


def _make_skeleton(place: Path, wide: Widened, volumes: Sequence[VolumeBind]) -> None:
    draft = place.with_name(f"{place.name}.{secrets.token_hex(4)}")
    draft.mkdir(mode=0o755, parents=True)
    for name, link in wide.names:
        if link is not None:
            (draft / name).symlink_to(link)
        elif Path(wide.path, name).is_dir():
            (draft / name).mkdir(mode=0o755)
        else:
            (draft / name).touch()
    for volume in volumes:
        if is_within(volume.target, wide.path):
            below = volume.target[len(wide.path) :].lstrip("/")
            (draft / below).mkdir(mode=0o755, parents=True, exist_ok=True)
    draft.rename(place)


def widen(volumes: Iterable[VolumeBind], empty: Collection[str]) -> tuple[Widened, ...]:
    """Return which directories of the host are to be made anew, so that every volume has a mount point.

    `empty` are directories that are empty ones in the container: a mount point is made there where it is missing.
    """
    wide: dict[str, Widened] = {}
    for volume in volumes:
        target = volume.target
        if any(is_within(target, own) for own in (*_OWN, *empty)) or Path(target).is_dir():
            continue
        above = Path(target).parent
        while not above.is_dir():
            if os.path.lexists(above):
                raise FunctionRefusedError(f"{above} is no folder here: mount the volume elsewhere")
            above = above.parent
        if str(above) not in wide:
            wide[str(above)] = Widened(str(above), tuple(_names(above)))
    # A folder before what is in it, which it would cover.
    return tuple(wide[path] for path in sorted(wide))


def _names(folder: Path) -> list[tuple[str, str | None]]:
    names: list[tuple[str, str | None]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if len(names) >= _WIDEST:
                raise FunctionRefusedError(
                    f"{folder} has more than {_WIDEST} entries: mount the volume in a folder of its own, such as /data"
                )
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                names.append((entry.name, os.readlink(entry.path)))  # noqa: PTH115 - a DirEntry
            elif (stat.S_ISDIR(mode) or stat.S_ISREG(mode)) and not (
                str(folder) == "/" and entry.name in _FROM_KERNEL
            ):
                names.append((entry.name, None))
    return sorted(names)
