"""What a volume's tree is made of, and which names may stand in it. Pure; all sides check by the same rules.

A name is refused, not repaired: whoever wrote `..` meant something that a volume does not have.
"""

from __future__ import annotations

import enum
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_PATH_BYTES = 4096
MAX_NAME_BYTES = 255
MAX_MODE = 0o777  # no setuid, setgid or sticky bit comes in or out

_CHUNK = Struct(">32sI")  # SHA-256, size in bytes


class Kind(enum.IntEnum):
    """What an entry is; the numbers are the schema's."""

    FILE = 1
    DIRECTORY = 2
    SYMLINK = 3


class Chunk(NamedTuple):
    """A piece of a file: a blob."""

    digest: bytes
    size_bytes: int

    @property
    def sha256(self) -> str:
        """The name of the blob."""
        return self.digest.hex()


class Entry(NamedTuple):
    """One name of a tree and what stands under it."""

    path: str  # relative to the volume, "a/b.txt"
    kind: Kind
    mode: int = 0o644
    mtime_ns: int = 0
    size_bytes: int = 0
    content: bytes = (
        b""  # of a file its chunks, as `pack_chunks` writes them; of a symlink its target
    )

    @property
    def chunks(self) -> list[Chunk]:
        """The pieces of a file in order; of all else none."""
        if self.kind is not Kind.FILE:
            return []
        return [Chunk(digest, size) for digest, size in _CHUNK.iter_unpack(self.content)]

    @property
    def target(self) -> str:
        """Where a symlink leads."""
        return self.content.decode("utf-8", "surrogateescape")


class BadNameError(ValueError):
    """A name that may not stand in a volume; the message says why."""


class BadEntryError(BadNameError):
    """An entry that contradicts itself."""


def pack_chunks(chunks: Iterable[Chunk]) -> bytes:
    """Return chunks as an entry keeps them."""
    return b"".join(_CHUNK.pack(chunk.digest, chunk.size_bytes) for chunk in chunks)


def clean_path(path: str) -> str:
    """Return a person's way of writing a path as the tree's: without `/` in front or behind. Raises `BadNameError`.

    The volume itself is "".
    """
    cleaned = path.strip("/")
    cleaned = "" if cleaned == "." else cleaned.removeprefix("./")
    if cleaned:
        check_path(cleaned)
    return cleaned


def check_path(path: str) -> None:
    """Raise `BadNameError` for what is no path below the volume."""
    if not path:
        raise BadNameError("an empty path names nothing in a volume")
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise BadNameError(f"{path!r:.200} is not Unicode text: rename the file") from None
    if size > MAX_PATH_BYTES:
        raise BadNameError(
            f"{path!r:.200} is longer than {MAX_PATH_BYTES} bytes: shorten the names above it"
        )
    for name in path.split("/"):
        if name in ("", ".", ".."):
            raise BadNameError(
                f"{path!r:.200} leaves the volume or names nothing in it: write it without empty parts, '.' and '..'"
            )
        if "\0" in name or len(name.encode()) > MAX_NAME_BYTES:
            raise BadNameError(
                f"{path!r:.200} has a part that no file system takes: at most {MAX_NAME_BYTES} bytes, none of them zero"
            )


def check_target(path: str, target: str) -> None:
    """Raise `BadNameError` for a symlink that could lead out of the volume.

    `..` may stand at its beginning alone, and no more often than there are folders above the link. A folder above an entry
    is never a symlink, so those lead to a real folder of the volume; and every further name is below one, or is another
    symlink that keeps the same rule.
    """
    names = target.split("/")
    ups = 0
    while ups < len(names) and names[ups] == "..":
        ups += 1
    is_inside = (
        bool(target)
        and "\0" not in target
        and len(target.encode("utf-8", "surrogateescape")) < MAX_PATH_BYTES
        and not target.startswith("/")
        and ".." not in names[ups:]
        and ups <= path.count("/")
    )
    if not is_inside:
        raise BadNameError(
            f"the symlink {path!r:.200} leads out of the volume (to {target!r:.200}): "
            "let it lead to a relative path inside, or copy what it names"
        )


def check_entry(entry: Entry) -> None:
    """Raise `BadNameError` or `BadEntryError` for an entry that must not stand in a tree."""
    check_path(entry.path)
    if not 0 <= entry.mode <= MAX_MODE:
        raise BadEntryError(f"{entry.path!r:.200} has the mode {entry.mode:o}: 777 is the most")
    if entry.kind is Kind.SYMLINK:
        check_target(entry.path, entry.target)
    elif entry.kind is Kind.FILE:
        if len(entry.content) % _CHUNK.size:
            raise BadEntryError(f"the chunks of {entry.path!r:.200} are cut short")
        if sum(chunk.size_bytes for chunk in entry.chunks) != entry.size_bytes:
            raise BadEntryError(f"the chunks of {entry.path!r:.200} do not add up to its size")
    elif entry.content or entry.size_bytes:
        raise BadEntryError(f"the folder {entry.path!r:.200} has content of its own")


def parents(path: str) -> Iterator[str]:
    """Yield the folders above a path, the nearest first, without the volume itself."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def is_below(path: str, folder: str) -> bool:
    """Whether the path is the folder or stands in it; everything stands in ""."""
    return not folder or path == folder or path.startswith(folder + "/")
