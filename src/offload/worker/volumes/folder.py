"""A folder that hostile code may be changing: everything in it is reached from its descriptor, never through a symlink.

The worker may be root, and what is in the folder is a container's. A path is opened one name at a time, each relative to the
folder before and without following links: whatever the container puts in the way meanwhile, nothing outside is read,
written or removed.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from offload.wire.trees import MAX_MODE, BadNameError, Kind, check_path, check_target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_DEPTH = 100  # of folders in folders; each is a descriptor while it is looked through
MAX_ENTRIES = 1_000_000

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# What became a pipe meanwhile must not hold the worker up.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Stamp(NamedTuple):
    """What is different about a file after a change. The last is set by the kernel alone."""

    inode: int
    size_bytes: int
    mtime_ns: int
    mode: int
    ctime_ns: int


class Found(NamedTuple):
    """Something in the folder."""

    kind: Kind
    stamp: Stamp
    target: bytes = b""  # of a symlink

    @property
    def mode(self) -> int:
        """Its permissions."""
        return self.stamp.mode & MAX_MODE


class Scan(NamedTuple):
    """What a folder has in it."""

    found: dict[str, Found]
    refused: dict[str, str]  # paths that no volume takes, and why


class TooManyError(Exception):
    """The folder has more in it than a volume takes."""


def stamp_of(status: os.stat_result) -> Stamp:
    """Return what to compare later."""
    return Stamp(
        status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode, status.st_ctime_ns
    )


class Folder:
    """Held by a descriptor until it is closed."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, _FOLDER)
        status = os.fstat(self._descriptor)
        self._owner = (status.st_uid, status.st_gid)

    def close(self) -> None:
        """Let go of it. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def scan(self) -> Scan:
        """Look at everything. Raises `TooManyError`."""
        scan = Scan({}, {})
        self._scan(self._descriptor, "", 0, scan)
        return scan

    @contextmanager
    def opened(self, path: str) -> Iterator[int]:
        """Open a file for reading. Raises OSError, also where it is no file any more."""
        with self._above(path) as (above, name):
            descriptor = os.open(name, _FILE, dir_fd=above)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is no file any more", path)
            yield descriptor
        finally:
            os.close(descriptor)

    def look(self, path: str) -> Stamp | None:
        """Return the stamp of what is there now."""
        with suppress(OSError), self._above(path) as (above, name):
            return stamp_of(os.stat(name, dir_fd=above, follow_symlinks=False))
        return None

    def make_folder(self, path: str, mode: int) -> None:
        """Have a folder there, in place of anything else but a full folder. Raises OSError."""
        with self._above(path) as (above, name):
            try:
                os.mkdir(name, 0o700, dir_fd=above)
            except FileExistsError:
                if not stat.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
                    self._clear(name, above)
                    os.mkdir(name, 0o700, dir_fd=above)
            descriptor = os.open(name, _FOLDER, dir_fd=above)
            try:
                os.fchmod(descriptor, mode)
                self._own(descriptor)
            finally:
                os.close(descriptor)

    def make_link(self, path: str, target: bytes) -> None:
        """Put a symlink there. Raises OSError."""
        with self._replaced(path) as (above, draft):
            os.symlink(target, draft, dir_fd=above)
            os.chown(draft, *self._owner, dir_fd=above, follow_symlinks=False)

    def copy_in(self, path: str, source: int, mode: int, mtime_ns: int) -> None:
        """Put a copy of an open file there, whole from the first moment. Raises OSError."""
        with self._replaced(path) as (above, draft):
            descriptor = os.open(draft, _NEW_FILE, 0o600, dir_fd=above)
            try:
                copy_whole(source, descriptor)
                os.fchmod(descriptor, mode)
                self._own(descriptor)
                os.utime(descriptor, ns=(mtime_ns, mtime_ns))
            finally:
                os.close(descriptor)

    def link_in(self, path: str, source: Path) -> None:
        """Put another name of a file there. Raises OSError."""
        with self._replaced(path) as (above, draft):
            os.link(source, draft, dst_dir_fd=above, follow_symlinks=False)

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with nothing in it; a full one stays, and what is gone is fine. Raises OSError."""
        with suppress(FileNotFoundError), self._above(path) as (above, name):
            try:
                self._clear(name, above)
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise

    def _scan(self, descriptor: int, above: str, depth: int, scan: Scan) -> None:
        with os.scandir(descriptor) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            path = f"{above}/{name}" if above else name
            try:
                check_path(path)
                if depth >= MAX_DEPTH:
                    raise BadNameError(f"it is deeper than {MAX_DEPTH} folders")
                found = _look(name, descriptor, path)
            except FileNotFoundError:
                continue
            except (BadNameError, OSError) as error:
                scan.refused[path] = str(error)
                continue
            if len(scan.found) >= MAX_ENTRIES:
                raise TooManyError(f"it has more than {MAX_ENTRIES:,} files and folders")
            scan.found[path] = found
            if found.kind is Kind.DIRECTORY:
                self._enter_and_scan(name, descriptor, path, depth, scan)

    def _enter_and_scan(self, name: str, above: int, path: str, depth: int, scan: Scan) -> None:
        try:
            descriptor = os.open(name, _FOLDER, dir_fd=above)
        except OSError as error:
            scan.refused[path] = f"the folder cannot be read ({error.strerror})"
            return
        try:
            self._scan(descriptor, path, depth + 1, scan)
        finally:
            os.close(descriptor)

    @contextmanager
    def _above(self, path: str) -> Iterator[tuple[int, str]]:
        """Open the folder above a path; yield its descriptor and the path's last name."""
        check_path(path)
        *folders, name = path.split("/")
        descriptor = os.dup(self._descriptor)
        try:
            for folder in folders:
                below = os.open(folder, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor, name
        finally:
            os.close(descriptor)

    @contextmanager
    def _replaced(self, path: str) -> Iterator[tuple[int, str]]:
        """Yield where to make something that takes the place of what is at a path, in one step."""
        with self._above(path) as (above, name):
            draft = f".offload-{os.getpid():x}-{abs(hash(path)):x}"
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=above)
            try:
                yield above, draft
                try:
                    os.replace(draft, name, src_dir_fd=above, dst_dir_fd=above)
                except IsADirectoryError:
                    os.rmdir(name, dir_fd=above)
                    os.replace(draft, name, src_dir_fd=above, dst_dir_fd=above)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(draft, dir_fd=above)

    def _clear(self, name: str, above: int) -> None:
        if stat.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
            os.rmdir(name, dir_fd=above)
        else:
            os.unlink(name, dir_fd=above)

    def _own(self, descriptor: int) -> None:
        if os.geteuid() == 0:
            os.fchown(descriptor, *self._owner)


def _look(name: str, above: int, path: str) -> Found:
    status = os.stat(name, dir_fd=above, follow_symlinks=False)
    mode = status.st_mode
    if stat.S_ISREG(mode):
        return Found(Kind.FILE, stamp_of(status))
    if stat.S_ISDIR(mode):
        return Found(Kind.DIRECTORY, stamp_of(status))
    if stat.S_ISLNK(mode):
        target = os.fsencode(os.readlink(name, dir_fd=above))
        check_target(path, os.fsdecode(target))
        return Found(Kind.SYMLINK, stamp_of(status), target)
    raise BadNameError("a volume keeps no devices, sockets and pipes")


def copy_whole(source: int, target: int) -> None:
    """Copy an open file from its start; where the file system can, by sharing its blocks. Raises OSError."""
    offset = 0
    while True:
        try:
            copied = os.copy_file_range(source, target, 1 << 30, offset)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            copied = os.sendfile(target, source, offset, 1 << 30)
        if not copied:
            return
        offset += copied
