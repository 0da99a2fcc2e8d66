"""Unpacks one layer or archive, read from standard input, into the root that is mounted at `TARGET`.

It changes its root to there first, so that no name and no link leads anywhere else; and it runs in a sandbox in which
nothing else can be written. Names with `..`, devices and what is larger than it may be end it all the same: whoever
made such an archive meant no good. Whiteouts are carried out: the overlay below makes its own of them.

Standard library only (and zstandard, where it was given); run by the host's interpreter.
"""

from __future__ import annotations

import contextlib
import grp
import importlib
import os
import pwd
import resource
import shutil
import sys
import tarfile
from typing import IO

TARGET = "/mnt/root"
PACKAGES = "/run/offload/packages"  # where zstandard is

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_CHUNK = 1024 * 1024
_MAX_ENTRIES = 2_000_000
_MAX_NAME_BYTES = 4095
# Headers are read as a whole, and a header may say that it is of any size.
_MEMORY_BYTES = 384 * 1024 * 1024


class HostileArchiveError(Exception):
    """The archive holds what no honest one does."""


def unpack(archive: tarfile.TarFile, max_bytes: int, *, is_layer: bool) -> int:
    """Unpack every entry below the current root; return how many bytes more there might be. Raises `HostileArchiveError`."""
    written: set[str] = set()
    folders: list[tuple[str, tarfile.TarInfo]] = []
    left = max_bytes
    for count, entry in enumerate(archive):
        left -= max(0, entry.size)
        if left < 0:
            raise HostileArchiveError(f"it holds more than {max_bytes} bytes")
        if count > _MAX_ENTRIES:
            raise HostileArchiveError(f"it holds more than {_MAX_ENTRIES} files")
        path = checked_name(entry.name)
        folder, name = os.path.split(path)
        if is_layer and name == _OPAQUE:
            _empty(folder, written)
        elif is_layer and name.startswith(_WHITEOUT):
            _hide(f"{folder}/{checked_part(name[len(_WHITEOUT) :])}", written)
        else:
            # A folder of a layer takes the place of a link below it; files that are added go through it.
            if is_layer and entry.isdir() and os.path.islink(path):  # noqa: PTH114 - as below
                _remove(path)
            _write(archive, entry, path)
            _note(path, written)
            if entry.isdir():
                folders.append((path, entry))
    # Last, because a folder's time changes with what is put into it.
    for path, entry in reversed(folders):
        with contextlib.suppress(OSError):
            os.utime(path, (entry.mtime, entry.mtime))
    return left


def checked_name(name: str) -> str:
    """Return an entry's name as an absolute path below the root."""
    if len(os.fsencode(name)) > _MAX_NAME_BYTES:
        raise HostileArchiveError("it has a name that is longer than any path")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in name:
        raise HostileArchiveError(f"it names {name[:200]!r}, which leads out of the image")
    return "/" + "/".join(parts)


def checked_part(name: str) -> str:
    """Return what a whiteout names: one name, of nothing but a file beside it."""
    if name in ("", ".", "..") or "/" in name:
        raise HostileArchiveError(f"it has a whiteout of {name[:200]!r}")
    return name


def _write(archive: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
    if path == "/" or entry.ischr() or entry.isblk():
        return  # every container has devices of its own; and one numbered 0 would be an overlay's whiteout
    parent = os.path.dirname(path)  # noqa: PTH120 - as above
    os.makedirs(parent, exist_ok=True)  # noqa: PTH103 - as above
    if entry.isdir():
        if not os.path.isdir(path):  # noqa: PTH112 - a link to a folder stays
            _remove(path)
            os.mkdir(path)  # noqa: PTH102 - as above
    elif not _make(archive, entry, path):
        return
    with contextlib.suppress(OSError):  # a user that the namespace does not have
        os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
    if not entry.issym():
        os.chmod(path, entry.mode & 0o7777)  # noqa: PTH101 - as above
        if not entry.isdir():
            os.utime(path, (entry.mtime, entry.mtime))


def _make(archive: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> bool:
    """Make what is no folder; return whether it has an owner and a mode of its own."""
    _remove(path)
    if entry.issym():
        os.symlink(entry.linkname, path)  # noqa: PTH211 - as above
    elif entry.islnk():
        os.link(checked_name(entry.linkname), path, follow_symlinks=False)
        return False
    elif entry.isfifo():
        os.mkfifo(path)
    elif entry.isreg():
        _copy(archive, entry, path)
    else:
        return False
    return True


def _copy(archive: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
    source = archive.extractfile(entry)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(os.open(path, flags, 0o600), "wb") as file:  # noqa: PTH123 - a descriptor
        if source is not None:
            shutil.copyfileobj(source, file, _CHUNK)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114 - as above
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(path)  # noqa: PTH108 - as above


def _note(path: str, written: set[str]) -> None:
    """Remember that this layer has a path, and all folders on the way to it."""
    while path not in written:
        written.add(path)
        path = os.path.dirname(path)  # noqa: PTH120 - as above


def _hide(path: str, written: set[str]) -> None:
    """Remove what layers below have at a path, and keep what this one has put there already."""
    if path not in written:
        _remove(path)
    elif not os.path.islink(path):  # noqa: PTH114 - as above
        _empty(path, written)


def _empty(folder: str, written: set[str]) -> None:
    """Hide all that is in a folder."""
    try:
        names = os.listdir(folder or "/")  # noqa: PTH208 - as above
    except OSError:
        return
    for name in names:
        _hide(f"{folder.rstrip('/')}/{name}", written)


def _opened(archive: str) -> tarfile.TarFile:
    """Open an archive that is named as "COMPRESSION:PATH"; without a path it is standard input."""
    compression, _, path = archive.partition(":")
    file: IO[bytes] = open(path, "rb") if path else sys.stdin.buffer  # noqa: PTH123, SIM115 - as above; until the end
    if compression != "zstd":
        return tarfile.open(fileobj=file, mode="r|*")
    sys.path.append(PACKAGES)
    zstandard = importlib.import_module("zstandard")  # before the root changes
    return tarfile.open(fileobj=zstandard.ZstdDecompressor().stream_reader(file), mode="r|")


def main(max_bytes: int, archives: list[str], *, is_layer: bool, folder: str) -> int:
    """Unpack one after the other, and see that there is a folder; return the exit code, with the reason on standard error."""
    # Modules that reading an archive imports late are not found once the root is another.
    for module in (grp, pwd):
        with contextlib.suppress(KeyError):
            module.getgrgid(0) if module is grp else module.getpwuid(0)
    import bz2, lzma, zlib  # noqa: E401, F401, I001, PLC0415 - as above

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    try:
        opened = [_opened(archive) for archive in archives]
        os.chroot(TARGET)
        os.chdir("/")
        os.umask(0o022)
        left = max_bytes
        for archive in opened:
            with archive:
                left = unpack(archive, left, is_layer=is_layer)
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - as above
    except MemoryError:
        sys.stderr.write("the archive cannot be unpacked: it takes too much memory\n")
        return 1
    except (HostileArchiveError, tarfile.TarError, OSError, EOFError, ValueError) as error:
        sys.stderr.write(f"the archive cannot be unpacked: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(
        main(int(sys.argv[1]), sys.argv[4:], is_layer=sys.argv[2] == "layer", folder=sys.argv[3])
    )
