"""A shell: an empty sandbox below the keeper's own, in which one container will live; see `keeper_process`."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWPID = 0x00020000, 0x10000000, 0x20000000
_CLONE_NEWCGROUP, _CLONE_NEWUTS, _CLONE_NEWIPC, _CLONE_NEWNET = (
    0x02000000,
    0x04000000,
    0x08000000,
    0x40000000,
)
_CLONE = {"x86_64": 56, "aarch64": 220}
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_BIND, _MS_REC = 4096, 16384
_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 4, 22, 2
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1

_MESSAGE_BYTES = 4096
_MAX_FDS = 16
_NETWORK = 6  # where its namespace is among a shell's, if it has one

# Keeping the interpreter's lock: the other side of a clone goes on in Python.
_libc = ctypes.PyDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    result = _libc.mount(
        source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data.encode()
    )
    _check(result, f"mount {target}")


def write(path: str, text: str) -> None:
    """Write to a file of the kernel's that exists."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def install_filter(program: bytes) -> None:
    """Refuse this process and all it starts the system calls that the filter names."""
    code = ctypes.create_string_buffer(program, len(program))
    filters = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    _check(
        _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filters, 0, 0),
        "prctl(PR_SET_SECCOMP)",
    )


def _map_ids(inside: int, outside: int) -> None:
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"{inside} {outside} 1")
    write("/proc/self/gid_map", f"{inside} {outside} 1")


def _mount_own(order: dict[str, object]) -> None:
    """Mount what no two containers may share: scratch, /proc, terminals."""
    nosuid_nodev = _MS_NOSUID | _MS_NODEV
    size = f"size={order['scratch_bytes']},nr_inodes={int(str(order['scratch_inodes'])) + 4}"
    tmp = str(order["tmp"])
    covered = _open_covered(order)
    _mount("offload", tmp, "tmpfs", nosuid_nodev, f"mode=0755,{size}")
    for entry, mode in (("home", 0o700), ("shm", 0o1777), ("tmp", 0o1777)):
        os.mkdir(f"{tmp}/{entry}")  # noqa: PTH102 - pathlib would double this process's start time
        os.chmod(f"{tmp}/{entry}", mode)  # noqa: PTH101 - see above
    for entry, target in (("home", str(order["home"])), ("shm", "/dev/shm"), ("tmp", tmp)):  # noqa: S108 - the container's own
        _mount(f"{tmp}/{entry}", target, "", _MS_BIND)
    for path, fd in covered.items():
        _show_again(path, fd)
    for path in order["hidden"]:  # type: ignore[attr-defined]  # a list of paths
        _mount("offload", path, "tmpfs", nosuid_nodev | _MS_RDONLY, "size=4k")
    _mount("proc", "/proc", "proc", nosuid_nodev | _MS_NOEXEC)
    for path in order["masked_files"]:  # type: ignore[attr-defined]  # a list of paths
        _mount("/dev/null", path, "", _MS_BIND)
    for path in order["masked_dirs"]:  # type: ignore[attr-defined]  # see above
        _mount("offload", path, "tmpfs", nosuid_nodev | _MS_RDONLY)
    _mount("devpts", "/dev/pts", "devpts", _MS_NOSUID | _MS_NOEXEC, "ptmxmode=0666,mode=620")


def _open_covered(order: dict[str, object]) -> dict[str, int]:
    """Open what the image shows where scratch will be, parents before children."""
    paths: list[str] = order["shown"]  # type: ignore[assignment]  # a list of paths
    # What the template may not enter itself is not there.
    seen = [path for path in paths if os.path.exists(path)]  # noqa: PTH110 - see `_mount_own`
    return {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in seen}


