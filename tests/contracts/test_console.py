"""What a console in a container is, whatever the container runs in."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import sys
import termios
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.consoles import PATIENCE_SECONDS, open_talk, run
from tests.support.forked_runtime import make_forked
from tests.support.image_runtime import ImageRuntime
from tests.support.runtime_guest import GUEST_ARGV, a_spec, ask

from offload.wire.guest import console
from offload.worker.ports import ConsoleRefusedError, RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.docker import DockerRuntime
from offload.worker.runtimes.gvisor import GvisorRuntime
from offload.worker.runtimes.options import RuntimeOptions
from offload.worker.runtimes.process import ProcessRuntime

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable, Iterator

    from offload.worker.ports import Container, Runtime

_MADE_BY: dict[str, Callable[[RuntimeOptions], Runtime]] = {
    "process": ProcessRuntime,
    "bubblewrap": BubblewrapRuntime,
    "forked": make_forked,
    "gvisor": GvisorRuntime,
    "docker": DockerRuntime,
}
_SANDBOXES = ["bubblewrap", "forked", "gvisor", "docker", "bubblewrap image", "docker docker_image"]

# What a process can say of itself: what the runner says must hold for the program too.
_SELF = """
import json, os, resource, sys
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
spaces = {}
for name in ("user", "mnt", "pid", "ipc", "uts", "net", "cgroup"):
    try:
        spaces[name] = os.readlink("/proc/self/ns/" + name)
    except OSError:
        pass
try:
    groups = open("/proc/self/cgroup").read()
except OSError:
    groups = ""
