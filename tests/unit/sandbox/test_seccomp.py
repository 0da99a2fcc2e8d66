"""The filter's answers, read by a small interpreter of its own instead of the kernel, for every machine it knows."""

from __future__ import annotations

import errno
import struct

import pytest

from offload.worker.sandbox import seccomp
from offload.worker.sandbox.seccomp import filter_program

_ALLOW = 0x7FFF0000
_NEWUSER, _NEWTIME, _THREAD = 0x10000000, 0x80, 0x3D0F00
_AF_UNIX, _AF_VSOCK, _AF_ALG, _AF_NETLINK = 1, 40, 38, 16
_ADDR_NO_RANDOMIZE = 0x40000


def answer(machine: str, call: str | int, *arguments: int, audit: int | None = None) -> str | None:
    """Return the errno's name that a call ends with; None where it is let through."""
    known = seccomp._MACHINES[machine]
    number = known.numbers[call] if isinstance(call, str) else call
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, known.audit if audit is None else audit, 0, *padded)
    code = run(filter_program(machine) or b"", data)
    return None if code == _ALLOW else errno.errorcode[code & 0xFFFF]


def run(program: bytes, data: bytes) -> int:
    instructions = list(struct.iter_unpack("<HBBI", program))
    at = accumulator = 0
    while True:
        code, if_true, if_false, value = instructions[at]
        at += 1
        if code == 0x06:
            return value
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, value)[0]
        else:
            holds = {
                0x15: accumulator == value,
                0x25: accumulator > value,
                0x45: accumulator & value != 0,
            }[code]
            at += if_true if holds else if_false


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_refused_call_of_a_machine_fails(machine: str) -> None:
    known = seccomp._MACHINES[machine].numbers

    answers = {name: answer(machine, name) for name in seccomp._FORBIDDEN if name in known}

    assert set(answers.values()) == {"EPERM"}
    assert {answer(machine, name) for name in seccomp._MISSING} == {"ENOSYS"}


def test_every_number_of_the_tables_is_used(machine: str) -> None:
    looked_at = {"clone", "unshare", "personality", "socket", "socketpair", "ioctl"}

    known = set(seccomp._MACHINES[machine].numbers)

    assert known - set(seccomp._FORBIDDEN) - set(seccomp._MISSING) == looked_at


def test_every_other_call_passes(machine: str) -> None:
    named = set(seccomp._MACHINES[machine].numbers.values())

    assert {answer(machine, number) for number in set(range(470)) - named} == {None}


@pytest.mark.parametrize("number", [470, 1000, 0x40000000 + 39, 0xFFFFFFFF])
def test_a_call_newer_than_the_list_and_one_of_x32_are_as_good_as_missing(
    machine: str, number: int
) -> None:
    assert answer(machine, number) == "ENOSYS"


def test_a_call_of_another_architecture_is_as_good_as_missing(machine: str) -> None:
    i386 = 0x40000003

    assert answer(machine, 20, audit=i386) == "ENOSYS"


@pytest.mark.parametrize(
    ("call", "argument", "expected"),
    [
        ("clone", _NEWUSER | _THREAD, "EPERM"),
        ("clone", _THREAD, None),
        ("clone", 17, None),  # fork: SIGCHLD
        ("unshare", _NEWUSER, "EPERM"),
        ("unshare", _NEWTIME, "EPERM"),
        ("unshare", 0x400, None),  # CLONE_FILES
        ("personality", _ADDR_NO_RANDOMIZE, "EPERM"),
        ("personality", 0xFFFFFFFF, None),
        ("personality", 0, None),
        ("socket", _AF_VSOCK, "EAFNOSUPPORT"),
        ("socket", _AF_ALG, "EAFNOSUPPORT"),
        ("socket", _AF_NETLINK, None),
        ("socket", _AF_UNIX, None),
        ("socketpair", _AF_UNIX, None),
        ("socketpair", _AF_VSOCK, "EAFNOSUPPORT"),
    ],
)
def test_some_calls_depend_on_what_they_ask_for(
    machine: str, call: str, argument: int, expected: str | None
) -> None:
    assert answer(machine, call, argument) == expected


@pytest.mark.parametrize("high", [0, 1 << 32])
def test_nothing_is_typed_into_a_terminal_whatever_the_upper_half_says(
    machine: str, high: int
) -> None:
    assert answer(machine, "ioctl", 0, high | 0x5412) == "EPERM"
    assert answer(machine, "ioctl", 0, high | 0x541C) == "EPERM"
    assert answer(machine, "ioctl", 0, high | 0x5413) is None  # TIOCGWINSZ


def test_a_machine_without_a_table_has_no_filter() -> None:
    assert filter_program("m68k") is None
