"""Starts a build's bubblewrap as the root of a user namespace that is not the host's root.

Installing packages needs many users: files get owners, apt drops its privileges. So the namespace maps a whole range of
ids, none of which is an account of the host; bubblewrap itself can map one only. Three ways, by who starts it: root
writes the maps itself; an ordinary user with subordinate ids has `newuidmap` write them; without them the map has one
id, the user's own, which suffices for what needs no other.

This process waits for bubblewrap and ends with its exit code. It dies with the worker, and bubblewrap with it. Standard
library only, run with `python -I -S`, its only argument a JSON object:
- `map`: "root", "subordinate" or "single";  `uids`, `gids`: lists of (inside, outside, count)
- `stage`: host paths that are bound to /dev/shm/0, /dev/shm/1, …: those of root's worker lie in a directory that the
  namespace's root may not walk through
- `argv`: what to become
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys

STAGING = "/dev/shm"  # noqa: S108 - covered by a private tmpfs before anything is written there

FAILED = 125
PREFIX = "the build's namespaces: "

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_NOSUID_NODEV = 2 | 4
_MS_BIND_REC = 4096 | 16384
_MS_SLAVE_REC = (1 << 19) | 16384
_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode(),
        ctypes.c_ulong(flags),
        data.encode(),
    )
    _check(result, f"mount {target}")


def _stage(paths: list[str]) -> None:
    _mount("none", "/", "", _MS_SLAVE_REC)
    _mount("offload", STAGING, "tmpfs", _MS_NOSUID_NODEV, "mode=0755,size=1m")
    for number, path in enumerate(paths):
        target = f"{STAGING}/{number}"
        if os.path.isdir(path):  # noqa: PTH112 - pathlib would double this process's start time
            os.mkdir(target)  # noqa: PTH102 - as above
        else:
            _write(target, "")
        _mount(path, target, "", _MS_BIND_REC)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123 - as above
        file.write(text)


def _become(order: dict[str, object], ready: int, mapped: int) -> None:
    """In the child: take the namespaces, wait for the maps, and become bubblewrap."""
    is_root = order["map"] == "root"
    _check(
        _libc.unshare(_CLONE_NEWUSER if is_root else _CLONE_NEWUSER | _CLONE_NEWNS), "unshare(user)"
    )
    os.write(ready, b"x")
    if not os.read(mapped, 1):
        os._exit(FAILED)
    if order["map"] != "single":
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    if not is_root:
        _stage(order["stage"])  # type: ignore[arg-type]  # JSON of our own
    # A change of the user has forgotten it.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    argv = order["argv"]
    assert isinstance(argv, list), "JSON of our own"  # noqa: S101 - a bug here
    os.execve(argv[0], argv, {})  # noqa: S606 - the purpose of this process


def _write_maps(order: dict[str, object], pid: int) -> None:
    if order["map"] == "subordinate":
        for program, name in (("newuidmap", "uids"), ("newgidmap", "gids")):
            ranges = order[name]
            assert isinstance(ranges, list), "JSON of our own"  # noqa: S101 - a bug here
            words = [str(number) for entry in ranges for number in entry]
            subprocess.run([program, str(pid), *words], check=True)  # noqa: S603 - numbers of our own
        return
    if order["map"] == "single":
        _write(f"/proc/{pid}/setgroups", "deny")
    for name, file in (("uids", "uid_map"), ("gids", "gid_map")):
        ranges = order[name]
        assert isinstance(ranges, list), "JSON of our own"  # noqa: S101 - a bug here
        lines = "\n".join(" ".join(map(str, entry)) for entry in ranges)
        _write(f"/proc/{pid}/{file}", lines)


def main(order: dict[str, object], parent: int) -> int:
    """Obey and return bubblewrap's exit code."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return FAILED
    if order["map"] == "root":
        _check(_libc.unshare(_CLONE_NEWNS), "unshare(mount)")
        _stage(order["stage"])  # type: ignore[arg-type]  # JSON of our own
    is_ready, ready = os.pipe()
    mapped, is_mapped = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(is_mapped)
        try:
            _become(order, ready, mapped)
        except BaseException as error:  # noqa: BLE001 - nothing may return into the parent's code
            os.write(2, f"{PREFIX}{error}\n".encode())
        os._exit(FAILED)
    os.close(ready)
    if os.read(is_ready, 1):
        _write_maps(order, pid)
        os.write(is_mapped, b"x")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    try:
        code = main(json.loads(sys.argv[1]), int(sys.argv[2]))
    except (OSError, subprocess.CalledProcessError) as failure:
        sys.stderr.write(f"{PREFIX}{failure}\n")
        code = FAILED
    sys.exit(code if code >= 0 else 128 - code)
