"""The ground: a small process in pid and mount (and, for an ordinary user, user) namespaces of its own, parent of sandboxes.

Why a process of its own and not the worker: a user namespace can only be taken by a process with a single thread, a
fork of a small process is cheap, and when the worker dies in whatever way, this process reads the end of its socket,
kills its sandboxes, ends, and with it end its mounts.

It is the first process of its pid namespace, so that the kernel kills everything below it when it is killed itself,
whatever a sandbox's set-up was just at. (A parent-death signal comes too late for that: bubblewrap asks for it in the
middle of its set-up.) A process enters a pid namespace by being born there; so there are two, and the outer one only
waits for the inner one and takes it along.

In that namespace a tmpfs covers /dev/shm (which no container sees, each has one of its own) and holds:
- `source/N`: one bind per host directory that containers are shown. A container of root's worker runs under an
  unprivileged uid, which may not walk through /root; it need not walk to here.
- `scratch/NAME`: one tmpfs per container, bounded in bytes and inodes, for its /tmp, home and /dev/shm. (bubblewrap's
  own --tmpfs can only be bounded in bytes.)
- `private/NAME/N`: a container's own id-mapped view of a directory or file that is closed to everybody but its owner.

Requests and replies are JSON datagrams over one SOCK_SEQPACKET socket; a request carries the descriptors that become
0, 1, 2, … of the new process, its reply a pidfd of that process. Standard library only, run with `python -I -S`.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import sys

# Started as a file, with `-I`: the package it belongs to is found from there.
sys.path.insert(0, os.path.abspath(os.path.join(os.path.dirname(__file__), *[".."] * 3)))  # noqa: PTH100, PTH118, PTH120 - pathlib is slow to import
from offload.worker.runtimes.ground_private import show_private

STAGING = "/dev/shm"  # noqa: S108 - covered by a private tmpfs before anything is written there

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000
_MS_NOSUID_NODEV = 2 | 4
_MS_BIND_REC = 4096 | 16384
_MS_SLAVE_REC = (1 << 19) | 16384
_MS_PRIVATE_REC = (1 << 18) | 16384
_MNT_DETACH = 2
_PR_SET_PDEATHSIG, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 47, 2
_CAPABILITY_VERSION_3 = 0x20080522
# To bind low ports, to set up networks, to enter namespaces: what the gateway is for.
_GATEWAYS_CAPABILITIES = (10, 12, 13, 21)

# Control groups that nobody but this process can remove once the worker is dead.
_groups: list[str] = []

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


def _unmount(target: str) -> None:
    _check(_libc.umount2(os.fsencode(target), _MNT_DETACH), f"unmount {target}")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123 - pathlib would double this process's start time
        file.write(text)


def _leave_the_host() -> None:
    """Take the namespaces that the inner process shall be born in."""
    uid, gid = os.getuid(), os.getgid()
    if uid != 0:
        _check(_libc.unshare(_CLONE_NEWUSER), "unshare(CLONE_NEWUSER)")
        # One-to-one, so that files and permissions stay what they are; the kernel demands setgroups off first.
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    _check(_libc.unshare(_CLONE_NEWPID), "unshare(CLONE_NEWPID)")


def _lay_out() -> None:
    """Take a mount namespace and make the staging directory."""
    _check(_libc.unshare(_CLONE_NEWNS), "unshare(CLONE_NEWNS)")
    _mount("none", "/", "", _MS_SLAVE_REC)
    _mount("offload", STAGING, "tmpfs", _MS_NOSUID_NODEV, "mode=0755,size=1m")
    _mount("none", STAGING, "", _MS_PRIVATE_REC)
    # bubblewrap looks for its child there, by the number it has in this pid namespace.
    _mount("proc", "/proc", "proc", _MS_NOSUID_NODEV)
    for name in ("source", "scratch", "private"):
        os.mkdir(f"{STAGING}/{name}")  # noqa: PTH102 - see _write


def _stage(path: str, name: str) -> None:
    target = f"{STAGING}/source/{name}"
    if os.path.isdir(path):  # noqa: PTH112 - see _write
        os.mkdir(target)  # noqa: PTH102 - see _write
    else:
        _write(target, "")
    _mount(path, target, "", _MS_BIND_REC)


def _unstage(name: str) -> None:
    _unmount(f"{STAGING}/source/{name}")


def _make_scratch(name: str, size_bytes: int, inodes: int, owner: int) -> None:
    directory = f"{STAGING}/scratch/{name}"
    os.mkdir(directory)  # noqa: PTH102 - see _write
    # The directory's own four entries are not the user's.
    _mount(
        "offload",
        directory,
        "tmpfs",
        _MS_NOSUID_NODEV,
        f"mode=0755,size={size_bytes},nr_inodes={inodes + 4}",
    )
    for entry, mode in (("tmp", 0o1777), ("home", 0o700), ("shm", 0o1777)):
        path = f"{directory}/{entry}"
        os.mkdir(path)  # noqa: PTH102 - see _write
        os.chmod(path, mode)  # noqa: PTH101 - see _write
        os.chown(path, owner, owner if os.getuid() == 0 else -1)


def _drop_scratch(name: str) -> None:
    directory = f"{STAGING}/scratch/{name}"
    _unmount(directory)
    os.rmdir(directory)  # noqa: PTH106 - see _write


def _make_private(name: str, uid: int, paths: list[str]) -> dict[str, str]:
    """Show the paths under `private/name`; return where, without those that this kernel or file system cannot map."""
    directory = f"{STAGING}/private/{name}"
    os.mkdir(directory)  # noqa: PTH102 - see _write
    _mount("offload", directory, "tmpfs", _MS_NOSUID_NODEV, "mode=0755,size=64k")
    places = {}
    for number, path in enumerate(paths):
        try:
            show_private(path, f"{directory}/{number}", uid)
            places[path] = f"{directory}/{number}"
        except OSError:
            continue
    return places


def _drop_private(name: str) -> None:
    directory = f"{STAGING}/private/{name}"
    _unmount(directory)
    os.rmdir(directory)  # noqa: PTH106 - see _write


def _keep_capabilities() -> None:
    """Let the program that this process becomes have what the gateway needs, in the ground's own user namespace."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (
        ctypes.c_uint32 * 6
    )()  # effective, permitted, inheritable, and the same for the numbers from 32 on
    _check(_libc.capget(header, sets), "capget")
    sets[2], sets[5] = sets[1], sets[4]
    _check(_libc.capset(header, sets), "capset")
    for number in _GATEWAYS_CAPABILITIES:
        _check(
            _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number, 0, 0),
            "prctl(PR_CAP_AMBIENT)",
        )


