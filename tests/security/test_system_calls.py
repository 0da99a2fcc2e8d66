"""System calls from inside a container: those no container needs fail, and ordinary programs notice nothing."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.forked_runtime import ForkedRuntime
from tests.support.runtime_guest import GUEST_ARGV, a_spec, ask

from offload.worker.ports import Runtime, RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.options import RuntimeOptions
from offload.worker.sandbox import seccomp

Inside = Callable[..., list[object]]

_MACHINE = os.uname().machine
_NUMBERS = (
    seccomp._MACHINES[_MACHINE].numbers if seccomp.filter_program(_MACHINE) is not None else {}
)

pytestmark = pytest.mark.skipif(not _NUMBERS, reason=f"there is no filter for {_MACHINE}")

# Each of these would do its work, or fail with another errno, for a process without rights.
_ATTEMPTS = {
    "keyctl": ("0, -4 & 0xFFFFFFFF, 1", errno.EPERM),
    "add_key": ("b'user', b'a', b'b', 1, -4", errno.EPERM),
    "request_key": ("b'user', b'a', 0, 0", errno.EPERM),
    "io_uring_setup": ("1, bytes(120)", errno.ENOSYS),
    "clone3": ("0, 0", errno.ENOSYS),
    "userfaultfd": ("1", errno.EPERM),
    "kcmp": ("1, 1, 2, 0, 0", errno.EPERM),
    "perf_event_open": ("0, 0, -1, -1, 0", errno.EPERM),
    "open_tree": ("-100, b'/', 0", errno.EPERM),
    "setns": ("-1, 0", errno.EPERM),
    "unshare": ("0x10000000", errno.EPERM),
    "clone": ("0x10000011, 0, 0, 0, 0", errno.EPERM),
    "personality": ("0x40000", errno.EPERM),
    "fanotify_init": ("0x200, 0", errno.EPERM),
    "modify_ldt": ("0, 0, 0", errno.EPERM),
    "ioctl": ("0, 0x5412, b'x'", errno.EPERM),
    "socket": ("17, 3, 0", errno.EAFNOSUPPORT),
}

_CALL = (
    "[(libc := __import__('ctypes').CDLL(None, use_errno=True)).syscall({}), "
    "__import__('ctypes').get_errno()]"
)

# 32-bit Linux by the door that a 64-bit process has to it: getpid, as machine code.
_INT_80 = """
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(bytes.fromhex("b814000000cd80c3"))
print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))())
"""


@pytest.fixture(params=["plain", "forked"])
def inside(request: pytest.FixtureRequest, tmp_path: Path) -> Inside:
    """Return what evaluates expressions in one container, of either kind."""

    async def scenario(expressions: tuple[str, ...]) -> list[object]:
        try:
            bubblewrap = BubblewrapRuntime(RuntimeOptions(str(tmp_path), guest_argv=GUEST_ARGV))
        except RuntimeUnavailableError as error:
            pytest.skip(str(error))
        is_forked = request.param == "forked"
        runtime: Runtime = ForkedRuntime(bubblewrap) if is_forked else bubblewrap
        container = await runtime.start(a_spec(pids=64))
        answers = [await ask(container, expression) for expression in expressions]
        await container.close()
        await runtime.close()
        return answers

    return lambda *expressions: asyncio.run(scenario(expressions))


def test_every_process_inside_is_filtered(inside: Inside) -> None:
    status = "open('/proc/{}/status').read().split('Seccomp:')[1].split()[0]"

    assert inside(status.format("self"), status.format(1)) == ["2", "2"]


def test_what_a_process_without_rights_could_call_outside_fails(inside: Inside) -> None:
    attempts = {name: attempt for name, attempt in _ATTEMPTS.items() if name in _NUMBERS}
    calls = [_CALL.format(f"{_NUMBERS[name]}, {words}") for name, (words, _) in attempts.items()]

    answers = dict(zip(attempts, inside(*calls), strict=True))

    assert answers == {name: [-1, number] for name, (_, number) in attempts.items()}


def test_every_call_of_the_list_fails(inside: Inside) -> None:
    names = [name for name in seccomp._FORBIDDEN if name in _NUMBERS]
    calls = [_CALL.format(f"{_NUMBERS[name]}, 0, 0, 0, 0, 0") for name in names]

    answers = dict(zip(names, inside(*calls), strict=True))

    assert answers == {name: [-1, errno.EPERM] for name in names}


def run_python(source: str) -> str:
    return (
        f"(done := __import__('subprocess').run([{sys.executable!r}, '-I', '-c', {source!r}], "
        "capture_output=True, text=True)).stdout + done.stderr"
    )


@pytest.mark.skipif(_MACHINE != "x86_64", reason="only x86-64 has these doors")
def test_the_calls_of_32_bit_linux_and_of_x32_are_closed(inside: Inside) -> None:
    x32 = _CALL.format(0x40000000 + 39)

    i386_said, x32_said = inside(run_python(_INT_80), x32)

    assert i386_said == f"-{errno.ENOSYS}\n"
    assert x32_said == [-1, errno.ENOSYS]


_PROGRAMS = {
    "threads": """
