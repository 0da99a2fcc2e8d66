"""What is closed to everybody but its owner, shown to one container: an id-mapped mount, made by the ground."""

from __future__ import annotations

import ctypes
import os
import signal

_CLONE_NEWUSER = 0x10000000
# The same numbers on every architecture.
_OPEN_TREE, _MOVE_MOUNT, _OPENAT2, _MOUNT_SETATTR = 428, 429, 437, 442
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH, _RESOLVE_NO_SYMLINKS = 1, 4, 4
_MOUNT_ATTR_RDONLY_NOSUID_NODEV_IDMAP = 1 | 2 | 4 | 0x00100000
_MS_PRIVATE = 1 << 18

_libc = ctypes.CDLL(None, use_errno=True)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123 - pathlib would double the ground's start time
        file.write(text)


def _call(number: int, name: str, *arguments: object) -> int:
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def _map_owner(owner: int, uid: int) -> int:
    """Return a user namespace in which what `owner` has on disk is `uid`'s, and nothing else is anybody's."""
    entered, say_entered = os.pipe()
    pid = os.fork()
    if pid == 0:
        if _libc.unshare(_CLONE_NEWUSER) == 0:
            os.write(say_entered, b"x")
            signal.pause()
        os._exit(1)
    os.close(say_entered)
    try:
        if not os.read(entered, 1):
            raise OSError(0, "unshare(CLONE_NEWUSER) failed")
        _write(f"/proc/{pid}/uid_map", f"{owner} {uid} 1")
        # No group of a file is anybody's, and the kernel lets nobody write what has an owner without a name, not even
        # to a socket or a pipe. It wants a map all the same: of one that owns no file.
        _write(f"/proc/{pid}/gid_map", f"{uid} {uid} 1")
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
    finally:
        os.close(entered)
        try:  # noqa: SIM105 - contextlib would slow the ground's start
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def show_private(path: str, target: str, uid: int) -> None:
    """Mount `path` read-only at `target`, its owner's files as `uid`'s."""
    # Between the worker's look at the path and this one its owner could have put a link there, to what is not theirs.
    how = (ctypes.c_uint64 * 3)(os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_NO_SYMLINKS)
    opened = [_call(_OPENAT2, "openat2", _AT_FDCWD, os.fsencode(path), how, 24)]
    try:
        clone = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_EMPTY_PATH | _AT_RECURSIVE
        tree = _call(_OPEN_TREE, "open_tree", opened[0], b"", clone)
        opened.append(tree)
        status = os.fstat(tree)
        opened.append(_map_owner(status.st_uid, uid))
        attributes = (ctypes.c_uint64 * 4)(
            _MOUNT_ATTR_RDONLY_NOSUID_NODEV_IDMAP, 0, _MS_PRIVATE, opened[-1]
        )
        everywhere = _AT_EMPTY_PATH | _AT_RECURSIVE
        _call(_MOUNT_SETATTR, "mount_setattr", tree, b"", everywhere, attributes, 32)
        if status.st_mode & 0o170000 == 0o040000:
            os.mkdir(target)  # noqa: PTH102 - pathlib would double the ground's start time
        else:
            _write(target, "")
        place = os.fsencode(target)
        _call(_MOVE_MOUNT, "move_mount", tree, b"", _AT_FDCWD, place, _MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        for fd in opened:
            os.close(fd)