limits = [resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in ("NOFILE", "CORE", "DATA", "NPROC")]
held = {name: status.get(name, "") for name in ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")}
answer = [spaces, groups, limits, held, sorted(os.listdir("/")), sorted(name for name in os.environ if name not in ("LC_CTYPE", "PWD"))]
"""


_ON_TERMINAL = """
import os, signal
def say(*words):  # a handler that prints could come in the middle of a print
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def interrupted(*_):
    say("interrupted")
    os._exit(5)
# Not by print(), which may be under way when the signal comes.
signal.signal(signal.SIGINT, interrupted)
signal.signal(signal.SIGWINCH, lambda *_: say("now", *os.get_terminal_size()))
say(*os.get_terminal_size())
say("a terminal" if os.isatty(0) and os.isatty(1) and os.isatty(2) else "none", os.ttyname(0))
while True:
    signal.pause()
"""


@pytest.fixture(params=["process", *_SANDBOXES])
def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runtime]:
    name, _, image = request.param.partition(" ")
    options = RuntimeOptions(data_dir=str(tmp_path), guest_argv=GUEST_ARGV)
    if name == "docker":
        options = replace(options, docker_socket=request.getfixturevalue("docker_socket"))
    root = request.getfixturevalue(f"{image}_root") if image else None
    try:
        made = _MADE_BY[name](options)
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))
    yield ImageRuntime(made, root) if root is not None else made
    asyncio.run(made.close())


@asynccontextmanager
async def started(runtime: Runtime) -> AsyncIterator[Container]:
    container = await runtime.start(a_spec())
    try:
        await ask(container, "1")
        yield container
    finally:
        await container.close()


def test_a_program_on_pipes_reads_writes_and_ends_with_its_own_code(runtime: Runtime) -> None:
    async def scenario() -> tuple[bytes, bytes, int | None]:
        async with started(runtime) as container:
            script = "read line; echo got $line; echo bad >&2; exit 7"
            talk = await open_talk(container, ("sh", "-c", script))

            talk.say(console.INPUT, b"hello\n")

            await talk.hear()
            talk.sock.close()
            return talk.output, talk.errors, talk.code

    assert asyncio.run(scenario()) == (b"got hello\n", b"bad\n", 7)


def test_a_program_on_a_terminal_has_its_size_its_job_control_and_its_interrupts(
    runtime: Runtime,
) -> None:
    async def scenario() -> tuple[bytes, int | None]:
        async with started(runtime) as container:
            python = str(await ask(container, "__import__('sys').executable"))
            talk = await open_talk(container, (python, "-I", "-S", "-c", _ON_TERMINAL), (30, 111))
            await talk.hear(lambda talk: b"a terminal" in talk.output)

            talk.say(console.SIZE, console.pack_size(50, 99))
            await talk.hear(lambda talk: b"now 99 50" in talk.output)
            talk.say(console.INPUT, b"\x03")

            await talk.hear()
            talk.sock.close()
            return talk.output, talk.code

    output, code = asyncio.run(scenario())
    assert b"111 30" in output
    assert b"a terminal /dev/pts/" in output
    assert b"interrupted" in output
    assert code == 5


def test_without_a_program_there_is_a_shell(runtime: Runtime) -> None:
    async def scenario() -> tuple[bytes, int | None]:
        async with started(runtime) as container:
            talk = await open_talk(container, (), (24, 80))

            talk.say(console.INPUT, b"echo $((40 + 2)) from a shell; exit 3\r")

            await talk.hear()
            talk.sock.close()
            return talk.output, talk.code

    output, code = asyncio.run(scenario())
    assert b"42 from a shell" in output
    assert code == 3


def test_a_program_that_is_not_there_ends_as_in_a_shell(runtime: Runtime) -> None:
    async def scenario() -> tuple[int | None, bytes]:
        async with started(runtime) as container:
            talk = await run(container, "no-such-program")
            return talk.code, talk.errors

    code, errors = asyncio.run(scenario())
    assert code == 127
    assert b"no-such-program" in errors


def test_a_program_that_a_signal_ends_tells_which(runtime: Runtime) -> None:
    async def scenario() -> int | None:
        async with started(runtime) as container:
            talk = await open_talk(container, ("sh", "-c", "echo up; exec sleep 1000"))
            await talk.hear(lambda talk: b"up" in talk.output)

            talk.say(console.SIGNAL, bytes([signal.SIGTERM]))

            await talk.hear()
            talk.sock.close()
            return talk.code

    assert asyncio.run(scenario()) == 128 + signal.SIGTERM


def test_megabytes_go_both_ways_whole(runtime: Runtime) -> None:
    data = bytes(range(256)) * 8192

    async def scenario() -> tuple[bytes, int | None]:
        async with started(runtime) as container:
            talk = await open_talk(container, ("cat",))
            hearing = asyncio.create_task(talk.hear())
            loop = asyncio.get_running_loop()
            for at in range(0, len(data), console.PIECE_BYTES):
                piece = data[at : at + console.PIECE_BYTES]
                await loop.sock_sendall(talk.sock, console.pack(console.INPUT, piece))
            await loop.sock_sendall(talk.sock, console.pack(console.INPUT_END))
            await hearing
            talk.sock.close()
            return talk.output, talk.code

    output, code = asyncio.run(scenario())
    assert code == 0
    assert output == data


def test_it_answers_while_user_code_holds_the_interpreter(runtime: Runtime) -> None:
    async def scenario() -> bytes:
        async with started(runtime) as container:
            container.socket.setblocking(True)
            # One long computation inside the interpreter: no thread of it gets a turn.
            container.socket.sendall(json.dumps("len(str(9 ** 9 ** 9))").encode() + b"\n")

            talk = await run(container, "sh", "-c", "echo alive")

            return talk.output

    assert asyncio.run(scenario()) == b"alive\n"


def test_what_a_worker_hangs_up_on_ends_with_all_of_its_session(runtime: Runtime) -> None:
    async def scenario() -> None:
        async with started(runtime) as container:
            script = "trap '' HUP; sleep 4711 & sleep 4711 & echo up; wait"
            talk = await open_talk(container, ("sh", "-c", script), (24, 80))
            await talk.hear(lambda talk: b"up" in talk.output)

            talk.sock.close()

            async with asyncio.timeout(PATIENCE_SECONDS):
                while b"4711" in (await run(container, *_LIST)).output:
                    pass

    asyncio.run(scenario())


def test_a_worker_that_goes_is_noticed_while_the_program_reads_nothing(runtime: Runtime) -> None:
    async def scenario() -> None:
        async with started(runtime) as container:
            talk = await open_talk(container, ("sh", "-c", "echo up; exec sleep 4711"))
            await talk.hear(lambda talk: b"up" in talk.output)
            piece = console.pack(console.INPUT, b"x" * console.PIECE_BYTES)
            loop = asyncio.get_running_loop()
            # More than the program's pipe and the console take: it reads no more by then.
            for _ in range(6):
                await loop.sock_sendall(talk.sock, piece)

            talk.sock.close()

            async with asyncio.timeout(PATIENCE_SECONDS):
                while b"4711" in (await run(container, *_LIST)).output:
                    pass

    asyncio.run(scenario())


_LIST = (
    "sh",
    "-c",
    "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $f; echo; done 2>/dev/null | grep 'sleep 47[1]1'",
)


def test_it_ends_with_its_container_and_is_refused_after_it(runtime: Runtime) -> None:
    async def scenario() -> bool:
        container = await runtime.start(a_spec())
        await ask(container, "1")
        talk = await open_talk(container, ("sh", "-c", "echo up; exec sleep 1000"), (24, 80))
        await talk.hear(lambda talk: b"up" in talk.output)

        await container.close()

        await talk.hear()
        talk.sock.close()
        with pytest.raises(ConsoleRefusedError):
            await container.open_console()
        return talk.is_over

    assert asyncio.run(scenario())


def test_a_container_ends_while_nobody_hears_what_its_program_says(runtime: Runtime) -> None:
    async def scenario() -> None:
        async with started(runtime) as container:
            talk = await open_talk(container, ("cat", "/dev/zero"))
            async with asyncio.timeout(PATIENCE_SECONDS):
                with talk.sock:
                    while _unheard_bytes(talk.sock) < console.PIECE_BYTES:
                        await run(container, "true")

                    container.kill()
                    await container.wait()
                    await container.close()

    asyncio.run(scenario())


def _unheard_bytes(sock: socket.socket) -> int:
    return int.from_bytes(fcntl.ioctl(sock, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_consoles_that_have_ended_leave_no_processes_to_the_worker(runtime: Runtime) -> None:
    async def scenario() -> None:
        async with started(runtime) as container:
            before = _unreaped_children()  # of other tests
            for _ in range(3):
                await run(container, "true")

            async with asyncio.timeout(PATIENCE_SECONDS):
                while _unreaped_children() > before + 1:  # the last may be about to be seen to
                    await run(container, "true")

    asyncio.run(scenario())


def _unreaped_children() -> int:
    found = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            found += state == "Z" and int(parent) == os.getpid()
    return found


def test_what_holds_the_runner_holds_the_program(runtime: Runtime) -> None:
    async def scenario() -> tuple[list[object], list[object]]:
        async with started(runtime) as container:
            of_runner = await ask(
                container, f"(lambda s: (exec({_SELF!r}, s), s['answer'])[1])({{}})"
            )
            python = await ask(container, "__import__('sys').executable")
            talk = await run(
                container, str(python), "-I", "-S", "-c", f"{_SELF}\nprint(json.dumps(answer))"
            )
            assert talk.code == 0, talk.errors
            assert isinstance(of_runner, list)
            return of_runner, json.loads(talk.output)

    of_runner, of_program = asyncio.run(scenario())
    if (
        runtime.capabilities.name == "gvisor"
    ):  # it makes the numbers of namespaces up each time it is asked
        of_runner, of_program = of_runner[1:], of_program[1:]
    assert of_program == of_runner