import concurrent.futures, hashlib
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(len(set(pool.map(lambda n: hashlib.sha256(bytes([n]) * 100000).hexdigest(), range(64)))))
""",
    "processes": """
import multiprocessing, subprocess
with multiprocessing.get_context("fork").Pool(3) as pool:
    assert sum(pool.map(abs, range(-3, 1))) == 6
print(subprocess.getoutput("ls / | wc -l | sed s/.*/64/"))
""",
    "spawned processes and shared memory": """
import multiprocessing, multiprocessing.shared_memory as shared
block = shared.SharedMemory(create=True, size=64)
process = multiprocessing.get_context("spawn").Process(target=print, args=(64,), daemon=True)
process.start(); process.join(); block.unlink()
""",
    "asyncio": """
import asyncio, sys
async def echo(reader, writer):
    writer.write(await reader.read(10)); await writer.drain(); writer.close()
async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"64"); writer.write_eof()
    said = await reader.read()
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(64)", stdout=-1)
    assert (await child.communicate())[0].strip() == said
    print(await asyncio.to_thread(said.decode))
asyncio.run(main())
""",
    "sockets": """
import socket
one, two = socket.socketpair()
one.send(b"64")
assert socket.if_nameindex()
assert socket.getaddrinfo("localhost", 80)
socket.socket(socket.AF_INET6 if socket.has_ipv6 else socket.AF_INET, socket.SOCK_DGRAM).close()
print(two.recv(2).decode())
""",
    "files and memory": """
import mmap, os, sqlite3, tempfile
with tempfile.TemporaryDirectory() as folder:
    db = sqlite3.connect(folder + "/db"); db.execute("create table t (n)"); db.execute("insert into t values (64)"); db.commit()
    descriptor = os.memfd_create("x"); os.ftruncate(descriptor, 4096); mmap.mmap(descriptor, 4096)[0:1] = b"x"
    os.sched_setaffinity(0, os.sched_getaffinity(0)); os.getrandom(4); os.statvfs(folder)
    print(db.execute("select n from t").fetchone()[0])
""",
    "a terminal": """
import os, pty
pid, leader = pty.fork()
if pid == 0:
    print(64, end="", flush=True)
    os._exit(0)
print(os.read(leader, 10).decode())
""",
    "a debugger": """
import ctypes, os, signal
libc = ctypes.CDLL(None)
pid = os.fork()
if pid == 0:
    libc.ptrace(0, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(64)
assert os.WIFSTOPPED(os.waitpid(pid, 0)[1])
libc.ptrace(7, pid, 1, 0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
""",
}


@pytest.mark.parametrize("program", _PROGRAMS)
def test_ordinary_programs_work(inside: Inside, program: str) -> None:
    assert inside(run_python(_PROGRAMS[program])) == ["64\n"]
