"""What a step of an image takes along: files as an archive that is the same for the same files, or a function."""

from __future__ import annotations

import io
import re
import tarfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from offload.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# Every file's time of change in an archive: what differs only in that is the same layer. (2000-01-01)
_TIME = 946_684_800

_SOURCE_IGNORE = ("**/__pycache__", "**/*.pyc", "**/.git")


class Content(Protocol):
    """Bytes that are read when the function is sent to the server, not when the image is described."""

    @property
    def encoding(self) -> str:
        """What the bytes are, as a payload names it."""
        ...

    def read(self) -> bytes:
        """Return them. Raises `InvalidError` that names what cannot be read."""
        ...


@dataclass(frozen=True)
class Text:
    """A text that was read already, as requirements are."""

    text: str
    encoding: str = "text"

    def read(self) -> bytes:
        """See `Content`."""
        return self.text.encode()


@dataclass(frozen=True)
class Files:
    """Files and folders of the caller's machine, each with its place in the container."""

    places: tuple[tuple[str, str], ...]  # (local path, absolute path in the container)
    ignore: tuple[str, ...] = ()
    encoding: str = field(default="tar", init=False)

    def read(self) -> bytes:
        """See `Content`."""
        buffer = io.BytesIO()
        ignored = Ignored(self.ignore)
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for local, remote in self.places:
                try:
                    for path, name in _walk(Path(local), remote, ignored):
                        _add(archive, path, name)
                except OSError as error:
                    raise InvalidError(
                        f"{error.filename or local} cannot be put into the image: {error.strerror}"
                    ) from None
        return buffer.getvalue()


@dataclass(frozen=True)
class PickledCall:
    """A function with its arguments, to be called once while an image is built."""

    function: object
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    name: str
    encoding: str = field(default="cloudpickle", init=False)

    def read(self) -> bytes:
        """See `Content`."""
        from offload.sdk.canonical import canonical
        from offload.sdk.source import pickle_function

        call = (self.function, self.args, dict(self.kwargs))
        return canonical(pickle_function(call, f"{self.name}()"))


def _walk(local: Path, remote: str, ignored: Ignored) -> Iterator[tuple[Path, str]]:
    place = PurePosixPath(remote)
    if not local.is_dir():
        yield local, str(place)
        return
    for path in sorted(local.iterdir()):
        yield from _walk_below(path, path.name, place, ignored)


def _walk_below(
    path: Path, relative: str, place: PurePosixPath, ignored: Ignored
) -> Iterator[tuple[Path, str]]:
    is_folder = path.is_dir()
    if not ignored(relative):
        if not is_folder and not path.is_file():
            return  # a socket, a dangling link
        yield path, str(place / relative)
    elif not ignored.has_exceptions:
        return
    if is_folder:
        for child in sorted(path.iterdir()):
            yield from _walk_below(child, f"{relative}/{child.name}", place, ignored)


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    entry = tarfile.TarInfo(name.lstrip("/"))
    entry.mtime = _TIME
    if path.is_dir():
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(entry)
        return
    data = path.read_bytes()
    entry.size = len(data)
    entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
    archive.addfile(entry, io.BytesIO(data))


class Ignored:
    """Patterns as in a .dockerignore, asked for paths relative to the folder that is added; the last that fits decides."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._rules = [
            (not pattern.startswith("!"), _compile(pattern.removeprefix("!")))
            for pattern in patterns
            if pattern.strip() and not pattern.startswith("#")
        ]
        self.has_exceptions = any(not excludes for excludes, _ in self._rules)

    def __call__(self, relative: str) -> bool:
        """Say whether the path is left out, itself or as part of a folder that is."""
        verdict = False
        for excludes, rule in self._rules:
            if rule.match(relative):
                verdict = excludes
        return verdict


def _compile(pattern: str) -> re.Pattern[str]:
    text = ""
    rest = pattern.strip().strip("/").removeprefix("./")
    while rest:
        if rest.startswith("**/"):
            text, rest = text + "(?:.*/)?", rest[3:]
        elif rest.startswith("**"):
            text, rest = text + ".*", rest[2:]
        elif rest[0] == "*":
            text, rest = text + "[^/]*", rest[1:]
        elif rest[0] == "?":
            text, rest = text + "[^/]", rest[1:]
        else:
            text, rest = text + re.escape(rest[0]), rest[1:]
    return re.compile(rf"{text}(?:/.*)?\Z")


def source_files(places: Iterable[tuple[str, str]], ignore: tuple[str, ...] = ()) -> Files:
    """Return files that are Python source, without what Python leaves beside it."""
    return Files(tuple(places), (*_SOURCE_IGNORE, *ignore))
