"""The worker's side of the ground process; see `ground_process` for what it is and why."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import select
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.ports import ContainerStartError, RuntimeUnavailableError
from offload.worker.runtimes import ground_process
from offload.worker.runtimes.readiness import readable

if TYPE_CHECKING:
    from collections.abc import Mapping

_REPLY_BYTES = 64 * 1024
_PATIENCE_SECONDS = 20.0
_GONE = "the sandbox's ground process died; the next container starts on another"


@dataclass(frozen=True, slots=True)
class Scratch:
    """The bounded tmpfs of one container."""

    name: str
    size_bytes: int
    inodes: int

    @property
    def directory(self) -> str:
        """Where bubblewrap finds it."""
        return f"{ground_process.STAGING}/scratch/{self.name}"


@dataclass(frozen=True, slots=True)
class Spawn:
    """A process to start: `fds` become its 0, 1, 2, …; the caller keeps and closes its own copies."""

    argv: tuple[str, ...]
    uid: int
    fds: tuple[int, ...]
    scratch: Scratch | None = None
    network_fd: int | None = (
        None  # the network namespace it is started in; None: the ground's, which is the machine's
    )
    keeps_capabilities: bool = False  # as far as the gateway needs them


@dataclass(frozen=True, slots=True)
class Entry:
    """A process to start in a sandbox that runs, which has nothing but what the sandbox gives it."""

    argv: tuple[str, ...]  # paths are the sandbox's
    env: Mapping[str, str]
    uid: int  # in its user namespace
    filter: bytes = b""  # of system calls; empty: none
    keeps_capabilities: bool = False  # those that it has in the sandbox's user namespace


@dataclass(frozen=True, slots=True)
class Spawned:
    """A process of the ground; whoever gets it closes the pidfd."""

    pidfd: int


@dataclass(frozen=True, slots=True)
class _Staged:
    name: str
    identity: tuple[int, int]  # device and inode


class Ground:
    """Owns the ground process. Constructing it takes a few tens of milliseconds and blocks.

    Raises `RuntimeUnavailableError` when this machine does not give the namespaces.
    """

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own file under our own interpreter
                [sys.executable, "-I", "-S", ground_process.__file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,  # a Ctrl-C on the worker's terminal is the worker's to handle
            )
        self._lock = asyncio.Lock()
        self._staged: dict[str, _Staged] = {}
        self._stage_count = 0
        self._socket.settimeout(_PATIENCE_SECONDS)
        try:
            data = self._socket.recv(_REPLY_BYTES)
        except OSError as error:
            self.close()
            raise RuntimeUnavailableError(
                f"the sandbox's ground process did not start: {error}"
            ) from error
        self._socket.settimeout(0)
        if data != b"{}":
            self.close()
            refusal = json.loads(data or b'{"error": "the process ended at once", "errno": 0}')
            raise RuntimeUnavailableError(_explain_refusal(refusal["error"], refusal["errno"]))

    @property
    def is_alive(self) -> bool:
        """Whether it serves; one that does not takes everything it started along."""
        try:
            return self._socket.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:  # closed by us
            return False

    async def spawn(self, spawn: Spawn) -> Spawned:
        """Start a process on the ground.

        Raises `ContainerStartError`; then nothing was started.
        """
        async with self._lock:
            self._send(_spawn_request(spawn), _descriptors(spawn))
            await readable(self._socket.fileno())
            return self._take_spawned()

    async def enter(self, entry: Entry, first: int, fds: tuple[int, ...]) -> Spawned:
        """Start a process in the sandbox whose first process the pidfd `first` is; return what waits for it.

        `fds` are its conversation and the control groups that it puts itself into. Raises `ContainerStartError`; where the
        sandbox cannot be entered, the conversation says why.
        """
        request: dict[str, object] = {
            "enters": True,
            "argv": entry.argv,
            "env": dict(entry.env),
            "uid": entry.uid,
            "filter": entry.filter.hex(),
            "keeps_capabilities": entry.keeps_capabilities,
        }
        async with self._lock:
            self._send(request, (first, *fds))
            await readable(self._socket.fileno())
            return self._take_spawned()

    def spawn_now(self, spawn: Spawn) -> Spawned:
        """Start a process while no event loop uses this ground yet; blocks."""
        self._send(_spawn_request(spawn), _descriptors(spawn))
        self._await_now()
        return self._take_spawned()

    async def open_process(self, pid: int) -> int | None:
        """Return a pidfd of a process by its number on the ground; None when it is gone."""
        with suppress(ContainerStartError):
            async with self._lock:
                self._send({"open": pid}, ())
                await readable(self._socket.fileno())
                return self._take()[1][0]
        return None

    async def stage(self, paths: list[str]) -> dict[str, str]:
        """Make host paths reachable for an unprivileged uid; return where each one is now.

        A path whose directory was deleted and made anew is staged anew: a bind holds the old one.
        """
        async with self._lock:
            request = self._plan_staging(paths)
            if request is not None:
                self._send(request, ())
                await readable(self._socket.fileno())
                self._take_staged(paths)
            return self._places(paths)

    async def show_private(self, name: str, uid: int, paths: list[str]) -> dict[str, str]:
        """Let a uid read what is its owner's alone; return where, without what this kernel or file system cannot show so."""
        async with self._lock:
            self._send({"private": {"name": name, "uid": uid, "paths": paths}}, ())
            await readable(self._socket.fileno())
            reply, _ = self._take()
        places: dict[str, str] = reply["places"]  # type: ignore[assignment]  # see `ground_process`
        return places

    async def drop_private(self, name: str) -> None:
        """Take back what `show_private` showed under this name."""
        await self._drop({"drop_private": name})

    def stage_now(self, paths: list[str]) -> dict[str, str]:
        """Stage while no event loop uses this ground yet; blocks."""
        request = self._plan_staging(paths)
        if request is not None:
            self._send(request, ())
            self._await_now()
            self._take_staged(paths)
        return self._places(paths)

    def take_groups_now(self, directories: list[str]) -> None:
        """Have the ground remove these control groups when it ends because the worker died; blocks."""
        self._send({"groups": directories}, ())
        self._await_now()
        self._take()

    async def drop_scratch(self, scratch: Scratch) -> None:
        """Unmount a container's scratch; what still uses it keeps it until it ends."""
        await self._drop({"drop_scratch": scratch.name})

    def close(self) -> None:
        """End the ground and with it everything it started or mounted; blocks until all is gone. Idempotent."""
        self._socket.close()
        try:
            self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    async def _drop(self, request: dict[str, object]) -> None:
        with suppress(ContainerStartError):  # the ground is gone, and its mounts with it
            async with self._lock:
                self._send(request, ())
                await readable(self._socket.fileno())
                self._take()

    def _plan_staging(self, paths: list[str]) -> dict[str, object] | None:
        stage, unstage = [], []
        for path in dict.fromkeys(paths):
            try:
                status = Path(path).stat()
            except OSError as error:
                raise ContainerStartError(
                    f"cannot show {path} to the container: {error.strerror}"
                ) from error
            identity = (status.st_dev, status.st_ino)
            known = self._staged.get(path)
            if known is not None and known.identity == identity:
                continue
            if known is not None:
                unstage.append(known.name)
            self._stage_count += 1
            stage.append((path, str(self._stage_count)))
            self._staged[path] = _Staged(str(self._stage_count), identity)
        return {"unstage": unstage, "stage": stage} if stage else None

    def _take_staged(self, paths: list[str]) -> None:
        try:
            self._take()
        except ContainerStartError:
            for path in paths:
                self._staged.pop(path, None)
            raise

    def _places(self, paths: list[str]) -> dict[str, str]:
        return {
            path: f"{ground_process.STAGING}/source/{self._staged[path].name}" for path in paths
        }

    def _send(self, request: dict[str, object], fds: tuple[int, ...]) -> None:
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode()], fds)
        except OSError as error:
            raise ContainerStartError(_GONE) from error

    def _await_now(self) -> None:
        select.select([self._socket], [], [], _PATIENCE_SECONDS)

    def _take_spawned(self) -> Spawned:
        _, fds = self._take()
        return Spawned(fds[0])

    def _take(self) -> tuple[dict[str, object], list[int]]:
        try:
            data, received, _, _ = socket.recv_fds(self._socket, _REPLY_BYTES, 4)
        except OSError as error:
            raise ContainerStartError(_GONE) from error
        if not data:
            raise ContainerStartError(_GONE)
        for fd in received:
            os.set_inheritable(fd, False)
        reply: dict[str, object] = json.loads(data)
        if "error" in reply:
            raise ContainerStartError(f"the sandbox could not be prepared: {reply['error']}")
        return reply, list(received)


