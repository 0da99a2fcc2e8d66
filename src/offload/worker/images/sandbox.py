"""Runs the commands of a build in sandboxes: bubblewrap in a user namespace that has many users and is never the host's root."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.core.text import LineSplitter, cut
from offload.worker.images import namespace_process
from offload.worker.ports import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from offload.worker.images.ids import IdMap

# newuidmap is looked for in it.
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}

MAX_LINE_BYTES = 4096
LAST_LINES = 20
_READ_BYTES = 64 * 1024

# What a container engine's root has by default: enough for packages and their scripts, and none that reaches beyond.
BUILD_CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "SETGID", "SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE",
    "SYS_CHROOT", "KILL", "AUDIT_WRITE",
)  # fmt: skip

# Of the host's root, where a tool of the host runs.
_HIDDEN = ("/home", "/root", "/tmp", "/var/tmp", "/run", "/mnt", "/media", "/var/log", "/boot")  # noqa: S108 - hidden


@dataclass(frozen=True, slots=True)
class Bind:
    """A path of the host at a place in the sandbox."""

    source: str
    target: str
    is_writable: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """What to run and in what."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    layers: tuple[
        str, ...
    ] = ()  # directories that make the root, lowest first; none: the host's root, read-only
    upper: tuple[str, str] | None = (
        None  # where what changes of them goes, and the overlay's work directory
    )
    overlay_at: str = "/"  # where the layers are; elsewhere than at / the root is the host's
    binds: tuple[Bind, ...] = ()
    working_dir: str = "/"
    stdin: int | None = None
    all_capabilities: bool = False  # for a tool of ours that mounts and changes its root
    is_terminal: bool = False  # the caller's own descriptors, not pipes


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    code: int
    last_lines: tuple[str, ...]
    first_line: str = ""


