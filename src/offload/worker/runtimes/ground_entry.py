"""How the ground puts a process into a sandbox that runs: see `docs/design/consoles.md`.

Nothing of the container's is executed or believed before the process has given up everything: it joins the namespaces by the
descriptor of the sandbox's first process, as somebody whom nobody inside may look into, and becomes the console with the
container's user, without capabilities, and under its filter of system calls. Standard library only, as the ground.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import sys

from offload.worker.runtimes.keeper_shell import install_filter

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import NoReturn

_CLONE_NEWNS, _CLONE_NEWCGROUP, _CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
_CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = (
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
_OTHERS = _CLONE_NEWNS | _CLONE_NEWCGROUP | _CLONE_NEWUTS | _CLONE_NEWIPC | _CLONE_NEWNET
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_CAPABILITY_VERSION_3, _HIGHEST_CAPABILITY = 0x20080522, 63
_HIGH = 100  # above every descriptor that is passed on
_REFUSED = 19  # see `offload.wire.guest.console`

_libc = ctypes.CDLL(None, use_errno=True)


def enter(request: dict[str, object], fds: list[int]) -> NoReturn:
    """Be the parent of a console until it ends. `fds` are the sandbox's first process, the conversation, and control groups."""
    first, conversation, *groups = fds
    # From here on a module that is looked for would be looked for in the sandbox, and run with the ground's rights.
    sys.meta_path.clear()
    try:
        os.setsid()
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        # Whoever is in the sandbox cannot read this process's memory or descriptors, whatever user it has.
        _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        _join(first, _CLONE_NEWPID)
        pid = os.fork()  # only a child is born into a namespace of pids
        if pid == 0:
            _enter_as_child(request, first, conversation, groups)
    except OSError as error:
        _refuse(conversation, error)
        os._exit(1)
    os.closerange(0, 256)
    os.waitpid(pid, 0)
    os._exit(0)


def _enter_as_child(
    request: dict[str, object], first: int, conversation: int, groups: list[int]
) -> NoReturn:
    try:
        for fd in groups:
            os.write(fd, b"0")  # this process itself, before it is anything of the container's
        if os.getuid() == 0:
            os.setgroups([])
        _join(first, _OTHERS)
        _join(first, _CLONE_NEWUSER)
        uid = int(str(request["uid"]))
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        if not request["keeps_capabilities"]:
            _give_up_capabilities()
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        _place(conversation)
        os.chdir("/")
        _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
        if request["filter"]:
            install_filter(bytes.fromhex(str(request["filter"])))
        argv: list[str] = request["argv"]  # type: ignore[assignment]  # words
        env: dict[str, str] = request["env"]  # type: ignore[assignment]  # words
        os.execve(argv[0], argv, env)  # noqa: S606 - the purpose of this process
    except BaseException as error:  # noqa: BLE001 - nothing may return into the ground's code
        _refuse(1, error)
    os._exit(1)


def _place(conversation: int) -> None:
    """Make the conversation 0 and 1, the ground's own 2 empty, and close all else."""
    high = os.dup2(conversation, _HIGH)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, _HIGH + 1)
    for number, fd in ((0, high), (1, high), (2, _HIGH + 1)):
        os.dup2(fd, number)
    os.closerange(3, 256)


def _join(first: int, kinds: int) -> None:
    _check(_libc.setns(first, kinds), "setns")


def _give_up_capabilities() -> None:
    for number in range(_HIGHEST_CAPABILITY + 1):
        if _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) != 0:
            break  # there are no more
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")


def _refuse(fd: int, error: BaseException) -> None:
    why = f"its sandbox could not be entered: {error}".encode()
    try:  # noqa: SIM105 - contextlib would slow the ground's start
        os.write(fd, struct.pack("!BI", _REFUSED, len(why)) + why)
    except OSError:
        pass


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        message = f"{what}: {os.strerror(number)}"
        if number == errno.EINVAL and what == "setns":
            message += " (Linux 5.8 and later can)"
        raise OSError(number, message)
