"""Unpacking archives of a caller's files, without a sandbox: only plain files and folders, into a fresh directory."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from typing import IO, TYPE_CHECKING

from offload.worker.ports import ImageError

if TYPE_CHECKING:
    from pathlib import Path

_MAX_ENTRIES = 200_000
_CHUNK_BYTES = 1024 * 1024


def unpack_files(archive: IO[bytes], target: Path, sha256: str) -> None:
    """Lay the files out below `target`, which is empty and nobody else's.

    As there is never a link in it, no name can lead out of it. Raises `ImageError` for anything but files and folders
    with plain names, and where the archive is not the promised one.
    """
    hashed = hashlib.sha256()
    while data := archive.read(_CHUNK_BYTES):
        hashed.update(data)
    digest = hashed.hexdigest()
    if digest != sha256:
        raise ImageError("attached files are not what their SHA-256 says")
    archive.seek(0)
    try:
        with tarfile.open(fileobj=archive, mode="r:") as entries:
            for count, entry in enumerate(entries):
                if count >= _MAX_ENTRIES:
                    raise ImageError(f"more than {_MAX_ENTRIES} files are attached")
                _write(entries, entry, target)
    except (tarfile.TarError, OSError) as error:
        raise ImageError(f"attached files cannot be laid out: {error}") from error


def _write(entries: tarfile.TarFile, entry: tarfile.TarInfo, target: Path) -> None:
    parts = entry.name.split("/")
    if not all(parts) or "." in parts or ".." in parts or not (entry.isreg() or entry.isdir()):
        raise ImageError(f"attached files hold {entry.name[:200]!r}, which is no plain file")
    path = target.joinpath(*parts)
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