def _show_again(path: str, fd: int) -> None:
    is_folder = os.path.isdir(f"/proc/self/fd/{fd}")  # noqa: PTH112 - pathlib would double this process's start time
    os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - see above
    if not is_folder:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    _mount(f"/proc/self/fd/{fd}", path, "", _MS_BIND | _MS_REC)
    os.close(fd)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH22x", b"lo", 0)
        flags = struct.unpack("16sH22x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | _IFF_UP))


def _become_shell(tell: socket.socket, order: dict[str, object]) -> None:
    """Lay out a container, hand out its namespaces, and be its first process from then on."""
    uid = int(str(order["uid"]))
    _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # or its own /proc entries were root's
    _map_ids(0, uid)
    names = ["user", "mnt", "pid", "ipc", "uts", "cgroup", *(["net"] if order["net"] else [])]
    fds = [os.open(f"/proc/self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in names]
    _mount_own(order)
    if order["net"]:
        _raise_loopback()
    # The container is in a user namespace below: so it has no rights over its own mounts, and may make no further one.
    write("/proc/sys/user/max_user_namespaces", "1")
    _check(_libc.unshare(_CLONE_NEWUSER), "unshare(CLONE_NEWUSER)")
    _map_ids(uid, 0)
    fds.append(os.open("/proc/self/ns/user", os.O_RDONLY | os.O_CLOEXEC))
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    os.setsid()
    install_filter(bytes.fromhex(str(order["shell_filter"])))
    socket.send_fds(tell, [b"{}"], fds)
    close_all_but(())
    while True:
        signal.sigwait({signal.SIGCHLD})
        _reap_quietly()


def _reap_quietly() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def close_all_but(kept: tuple[int, ...]) -> None:
    """Close every descriptor but these; the first three become empty."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        if number not in kept:
            os.dup2(null, number)
    for number in range(3, 256):
        if number not in kept:
            try:  # noqa: SIM105 - contextlib would slow this process's start
                os.close(number)
            except OSError:
                pass


class Shell:
    """A shell, seen from the keeper."""

    def __init__(self, order: dict[str, object], line: socket.socket | None) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        flags = _CLONE_NEWUSER | _CLONE_NEWNS | _CLONE_NEWPID | _CLONE_NEWCGROUP
        flags |= _CLONE_NEWUTS | _CLONE_NEWIPC | (_CLONE_NEWNET if order["net"] else 0)
        number = ctypes.c_long(_CLONE[os.uname().machine])
        none = ctypes.c_long(0)
        self.pid = _check(
            _libc.syscall(number, ctypes.c_long(flags | signal.SIGCHLD), none, none, none, none),
            "clone",
        )
        if self.pid == 0:
            try:
                ours.close()
                _become_shell(theirs, order)
            except BaseException as error:  # noqa: BLE001 - nothing may return into the keeper's code
                theirs.send(f"a shell: {error}".encode())
            os._exit(1)
        theirs.close()
        with ours:
            said, self.fds, _, _ = socket.recv_fds(ours, _MESSAGE_BYTES, _MAX_FDS)
        if said != b"{}":
            raise OSError(0, said.decode() or "a shell ended in its set-up")
        self.pidfd = os.pidfd_open(self.pid)
        if line is not None:
            self._connect(line)
        self.namespace = os.fstat(self.fds[2]).st_ino  # of pids

    def _connect(self, line: socket.socket) -> None:
        """Have the network's gateway, which alone may, put its link into the shell's namespace."""
        socket.send_fds(line, [b"{}"], [self.fds[_NETWORK]])
        said = line.recv(_MESSAGE_BYTES)
        if said != b"{}":
            self.kill()
            self.close()
            raise OSError(0, f"no network for a shell: {said.decode() or 'the gateway has ended'}")

    def forget_fds(self) -> None:
        """Close the namespaces' descriptors; the namespaces stay."""
        while self.fds:
            os.close(self.fds.pop())

    def kill(self) -> None:
        """End it and whatever lives in it."""
        signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Release what the keeper holds of it; it goes on."""
        self.forget_fds()
        os.close(self.pidfd)
