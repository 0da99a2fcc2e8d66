"""Programs that people run in containers are inside the sandbox, and getting them there opens nothing to who is inside already."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from tests.support.consoles import open_talk, run
from tests.support.forked_runtime import make_forked
from tests.support.runtime_guest import GUEST_ARGV, a_spec, ask

from offload.wire.guest import console
from offload.worker.ports import RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.options import RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from offload.worker.ports import Container, Runtime

# Each is one way out, or to more rights. What it prints is what it got; nothing but refusals is expected.
_ATTEMPTS = r"""
import ctypes, fcntl, json, os, termios
libc = ctypes.CDLL(None, use_errno=True)
add_key, bpf = {"x86_64": (248, 321), "aarch64": (217, 280)}.get(os.uname().machine, (-1, -1))
descriptors = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))
got = []
def attempt(name, work):
    try:
        result = work()
    except OSError:
        return
    if result is None or result >= 0:
        got.append(name)
def call(*words):
    result = libc.syscall(*words)
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result
attempt("mount", lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))
attempt("a user namespace", lambda: libc.unshare(0x10000000))
attempt("a mount namespace", lambda: libc.unshare(0x00020000))
for name in ("user", "mnt", "pid", "net"):
    attempt("joining " + name, lambda: libc.setns(os.open("/proc/1/ns/" + name, os.O_RDONLY), 0))
attempt("a key", lambda: call(add_key, b"user", b"x", b"x", 1, -3))
attempt("bpf", lambda: call(bpf, 0, None, 0))
attempt("another root", lambda: libc.chroot(b"/tmp"))
attempt("another user", lambda: os.setuid(0))
attempt("the kernel's settings", lambda: os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
attempt("the control groups", lambda: len(os.listdir("/sys/fs/cgroup")) - 1)
attempt("the host's secrets", lambda: os.open("/etc/shadow", os.O_RDONLY))
attempt("typing into its terminal", lambda: fcntl.ioctl(0, termios.TIOCSTI, b"x") and 0)
attempt("a device", lambda: os.mknod("/tmp/disk", 0o60600, os.makedev(8, 0)))
print(json.dumps([got, descriptors]))
"""

# Looks into every process that appears, and tells of each that has rights and could be looked into while it had them.
_WATCH = r"""
import json, os, select, sys
def rights(pid):
    fields = dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status") if ":\t" in line)
    return int(fields["CapEff"], 16) or int(fields["CapPrm"], 16) or "1000" not in fields["Uid"].split()
seen, found = set(), []
print("watching", flush=True)
while not select.select([0], [], [], 0)[0]:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if not rights(pid):
                continue
            if not seen:
                print("saw one", flush=True)
            seen.add(pid)
            for what, look in (
                ("memory", lambda: os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY))),
                ("variables", lambda: open(f"/proc/{pid}/environ").read()),
                ("descriptors", lambda: os.listdir(f"/proc/{pid}/fd")),
                ("program", lambda: os.readlink(f"/proc/{pid}/exe")),
                ("root", lambda: os.listdir(f"/proc/{pid}/root/")),
            ):
                try:
                    look()
                except OSError:
                    continue
                if rights(pid):
                    found.append(what)
        except (OSError, KeyError, ValueError):
            continue
print(json.dumps(found))
"""

_MADE_BY = {"bubblewrap": BubblewrapRuntime, "forked": make_forked}


@pytest.fixture(params=_MADE_BY)
def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runtime]:
    options = RuntimeOptions(data_dir=str(tmp_path), guest_argv=GUEST_ARGV)
    try:
        made: Runtime = _MADE_BY[request.param](options)
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))
    yield made
    asyncio.run(made.close())


async def python_of(container: Container) -> str:
    return str(await ask(container, "__import__('sys').executable"))


@pytest.mark.parametrize("size", [None, (24, 80)], ids=["pipes", "terminal"])
def test_a_program_gets_out_by_no_way(runtime: Runtime, size: tuple[int, int] | None) -> None:
    async def scenario() -> list[object]:
        container = await runtime.start(a_spec())
        try:
            python = await python_of(container)
            talk = await open_talk(container, (python, "-I", "-S", "-c", _ATTEMPTS), size)
            await talk.hear()
            talk.sock.close()
            assert talk.code == 0, (talk.output, talk.errors)
            answer: list[object] = json.loads(talk.output)
            return answer
        finally:
            await container.close()

    got, descriptors = asyncio.run(scenario())
    assert got == []
    assert isinstance(descriptors, list)
    assert [fd for fd in descriptors if fd > 3] == []  # 3 is what lists them


def test_what_enters_cannot_be_looked_into_by_who_is_inside(runtime: Runtime) -> None:
    async def scenario() -> list[object]:
        container = await runtime.start(a_spec())
        try:
            python = await python_of(container)
            watcher = await open_talk(container, (python, "-I", "-S", "-c", _WATCH))
            await watcher.hear(lambda talk: b"watching" in talk.output)

            hearing = asyncio.create_task(watcher.hear())
            rounds = 0
            while rounds < 15 or b"saw" not in watcher.output:
                assert (await run(container, "true")).code == 0
                assert not hearing.done()
                rounds += 1

            watcher.say(console.INPUT_END)
            await hearing
            watcher.sock.close()
            answer: list[object] = json.loads(watcher.output.splitlines()[-1])
            return answer
        finally:
            await container.close()

    assert asyncio.run(scenario()) == []


def test_a_program_that_kills_its_console_harms_nobody_else(runtime: Runtime) -> None:
    async def scenario() -> tuple[int | None, object, bytes]:
        container = await runtime.start(a_spec())
        try:
            await ask(container, "1")
            talk = await open_talk(container, ("sh", "-c", "kill -9 $PPID; sleep 1000"), (24, 80))
            await talk.hear()
            talk.sock.close()
            again = await run(container, "echo", "again")
            return talk.code, await ask(container, "6 * 7"), again.output
        finally:
            await container.close()

    assert asyncio.run(scenario()) == (None, 42, b"again\n")
