"""How a guest fetches its descriptors where it could not inherit them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.support.runner import GUEST_ROOT

from offload import runner

DOOR = str(Path(runner.__file__).with_name("door.py"))

# What a guest is given tells where it came out.
TELL = "import os; [os.write(fd, b'%d' % fd) for fd in (1, 2, 5, 6)]; print(os.readlink('/proc/self/fd/0'))"


def start(door: str, role: str, source: str, **options: object) -> subprocess.Popen[bytes]:
    guest = [sys.executable, "-I", "-S", "-c", source]
    command = [sys.executable, "-I", "-S", DOOR, door, role, *guest]
    return subprocess.Popen(command, **options)  # type: ignore[call-overload,no-any-return]


def let_in(door: socket.socket) -> list[int]:
    """Give the four descriptors and return their other ends."""
    pipes = [os.pipe() for _ in range(4)]
    socket.send_fds(door, [b"\0"], [write for _, write in pipes])
    for _, write in pipes:
        os.close(write)
    return [read for read, _ in pipes]


def read_all(fd: int) -> bytes:
    with os.fdopen(fd, "rb") as stream:
        return stream.read()


def test_what_comes_through_an_inherited_door_lies_where_a_guest_looks_for_it() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = start("0", "guest", TELL, stdin=theirs)

        ends = let_in(ours)

        process.wait()
    assert [read_all(fd) for fd in ends] == [b"1/dev/null\n", b"2", b"5", b"6"]


def test_a_door_can_be_a_path_where_the_network_is_shown_first() -> None:
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/door")
        listener.listen()
        process = start(f"{folder}/door", "guest", TELL)

        visitor, _ = listener.accept()
        with visitor:
            _, (namespace,), _, _ = socket.recv_fds(visitor, 1, 1)
            ends = let_in(visitor)

        process.wait()
    assert os.fstat(namespace).st_ino == Path("/proc/self/ns/net").stat().st_ino
    os.close(namespace)
    assert [read_all(fd) for fd in ends] == [b"1/dev/null\n", b"2", b"5", b"6"]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("import sys; sys.exit(7)", 7),
        ("import os; os.kill(os.getpid(), 11)", 128 + 11),
        ("import os; os.fork() or os._exit(3)", 0),  # another's end is not the guest's
    ],
    ids=["by itself", "by a signal", "after its child"],
)
def test_an_init_ends_as_its_guest_does(source: str, code: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = start("0", "init", source, stdin=theirs)

        ends = let_in(ours)

        assert process.wait() == code
    for fd in ends:
        os.close(fd)


def test_an_init_holds_none_of_its_guests_descriptors() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        close_and_wait = "import os; os.closerange(3, 7); os.read(1, 1)"
        process = start("0", "init", close_and_wait, stdin=theirs)

        ends = let_in(ours)

        assert read_all(ends[2]) == b""  # while both live
        process.kill()
        process.wait()
    for fd in (ends[0], ends[1], ends[3]):
        os.close(fd)


def test_a_guest_without_a_worker_says_so() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        process = start("0", "guest", TELL, stdin=theirs, stderr=subprocess.PIPE)
        ours.close()

        _, said = process.communicate()

    assert process.returncode == 1
    assert b"the worker closed the door" in said


def test_our_own_guest_starts_in_the_same_interpreter_and_imports_nothing_slow_before() -> None:
    ours, theirs = socket.socketpair()
    boot = str(Path(DOOR).with_name("boot.py"))
    command = [sys.executable, "-I", "-S", boot, GUEST_ROOT, "5", "6", "CORE=0"]
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-X", "importtime", "-I", "-S", DOOR, "0", "guest", *command],
            stdin=theirs,
            stderr=subprocess.DEVNULL,
        )
        hello, worker = socket.socketpair()
        reads = [os.pipe() for _ in range(3)]
        stdout, detail, stderr = (write for _, write in reads)

        socket.send_fds(ours, [b"\0"], [stdout, detail, worker.fileno(), stderr])
        worker.close()
        for fd in (stdout, detail, stderr):
            os.close(fd)
        hello.recv(1)
        hello.close()
        process.wait()

    said = b"".join(read_all(read) for read, _ in reads).decode()
    assert "offload.runner.main" in said
    before = said.partition("offload.wire.guest")[0]
    assert not {"socket", "selectors", "enum", "pathlib"} & set(before.split())
