"""Which system calls no container needs, as the BPF program that bubblewrap hands to the kernel.

A container has no capabilities and cannot get any, so most of these calls would fail in it anyway. What the filter takes away is
the way into the kernel's code: that of mounts, keys, BPF, io_uring and rare network protocols is where holes were found.

It is a list of what is refused, because user code is anything that runs on Linux; but calls that are newer than this list are
refused too, as a kernel without them would, so that nothing new is open before somebody has looked at it.

The program is a row of blocks. Each looks at one thing and either returns an answer or falls through to the next, so no jump leaves
its block. The kernel (5.11 and later) remembers for each call that is answered by its number alone that it is allowed.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# The last call that was looked at: file_setattr, Linux 6.17. x32 calls have numbers far above.
_NEWEST = 469

_ALLOW = 0x7FFF0000
_FAIL = 0x00050000  # and the errno

_LOAD, _IF_EQUAL, _IF_GREATER, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06

# Offsets in the kernel's struct seccomp_data; of an argument, which has 64 bits, the lower half: all that is looked at are ints.
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

# Every CLONE_NEW… but that of time, whose bit is part of the signal's number in clone().
_NEW_NAMESPACES = 0x7E020000
_NEW_TIME = 0x80

_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

# AF_UNIX, AF_INET and AF_INET6; of AF_NETLINK only the protocol by which every program looks up the machine's addresses. The
# others are ways into the kernel's packet filters, which a fork that has kept its capabilities could take.
_SOCKET_FAMILIES = (1, 2, 10)
_NETLINK, _NETLINK_ROUTE = 16, 0

# What programs ask for that want 32-bit addresses, and the question which one it is.
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class _Machine:
    audit: int  # AUDIT_ARCH_…
    numbers: Mapping[str, int]


# Calls since Linux 5.1 have one number everywhere.
_COMMON = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "clone3": 435, "mount_setattr": 442,
    "quotactl_fd": 443, "open_tree_attr": 467,
}  # fmt: skip

_MACHINES = {
    "x86_64": _Machine(0xC000003E, _COMMON | {
        "ioctl": 16, "socket": 41, "socketpair": 53, "clone": 56, "syslog": 103, "uselib": 134, "personality": 135,
        "ustat": 136, "sysfs": 139, "vhangup": 153, "modify_ldt": 154, "pivot_root": 155, "_sysctl": 156, "chroot": 161,
        "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169,
        "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173, "create_module": 174, "init_module": 175,
        "delete_module": 176, "get_kernel_syms": 177, "query_module": 178, "quotactl": 179, "nfsservctl": 180,
        "lookup_dcookie": 212, "clock_settime": 227, "kexec_load": 246, "add_key": 248, "request_key": 249,
        "keyctl": 250, "unshare": 272, "perf_event_open": 298, "fanotify_init": 300, "open_by_handle_at": 304,
        "setns": 308, "kcmp": 312, "finit_module": 313, "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323,
    }),
    "aarch64": _Machine(0xC00000B7, _COMMON | {
        "lookup_dcookie": 18, "ioctl": 29, "umount2": 39, "mount": 40, "pivot_root": 41, "nfsservctl": 42, "chroot": 51,
        "vhangup": 58, "quotactl": 60, "acct": 89, "personality": 92, "unshare": 97, "kexec_load": 104,
        "init_module": 105, "delete_module": 106, "clock_settime": 112, "syslog": 116, "reboot": 142,
        "sethostname": 161, "setdomainname": 162, "settimeofday": 170, "socket": 198, "socketpair": 199, "add_key": 217,
        "request_key": 218, "keyctl": 219, "clone": 220, "swapon": 224, "swapoff": 225, "perf_event_open": 241,
        "fanotify_init": 262, "open_by_handle_at": 265, "setns": 268, "kcmp": 272, "finit_module": 273, "bpf": 280,
        "userfaultfd": 282, "kexec_file_load": 294,
    }),
}  # fmt: skip

# Programs that try these go on without where a kernel lacks them: the C library starts threads by clone(), whose flags can
# be looked at, while clone3() has them in memory, where the program could change them after the look.
_MISSING = ("clone3", "io_uring_setup", "io_uring_enter", "io_uring_register")

_FORBIDDEN = (
    # the view of the file system
    "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr", "fsopen", "fsconfig",
    "fsmount", "fspick", "mount_setattr", "open_by_handle_at", "fanotify_init", "quotactl", "quotactl_fd", "setns",
    # the machine
    "reboot", "kexec_load", "kexec_file_load", "swapon", "swapoff", "acct", "settimeofday", "clock_settime",
    "sethostname", "setdomainname", "vhangup", "iopl", "ioperm", "modify_ldt", "syslog",
    # the kernel itself
    "init_module", "finit_module", "delete_module", "create_module", "get_kernel_syms", "query_module", "bpf",
    "perf_event_open", "userfaultfd", "lookup_dcookie", "kcmp",
    # keys, which are kept per user and not per namespace
    "add_key", "request_key", "keyctl",
    # relics
    "nfsservctl", "uselib", "ustat", "sysfs", "_sysctl",
)  # fmt: skip


def filter_program(machine: str, *, may_enter: bool = False) -> bytes | None:
    """Return the program for a machine as `uname` names it; None for one that has no table here.

    A template may enter the namespaces that it is handed: its forks do, and then take `entering_filter` as well.
    """
    known = _MACHINES.get(machine)
    if known is None:
        return None
    number = known.numbers
    forbidden = [name for name in _FORBIDDEN if not (may_enter and name == "setns")]
    blocks = [
        # Another architecture's calls (32-bit ones) have other numbers.
        (_load(_ARCHITECTURE), _skip_if(_IF_EQUAL, known.audit, 1), _fail(errno.ENOSYS)),
        (_load(_NUMBER), _skip_unless(_IF_GREATER, _NEWEST, 1), _fail(errno.ENOSYS)),
        *(_refuse(number[name], errno.ENOSYS) for name in _MISSING),
        *(_refuse(number[name], errno.EPERM) for name in forbidden if name in number),
        _refuse_bits(number["clone"], _NEW_NAMESPACES),
        _refuse_bits(number["unshare"], _NEW_NAMESPACES | _NEW_TIME),
        _refuse_others(number["personality"], 0, _PERSONALITIES, errno.EPERM),
        _refuse_sockets(number["socket"]),
        _refuse_sockets(number["socketpair"]),
        # What would type into the terminal of somebody who looks in.
        _refuse_these(number["ioctl"], 1, (_TIOCSTI, _TIOCLINUX)),
        (_allow(),),
    ]
    return b"".join(instruction for block in blocks for instruction in block)


def entering_filter(machine: str) -> bytes | None:
    """Return the program that takes back what a template's filter allows beyond a container's."""
    known = _MACHINES.get(machine)
    if known is None:
        return None
    blocks = [
        (_load(_ARCHITECTURE), _skip_if(_IF_EQUAL, known.audit, 1), _fail(errno.ENOSYS)),
        (_load(_NUMBER),),
        _refuse(known.numbers["setns"], errno.EPERM),
        (_allow(),),
    ]
    return b"".join(instruction for block in blocks for instruction in block)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _load(offset: int) -> bytes:
    return _instruction(_LOAD, offset)


def _load_argument(index: int) -> bytes:
    return _load(_ARGUMENTS + 8 * index)


def _skip_if(test: int, value: int, count: int) -> bytes:
    return _instruction(test, value, if_true=count)


def _skip_unless(test: int, value: int, count: int) -> bytes:
    return _instruction(test, value, if_false=count)


def _allow() -> bytes:
    return _instruction(_RETURN, _ALLOW)


def _fail(number: int) -> bytes:
    return _instruction(_RETURN, _FAIL | number)


def _refuse(number: int, error: int) -> tuple[bytes, ...]:
    return (_skip_unless(_IF_EQUAL, number, 1), _fail(error))


def _when(number: int, body: Iterable[bytes]) -> tuple[bytes, ...]:
    """Run the body, whose every way ends in an answer, for this call only."""
    instructions = tuple(body)
    return (_skip_unless(_IF_EQUAL, number, len(instructions)), *instructions)


def _refuse_bits(number: int, bits: int) -> tuple[bytes, ...]:
    return _when(
        number,
        (_load_argument(0), _skip_unless(_IF_ANY_BIT, bits, 1), _fail(errno.EPERM), _allow()),
    )


def _refuse_others(
    number: int, argument: int, allowed: tuple[int, ...], error: int
) -> tuple[bytes, ...]:
    tests = (
        _skip_if(_IF_EQUAL, value, len(allowed) - at) for at, value in enumerate(allowed)
    )  # over the tests that follow and the refusal
    return _when(number, (_load_argument(argument), *tests, _fail(error), _allow()))


def _refuse_sockets(number: int) -> tuple[bytes, ...]:
    netlink = (
        _load_argument(2),
        _skip_if(_IF_EQUAL, _NETLINK_ROUTE, 1),
        _fail(errno.EPROTONOSUPPORT),
        _allow(),
    )
    families = (
        _skip_if(_IF_EQUAL, value, len(_SOCKET_FAMILIES) - at)
        for at, value in enumerate(_SOCKET_FAMILIES)
    )
    return _when(
        number,
        (
            _load_argument(0),
            _skip_unless(_IF_EQUAL, _NETLINK, len(netlink)),
            *netlink,
            *families,
            _fail(errno.EAFNOSUPPORT),
            _allow(),
        ),
    )


def _refuse_these(number: int, argument: int, refused: tuple[int, ...]) -> tuple[bytes, ...]:
    tests = (_skip_if(_IF_EQUAL, value, len(refused) - at) for at, value in enumerate(refused))
    return _when(number, (_load_argument(argument), *tests, _allow(), _fail(errno.EPERM)))
