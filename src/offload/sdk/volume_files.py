"""Files of this machine on their way into a volume, and out of one."""

from __future__ import annotations

import os
import re
import stat
import time
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from offload.errors import InvalidError
from offload.wire.trees import MAX_MODE, BadNameError, Entry, Kind, check_entry, clean_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from offload.wire.chunking import Readable


class Source(NamedTuple):
    """What is to stand under a path of the volume: a file of this machine, or an open one."""

    path: str
    local: Path | IO[bytes]


def read_sources(
    sources: list[Source], on_file: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[Entry, Readable | None]]:
    """Open one source after the other, for a `ChunkReader`. Raises `InvalidError`, `OSError`."""
    for source in sources:
        on_file(source.path)
        if not isinstance(source.local, Path):
            entry = Entry(source.path, Kind.FILE, mtime_ns=time.time_ns())
            yield _checked(entry), cast("Readable", source.local)
            continue
        local = source.local
        status = local.lstat()
        facts = (stat.S_IMODE(status.st_mode) & MAX_MODE, status.st_mtime_ns)
        if stat.S_ISLNK(status.st_mode):
            target = os.fsencode(local.readlink())
            link = Entry(source.path, Kind.SYMLINK, MAX_MODE, status.st_mtime_ns, 0, target)
            yield _checked(link), None
        elif stat.S_ISDIR(status.st_mode):
            yield _checked(Entry(source.path, Kind.DIRECTORY, *facts)), None
        elif stat.S_ISREG(status.st_mode):
            with local.open("rb", buffering=0) as file:
                yield _checked(Entry(source.path, Kind.FILE, *facts)), file
        else:
            raise InvalidError(
                f"{local} is neither a file nor a folder nor a symlink: a volume keeps no devices, sockets and pipes"
            )


def _checked(entry: Entry) -> Entry:
    try:
        check_entry(entry)
    except BadNameError as error:
        raise InvalidError(str(error)) from None
    return entry


def volume_path(path: object, *, allow_root: bool = True) -> str:
    """Return a user's way of writing a path of the volume as the tree's. Raises `InvalidError`."""
    text = path.as_posix() if isinstance(path, PurePath) else path
    if not isinstance(text, str):
        raise InvalidError(f"{path!r} is not a path of a volume: write it as a str")
    try:
        cleaned = clean_path(text)
    except BadNameError as error:
        raise InvalidError(str(error)) from None
    if not cleaned and not allow_root:
        raise InvalidError(f"{path!r} names the volume itself, not a file in it")
    return cleaned


def sources_of_file(local: object, path: str) -> list[Source]:
    """Return what uploads one file; with a path that ends in "/" under its own name. Raises `InvalidError`."""
    if hasattr(local, "readinto"):
        return [Source(volume_path(path, allow_root=False), cast("IO[bytes]", local))]
    if hasattr(local, "read"):
        raise InvalidError(
            f'{local!r} has no readinto(), as open files of bytes have: open it with "rb"'
        )
    place = Path(local).expanduser()  # type: ignore[arg-type]  # the caller's mistake is told as Python does
    if not place.is_file():
        what = "a folder: use put_directory()" if place.is_dir() else "no file on this machine"
        raise InvalidError(f"{place} is {what}")
    # A symlink is followed here, as `cp` does: whoever names one file wants its content.
    name = f"{path}{place.name}" if path.endswith("/") or not path else path
    return [Source(volume_path(name, allow_root=False), place.resolve())]


def sources_of_directory(local: object, path: str) -> list[Source]:
    """Return what uploads a folder with all that is in it. Raises `InvalidError`."""
    top = Path(local).expanduser()  # type: ignore[arg-type]  # see above
    if not top.is_dir():
        raise InvalidError(f"{top} is no folder on this machine")
    above = volume_path(path)
    found: list[Source] = []
    for folder, names, files in os.walk(top):
        inside = Path(folder).relative_to(top).as_posix()
        prefix = "/".join(part for part in (above, "" if inside == "." else inside) if part)
        for name in sorted([*names, *files]):
            place = f"{prefix}/{name}" if prefix else name
            found.append(Source(volume_path(place), Path(folder, name)))
    return found


def make_folders(found: list[tuple[Entry, Path]]) -> None:
    """Make the folders among what is fetched, and those above."""
    for entry, place in found:
        if entry.kind is Kind.DIRECTORY:
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)


@contextmanager
def written(entry: Entry, place: Path) -> Iterator[IO[bytes]]:
    """Open a file to be written, which is there under its name once it is whole. A symlink there is replaced, not followed."""
    check_entry(entry)
    draft = place.with_name(f".{place.name[:200]}.{os.getpid():x}.offload")
    try:
        with _nameless(place.parent) or draft.open("xb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), entry.mode | 0o600)
            os.utime(file.fileno(), ns=(entry.mtime_ns, entry.mtime_ns))
            if not draft.exists():
                # A descriptor of any folder makes this the system call that follows the link in /proc.
                os.link(f"/proc/self/fd/{file.fileno()}", draft, src_dir_fd=file.fileno())
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)


def _nameless(folder: Path) -> IO[bytes] | None:
    """Open a file that is gone with this process, however that ends; None where the file system has none without a name."""
    try:
        return os.fdopen(os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600), "wb")
    except (AttributeError, OSError):
        return None


def make_links(found: list[tuple[Entry, Path]]) -> None:
    """Make the symlinks, after all else: so nothing is written through one."""
    for entry, place in found:
        if entry.kind is Kind.SYMLINK:
            check_entry(entry)
            place.unlink(missing_ok=True)
            place.symlink_to(entry.target)


def pattern_of(pattern: str) -> re.Pattern[str]:
    """Return what matches the paths that a pattern means: `*` and `?` within a name, `**` across folders."""
    words = []
    for part in re.split(r"(\*\*/?|\*|\?|\[[^]]*\])", pattern.strip("/")):
        if part.startswith("**"):
            words.append("(?:.*/)?" if part.endswith("/") else ".*")
        elif part in ("*", "?"):
            words.append("[^/]*" if part == "*" else "[^/]")
        elif part.startswith("["):
            words.append("[^" + part[2:] if part[1:2] == "!" else part)
        else:
            words.append(re.escape(part))
    return re.compile("".join(words), re.DOTALL)
