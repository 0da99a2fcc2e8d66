"""Archives of a caller's files, read without a sandbox: only plain files and folders, with plain names."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING

from offload.worker.ports import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAX_ENTRIES = 200_000
_CHUNK_BYTES = 1024 * 1024


def check_archive(archive: IO[bytes], sha256: str) -> None:
    """Raise `ImageError` where the archive is not the promised one; else it is read from its beginning next."""
    hashed = hashlib.sha256()
    while data := archive.read(_CHUNK_BYTES):
        hashed.update(data)
    if hashed.hexdigest() != sha256:
        raise ImageError("attached files are not what their SHA-256 says")
    archive.seek(0)


def unpack_files(archive: IO[bytes], target: Path, sha256: str) -> None:
    """Lay the files out below `target`, which is empty and nobody else's.

    As there is never a link in it, no name can lead out of it. Raises `ImageError` for anything but files and folders
    with plain names, and where the archive is not the promised one.
    """
    check_archive(archive, sha256)
    try:
        with tarfile.open(fileobj=archive, mode="r:") as entries:
            for entry in _plain(entries):
                _write(entries, entry, target)
    except (tarfile.TarError, OSError) as error:
        raise ImageError(f"attached files cannot be laid out: {error}") from error


def rewrite(archive: IO[bytes], target: IO[bytes]) -> None:
    """Write the files again so that a container engine puts them through the links of an image, as root's.

    It makes folders on the way by itself, and a folder that is named replaces a link of that name: so those alone are
    named that nothing is in. Raises as `unpack_files`.
    """
    try:
        with (
            tarfile.open(fileobj=archive, mode="r:") as entries,
            tarfile.open(fileobj=target, mode="w") as made,
        ):
            plain = list(_plain(entries))
            ways = {str(way) for entry in plain for way in PurePosixPath(entry.name).parents}
            for entry in plain:
                if not entry.isdir() or entry.name.rstrip("/") not in ways:
                    made.addfile(_as_roots(entry), entries.extractfile(entry))
    except (tarfile.TarError, OSError) as error:
        raise ImageError(f"files cannot be added: {error}") from error


def _as_roots(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    plain = tarfile.TarInfo(entry.name.rstrip("/"))
    plain.type, plain.size, plain.mtime = entry.type, entry.size, entry.mtime
    plain.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return plain


def _plain(entries: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for count, entry in enumerate(entries):
        if count >= _MAX_ENTRIES:
            raise ImageError(f"more than {_MAX_ENTRIES} files are added")
        parts = entry.name.rstrip("/").split("/")
        if ".." in parts:
            raise ImageError(f"files are named {entry.name[:200]!r}, which leads out of the image")
        if not all(parts) or "." in parts or not (entry.isreg() or entry.isdir()):
            raise ImageError(f"attached files hold {entry.name[:200]!r}, which is no plain file")
        yield entry


def _write(entries: tarfile.TarFile, entry: tarfile.TarInfo, target: Path) -> None:
    path = target.joinpath(*entry.name.rstrip("/").split("/"))
    folder = path if entry.isdir() else path.parent
    # Readable for the container's user, whatever the worker's umask is.
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir()
        missing.chmod(0o755)
    if entry.isdir():
        return
    source = entries.extractfile(entry)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
        if source is not None:
            shutil.copyfileobj(source, file)
    path.chmod(0o755 if entry.mode & 0o100 else 0o644)