class BuildSandbox:
    """Makes one sandbox per command."""

    def __init__(self, bwrap: str, ids: IdMap, scaffold: Path) -> None:
        self.ids = ids
        self._bwrap = bwrap
        self._scaffold = scaffold

    async def run(
        self, command: Command, on_line: Callable[[str], None] = lambda _: None
    ) -> Result:
        """Run a command to its end and return how it ended; cancelled, it is killed with all it started."""
        stage = _Stage()
        arguments_fd = _as_file(self._arguments(command, stage))
        output_fd, their_output_fd = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._wrapped(stage, command, arguments_fd),
                stdin=command.stdin if command.stdin is not None else asyncio.subprocess.DEVNULL,
                stdout=their_output_fd,
                stderr=their_output_fd,
                pass_fds=(arguments_fd,),
                env=_ENVIRONMENT,
                start_new_session=True,
            )
        except BaseException:
            os.close(output_fd)
            raise
        finally:
            os.close(arguments_fd)
            os.close(their_output_fd)
        return await _watch(process, output_fd, on_line)

    def run_on_terminal(
        self, argv: tuple[str, ...], env: Mapping[str, str], layers: tuple[str, ...], folder: str
    ) -> int:
        """Run a command for a person, on this process's own terminal, and return its exit code; blocks."""
        command = Command(argv, env, layers, working_dir=folder, is_terminal=True)
        stage = _Stage()
        arguments_fd = _as_file(self._arguments(command, stage))
        try:
            return subprocess.run(  # noqa: S603 - the purpose
                self._wrapped(stage, command, arguments_fd),
                pass_fds=(arguments_fd,),
                env=_ENVIRONMENT,
                check=False,
            ).returncode
        finally:
            os.close(arguments_fd)

    def remove_now(self, path: Path) -> None:
        """Remove a tree whose files belong to the build's users; blocks."""
        order = self._order(_Stage(), ("/bin/rm", "-rf", "--one-file-system", str(path)))
        subprocess.run(order, env=_ENVIRONMENT, check=False, capture_output=True)  # noqa: S603 - our own

    def _wrapped(self, stage: _Stage, command: Command, arguments_fd: int) -> list[str]:
        bwrap = self._staged_bwrap(stage)
        return self._order(stage, (bwrap, "--args", str(arguments_fd), "--", *command.argv))

    def _order(self, stage: _Stage, argv: Sequence[str]) -> list[str]:
        order = {
            "map": self.ids.kind,
            "uids": self.ids.uids,
            "gids": self.ids.gids,
            "stage": stage.paths,
            "argv": argv,
        }
        return [
            sys.executable, "-I", "-S", namespace_process.__file__, json.dumps(order), str(os.getpid()),
        ]  # fmt: skip

    def _staged_bwrap(self, stage: _Stage) -> str:
        if self._bwrap.startswith("/usr/"):
            return self._bwrap
        # The wheel's program needs the library directory beside its package, so both are staged.
        home = str(Path(self._bwrap).parents[2])
        return self._bwrap.replace(home, stage(home), 1)

    def _arguments(self, command: Command, stage: _Stage) -> tuple[str, ...]:
        arguments = [
            *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup"),
            *("--hostname", "offload-build", "--die-with-parent"),
        ]
        if not command.is_terminal:
            arguments.append("--new-session")
        if command.all_capabilities:
            arguments += ["--cap-add", "ALL"]
        else:
            arguments += ["--cap-drop", "ALL"]
            for name in BUILD_CAPABILITIES:
                arguments += ["--cap-add", f"CAP_{name}"]
        if command.overlay_at == "/" and command.layers:
            arguments += self._overlay(command, stage)
        else:
            arguments += self._host_root(command, stage)
        for bind in command.binds:
            kind = "--bind" if bind.is_writable else "--ro-bind"
            arguments += [kind, stage(bind.source), bind.target]
        for name, value in command.env.items():
            arguments += ["--setenv", name, value]
        return (*arguments, "--chdir", command.working_dir)

    def _overlay(self, command: Command, stage: _Stage) -> list[str]:
        arguments = self._mount_layers(command, stage, "/")
        arguments += ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run"]
        for path in ("/etc/resolv.conf", "/etc/hosts"):
            if Path(path).exists():
                arguments += ["--ro-bind", stage(str(Path(path).resolve())), path]
        return arguments

    def _host_root(self, command: Command, stage: _Stage) -> list[str]:
        arguments = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
        resolver = str(Path("/etc/resolv.conf").resolve())
        interpreter = str(Path(sys.base_prefix).resolve())
        shown = [
            path
            for path in (resolver, interpreter)
            if path.startswith(tuple(f"{h}/" for h in _HIDDEN))
        ]
        for path in _HIDDEN:
            if Path(path).is_dir():
                arguments += ["--perms", "0755", "--tmpfs", path]
        for path in shown:
            arguments += ["--ro-bind", stage(path), path]
        if command.layers or command.upper:
            arguments += ["--dir", command.overlay_at]
            arguments += self._mount_layers(command, stage, command.overlay_at)
        return arguments

    def _mount_layers(self, command: Command, stage: _Stage, target: str) -> list[str]:
        sources: list[str] = []
        for layer in command.layers:
            sources += ["--overlay-src", stage(layer)]
        if command.upper is None:
            return [*sources, "--overlay-src", stage(str(self._scaffold)), "--tmp-overlay", target]
        upper, work = command.upper
        if not command.layers:
            return ["--bind", stage(upper), target]
        # Both in one bind: the kernel wants them on one mount.
        place = stage(str(Path(upper).parent))
        return [
            *sources, *("--overlay-src", stage(str(self._scaffold))),
            "--overlay", f"{place}/{Path(upper).name}", f"{place}/{Path(work).name}", target,
        ]  # fmt: skip


class _Stage:
    """Paths of the host and where they are staged."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def __call__(self, path: str) -> str:
        if path not in self.paths:
            self.paths.append(path)
        return f"{namespace_process.STAGING}/{self.paths.index(path)}"


def _as_file(arguments: Sequence[str]) -> int:
    """Hold the arguments in memory: a pipe has a bound, and some of them are nobody else's to read."""
    fd = os.memfd_create("offload-build-arguments")
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write("".join(f"{argument}\0" for argument in arguments).encode())
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


async def _watch(
    process: asyncio.subprocess.Process, output_fd: int, on_line: Callable[[str], None]
) -> Result:
    last: deque[str] = deque(maxlen=LAST_LINES)
    first: list[str] = []

    def take(lines: list[str]) -> None:
        for line in lines:
            # What a program has written over stands before a carriage return.
            text = cut(line.rpartition("\r")[2], MAX_LINE_BYTES)
            last.append(text)
            if not first:
                first.append(text)
            on_line(text)

    splitter = LineSplitter()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(output_fd, "rb", 0)
    )
    try:
        while data := await reader.read(_READ_BYTES):
            take(splitter.feed(data))
        take(splitter.finish())
        code = await process.wait()
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        # What it started ends a little later: with the last of it the output ends, and nothing writes to the layer any more.
        while await reader.read(_READ_BYTES):
            pass
        raise
    finally:
        transport.close()
    if code == namespace_process.FAILED and last and last[-1].startswith(namespace_process.PREFIX):
        raise ImageError(f"a build could not be sandboxed: {last[-1]}", last_lines=tuple(last))
    return Result(code, tuple(last), first[0] if first else "")