def _descriptors(spawn: Spawn) -> tuple[int, ...]:
    return spawn.fds if spawn.network_fd is None else (*spawn.fds, spawn.network_fd)


def _spawn_request(spawn: Spawn) -> dict[str, object]:
    scratch = spawn.scratch
    return {
        "argv": spawn.argv,
        "uid": spawn.uid,
        "enters_network": spawn.network_fd is not None,
        "keeps_capabilities": spawn.keeps_capabilities,
        "scratch": scratch
        and {"name": scratch.name, "bytes": scratch.size_bytes, "inodes": scratch.inodes},
    }


def _explain_refusal(message: str, number: int) -> str:
    if os.getuid() == 0:
        return (
            f"root here may not make a mount namespace ({message}): this container lacks CAP_SYS_ADMIN. "
            "Start the worker on the host, give it that capability, or run it as an ordinary user where user "
            "namespaces are allowed"
        )
    if number == errno.ENOSPC:
        return (
            f"no namespaces are allowed here ({message}): the sysctl user.max_user_namespaces (or user.max_pid_namespaces) "
            "is used up or 0. Ask for `sysctl -w user.max_user_namespaces=15000`"
        )
    return (
        f"this user may not make user namespaces ({message}). On Ubuntu 23.10 and later AppArmor forbids it: "
        "`sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`; on Debian before 11: "
        "`sysctl -w kernel.unprivileged_userns_clone=1`. In a Docker container start it with "
        "--security-opt seccomp=unconfined --security-opt apparmor=unconfined, or run the worker as root on the host"
    )