def _become(request: dict[str, object], fds: list[int]) -> None:
    """Turn this forked process into the sandbox, with `fds` as 0, 1, 2, … and nothing else."""
    argv: list[str] = request["argv"]  # type: ignore[assignment]  # see `ground`
    uid = int(str(request["uid"]))
    os.setsid()
    if request.get("enters_network"):
        _check(_libc.setns(fds.pop(), _CLONE_NEWNET), "setns(CLONE_NEWNET)")
    if request.get("keeps_capabilities"):
        _keep_capabilities()
    # Two steps, because a source may sit on the number another one shall get.
    high = [os.dup2(fd, 100 + number) for number, fd in enumerate(fds)]
    for number, fd in enumerate(high):
        os.dup2(fd, number)
    os.closerange(len(fds), 200)
    for number in (
        signal.SIGPIPE,
        signal.SIGXFSZ,
    ):  # python ignores them, and that would be inherited
        signal.signal(number, signal.SIG_DFL)
    if uid != os.getuid():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    # Its own environment can be read inside, as /proc/1/environ.
    os.execve(argv[0], argv, {})  # noqa: S606 - the purpose of this process


def _spawn(request: dict[str, object], fds: list[int]) -> int:
    # A child that ends at once must not be reaped before its pidfd is open.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    try:
        pid = os.fork()
        if pid == 0:
            try:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
                if "enters" in request:
                    from offload.worker.runtimes.ground_entry import enter  # noqa: PLC0415 - rare

                    enter(request, list(fds))
                _become(request, list(fds))
            except BaseException as error:  # noqa: BLE001 - nothing may return into the parent's code
                os.write(2, f"a sandbox: {error}".encode())
            os._exit(127)
        return os.pidfd_open(pid)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _clear(request: dict[str, str]) -> None:
    """Take away what a request says is no longer needed."""
    for name in request.get("unstage", ()):
        _unstage(name)
    if "drop_scratch" in request:
        _drop_scratch(request["drop_scratch"])
    if "drop_private" in request:
        _drop_private(request["drop_private"])


