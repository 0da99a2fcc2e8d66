"""What of the caller's environment one container is shown, as this machine's files and their permissions allow."""

from __future__ import annotations

import dataclasses
import itertools
import os
from pathlib import Path
from stat import S_IROTH, S_IRUSR, S_ISDIR, S_IXOTH, S_IXUSR
from typing import TYPE_CHECKING

from offload.worker.ports import FunctionRefusedError, RootImage
from offload.worker.runtimes.host import interpreter_prefixes, resolve
from offload.worker.sandbox.guest import CONTAINER_HOME
from offload.worker.sandbox.view import (
    HostFacts,
    HostPath,
    Shown,
    image_paths,
    is_hidden,
    is_visible,
    is_within,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from offload.worker.ports import ContainerSpec, LocalImage

_SCRATCH = ("/tmp", "/dev/shm", CONTAINER_HOME)  # noqa: S108 - the containers' own

# Enough for a person's folder; one with more files was hardly made private file by file.
_ENTRIES_LOOKED_AT = 1000

_OWNER_ENTERS = S_IRUSR | S_IXUSR


def require_local_image(spec: ContainerSpec, runtime: str) -> LocalImage:
    """Return the caller's environment; raise `FunctionRefusedError` where the function has an image of its own."""
    if isinstance(spec.image, RootImage):
        raise FunctionRefusedError(
            f"the {runtime} runtime cannot run a function with an image: leave out runtime={runtime!r} or image="
        )
    return spec.image


def covered_by_scratch(
    facts: HostFacts, image: LocalImage | RootImage, *, with_private: bool
) -> list[str]:
    """List what an image shows where every fork of a template has scratch of its own, parents before children."""
    if isinstance(image, RootImage):
        return []
    shown = view_image(facts, image, with_private=with_private).shown
    return [
        bind.target
        for bind in shown
        if any(is_within(bind.target, scratch) for scratch in _SCRATCH)
    ]


@dataclasses.dataclass(frozen=True, slots=True)
class ImageView:
    """What to show, before anything is mounted."""

    image: LocalImage
    facts: HostFacts
    shown: tuple[Shown, ...]
    private: tuple[str, ...]  # sources that only their owner can read in full

    def open_sources(self) -> list[str]:
        """List what a container of any uid can at least enter."""
        return [bind.source for bind in self.shown if _is_open_to_others(bind.source)]

    def placed(self, places: Mapping[str, str]) -> tuple[Shown, ...]:
        """Return the binds whose sources have a place on the ground, from there."""
        return tuple(
            Shown(places[bind.source], bind.target) for bind in self.shown if bind.source in places
        )

    def working_dir(self, places: Mapping[str, str], *, mapped: Collection[str] | None) -> str:
        """Return the image's working directory where the container can enter it, else its home.

        `mapped` are the sources whose owner the container counts as; None: it counts as the worker's user throughout.
        """
        wanted = self.image.working_dir
        is_usable = (
            Path(wanted).is_dir()
            and is_visible(self.facts, wanted, self.placed(places))
            and (mapped is None or self._is_open(wanted, places, mapped))
        )
        return wanted if is_usable else CONTAINER_HOME

    def _is_open(self, path: str, places: Mapping[str, str], mapped: Collection[str]) -> bool:
        top, owner = "/", None
        for bind in self.shown:  # the innermost is the last
            if bind.source in places and is_within(path, bind.target):
                top = bind.target
                owner = Path(bind.source).stat().st_uid if bind.source in mapped else None
        return all(
            _is_open(status.st_mode)
            or (status.st_uid == owner and status.st_mode & _OWNER_ENTERS == _OWNER_ENTERS)
            for step in (Path(path), *Path(path).parents)
            if is_within(str(step), top)
            for status in (step.stat(),)
        )


def view_image(facts: HostFacts, image: LocalImage, *, with_private: bool) -> ImageView:
    """Choose the binds that show an image's paths; with private ones also what no stranger could reach or read.

    Raises `RefusedPathError`.
    """
    wanted = dict.fromkeys((*image.read_only_paths, *interpreter_prefixes(image.python)))
    paths = [resolve(path) for path in wanted]
    if not with_private:
        return ImageView(image, facts, image_paths(facts, paths), ())
    facts = _hide_closed_ways(facts, [path.real for path in paths])
    shown = {bind.target: bind for bind in image_paths(facts, paths)}
    private = [bind.source for bind in shown.values() if _has_closed_parts(bind.source)]
    for path in paths:
        if not is_hidden(facts, path.real) and not _is_open_to_others(path.real):
            shown[path.real] = Shown(path.real, path.real)
            private.append(path.real)
    return ImageView(
        image,
        facts,
        tuple(shown[target] for target in sorted(shown)),
        tuple(dict.fromkeys(private)),
    )


def _hide_closed_ways(facts: HostFacts, paths: Iterable[str]) -> HostFacts:
    """Hide the closed folders above the paths: a way through one can only be laid in an empty one."""
    ways = {
        way
        for path in paths
        if not is_hidden(facts, path) and (way := _closed_way(path)) is not None
    }
    hidden = (*facts.hidden, *(HostPath(way, way) for way in sorted(ways)))
    return dataclasses.replace(facts, hidden=hidden)


def _closed_way(path: str) -> str | None:
    """Return the outermost folder above the path that a stranger may not walk through."""
    for folder in reversed(Path(path).parents):
        if not folder.stat().st_mode & S_IXOTH:
            return str(folder)
    return None


def _has_closed_parts(path: str) -> bool:
    """Tell whether a stranger misses the path or something directly in it."""
    if not _is_open_to_others(path):
        return True
    if not Path(path).is_dir():
        return False
    with os.scandir(path) as entries:
        return any(
            not _is_open(entry.stat(follow_symlinks=False).st_mode)
            for entry in itertools.islice(entries, _ENTRIES_LOOKED_AT)
        )


def _is_open_to_others(path: str) -> bool:
    """Tell whether a uid that owns nothing could use the path."""
    return _is_open(Path(path).stat().st_mode)


def _is_open(mode: int) -> bool:
    needed = S_IROTH | S_IXOTH if S_ISDIR(mode) else S_IROTH
    return mode & needed == needed