def _obey(data: bytes, fds: list[int]) -> tuple[dict[str, object], list[int]]:
    """Carry out what a request names: clear, stage, take groups, show what is private, open, spawn; in this order."""
    request = json.loads(data)
    _clear(request)
    for path, name in request.get("stage", ()):
        _stage(path, name)
    _groups.extend(request.get("groups", ()))
    if "private" in request:
        return {"places": _make_private(**request["private"])}, []
    if "open" in request:
        return {}, [os.pidfd_open(request["open"])]
    if "argv" not in request:
        return {}, []
    uid, scratch = request["uid"], request.get("scratch")
    if scratch is not None:
        _make_scratch(scratch["name"], scratch["bytes"], scratch["inodes"], uid)
    try:
        pidfd = _spawn(request, fds)
    except OSError:
        if scratch is not None:
            _drop_scratch(scratch["name"])
        raise
    return {}, [pidfd]


def _reap(*_: object) -> None:
    """Bury the dead; what a bubblewrap that was killed in its set-up leaves behind goes with it."""
    try:
        while dead := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            # Its child waits for its word, for ever, and is of its group until it needs no word any more. While the
            # leader is not reaped, the group's number cannot be another's.
            _kill(-dead.si_pid)
            os.waitpid(dead.si_pid, 0)
    except ChildProcessError:
        pass


def _kill(number: int) -> None:
    try:  # noqa: SIM105 - contextlib would slow this process's start
        os.kill(number, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _end_all() -> None:
    """Kill every process of this namespace but this one, and wait until the last one is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _kill(-1)
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass


def _remove_groups() -> None:
    for root in _groups:
        # Leaves first. What cannot be removed is another worker's to remove at its start.
        for directory, _, _ in os.walk(root, topdown=False):
            try:  # noqa: SIM105 - see _kill
                os.rmdir(directory)  # noqa: PTH106 - see _write
            except OSError:
                pass


def _serve(sock: socket.socket) -> None:
    """Obey the worker until it is gone."""
    signal.signal(signal.SIGCHLD, _reap)
    sock.send(b"{}")
    while True:
        data, fds, _, _ = socket.recv_fds(sock, 1 << 20, 16)
        if not data:
            _end_all()
            _remove_groups()
            return
        replied: list[int] = []
        try:
            reply, replied = _obey(data, list(fds))
        except OSError as error:
            reply = {"error": str(error), "errno": error.errno}
        socket.send_fds(sock, [json.dumps(reply).encode()], replied)
        for fd in (*fds, *replied):
            os.close(fd)


def _end_with(outer_fd: int) -> None:
    """Have the kernel kill this process when the outer one dies, or end now, should that have happened already."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")
    if select.select([outer_fd], [], [], 0)[0]:
        os._exit(1)
    os.close(outer_fd)


def main(socket_fd: int) -> None:
    """Serve the worker on `socket_fd` until it is gone."""
    sock = socket.socket(fileno=socket_fd)
    try:
        outer_fd = os.pidfd_open(os.getpid())
        _leave_the_host()
        pid = os.fork()
        if pid == 0:
            _end_with(outer_fd)
            _lay_out()
    except OSError as error:
        sock.send(json.dumps({"error": str(error), "errno": error.errno}).encode())
        return
    if pid == 0:
        _serve(sock)
        return
    # The inner one's end of it shall be the only one: the worker takes its closing for the ground's death.
    sock.close()
    os.waitpid(pid, 0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
