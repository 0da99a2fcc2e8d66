"""A running container of the Docker Engine: how it gets its descriptors, is watched, killed and cleared away."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.docker_engine import DockerEngine, DockerError
from offload.worker.ports import ConsoleRefusedError, ContainerStartError, Exit
from offload.worker.runtimes.docker_console import open_console
from offload.worker.runtimes.readiness import readable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from offload.worker.ports import ContainerSpec
    from offload.worker.runtimes.pipes import Pipes
    from offload.worker.runtimes.uids import UidRange

    # Puts a link into a network namespace. Raises `ContainerStartError`.
    Connect = Callable[[int], Awaitable[None]]

_GIVEN = (
    "stdout",
    "detail",
    "socket",
    "stderr",
)  # in the order in which `offload.runner.door` takes them

# How long what a container's consoles have said last may wait for whoever listens to them.
_LAST_WORDS_SECONDS = 2.0
_CREDENTIALS = struct.Struct("3i")  # of SO_PEERCRED: pid, uid and gid


class Door:
    """A socket in a directory of its own, where one container's first process fetches its descriptors."""

    def __init__(self, parent: str, name: str) -> None:
        directory = Path(parent, name)
        directory.mkdir()
        directory.chmod(0o755)
        self.directory = str(directory)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.setblocking(False)
        self._socket.bind(f"{directory}/socket")
        # The container's uid is another; `parent` keeps everybody else of this machine out.
        Path(directory, "socket").chmod(0o777)
        self._socket.listen(1)
        self.guest_pidfd = -1  # of who came in, where this worker sees its process

    async def let_in(self, fds: list[int], connect: Connect) -> bool:
        """Wait for the first who comes, connect the network namespace that it shows, and give it the descriptors.

        It is nobody of the user's yet, or an interpreter of the user's image: what it shows can only be its container's own.
        Return whether it got them. Raises what `connect` raises.
        """
        visitor, _ = await asyncio.get_running_loop().sock_accept(self._socket)
        with visitor:
            await readable(visitor.fileno())
            _, shown, _, _ = socket.recv_fds(visitor, 1, 1, socket.MSG_CMSG_CLOEXEC)
            if not shown:
                return False  # it is dead already, and its exit says why; or it is not ours
            self.guest_pidfd = _pidfd_of_peer(visitor)
            try:
                await connect(shown[0])
            finally:
                os.close(shown[0])
            with suppress(OSError):  # it is dead by now
                socket.send_fds(visitor, [b"\0"], fds)
        return True

    def close(self) -> None:
        """Close it to everybody and remove it. Idempotent."""
        self._socket.close()
        if self.guest_pidfd >= 0:
            os.close(self.guest_pidfd)
            self.guest_pidfd = -1
        shutil.rmtree(self.directory, ignore_errors=True)


def _pidfd_of_peer(sock: socket.socket) -> int:
    """Return a descriptor of the process at the other end, which waits there; -1 where it is not to be seen from here."""
    pid, _, _ = _CREDENTIALS.unpack(
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    try:
        return os.pidfd_open(pid) if pid > 0 else -1
    except ProcessLookupError:  # it has been killed just now
        return -1


@dataclass(slots=True)
class DockerHeld:
    """What a container holds besides its pipes."""

    engine: DockerEngine
    door: Door
    uids: UidRange
    uid: int
    forget: Callable[[], object]  # told when all is released
    console: tuple[str, ...]  # the command that is one
    engine_id: str = ""

    async def release(self) -> None:
        """Give everything back, the container too."""
        if self.engine_id:
            with suppress(DockerError):  # an engine that is gone has nothing left to remove now
                await self.engine.remove(self.engine_id)
        self.door.close()
        self.uids.give(self.uid)
        self.forget()


class DockerContainer:
    """See `Container`."""

    def __init__(
        self, spec: ContainerSpec, pipes: Pipes, held: DockerHeld, connect: Connect
    ) -> None:
        self.container_id = spec.container_id
        self.socket = pipes.socket
        self.stdout_fd = pipes.stdout_fd
        self.stderr_fd = pipes.stderr_fd
        self._spec = spec
        self._pipes = pipes
        self._held = held
        self._connect = connect
        self._is_inside = False  # the guest has its descriptors
        self._refusal = ""  # why it got none
        self._kills: set[asyncio.Task[None]] = set()
        self._consoles: set[asyncio.Task[None]] = set()
        self._hanging_up: asyncio.Task[None] | None = None  # since the first console
        self._entering = asyncio.create_task(self._let_in(), name=f"door of {spec.container_id}")
        self._end = asyncio.create_task(self._watch(), name=f"end of {spec.container_id}")
        self._closing: asyncio.Task[None] | None = None

    async def wait(self) -> Exit:
        """See `Container`."""
        return await asyncio.shield(self._end)

    async def open_console(self) -> socket.socket:
        """See `Container`."""
        if self._end.done() or not self._is_inside:
            raise ConsoleRefusedError("it is not there yet, or has ended")
        held = self._held
        ours, carrying = await open_console(held.engine, held.engine_id, held.console)
        self._consoles.add(carrying)
        carrying.add_done_callback(self._consoles.discard)
        if self._hanging_up is None:
            name = f"last words of {self.container_id}"
            self._hanging_up = asyncio.create_task(self._hang_up(), name=name)
        return ours

    def kill(self) -> None:
        """See `Container`."""
        if not self._end.done() and not self._kills:
            self._kills.add(asyncio.create_task(self._kill(), name=f"kill of {self.container_id}"))

    async def close(self) -> None:
        """See `Container`."""
        if self._closing is None:
            self._closing = asyncio.create_task(
                self._release(), name=f"close of {self.container_id}"
            )
        await asyncio.shield(self._closing)

    async def _release(self) -> None:
        self.kill()
        if self._hanging_up is not None:
            await self._hanging_up
        await self._end
        await asyncio.gather(*self._kills)
        self._pipes.close()
        await self._held.release()

    async def _kill(self) -> None:
        with suppress(DockerError):  # the wait fails for the same reason, and says it
            await self._held.engine.kill(self._held.engine_id)

    async def _hang_up(self) -> None:
        """Let who listens hear the last words of what has ended, and leave whoever does not.

        The engine tells of no container's end, and so `wait` would not return, until all that its consoles have said is taken.
        """
        gone: set[asyncio.Task[Exit] | asyncio.Task[None]] = {self._end}
        if self._held.door.guest_pidfd >= 0:
            gone.add(asyncio.create_task(readable(self._held.door.guest_pidfd)))
        await asyncio.wait(gone, return_when=asyncio.FIRST_COMPLETED)
        for seeing in gone - {self._end}:
            seeing.cancel()
            await asyncio.wait([seeing])
        if self._consoles:
            _, deaf = await asyncio.wait(self._consoles, timeout=_LAST_WORDS_SECONDS)
            for carrying in deaf:
                carrying.cancel()
            await asyncio.gather(*deaf, return_exceptions=True)

    async def _let_in(self) -> None:
        try:
            fds = [self._pipes.theirs[name] for name in _GIVEN]
            self._is_inside = await self._held.door.let_in(fds, self._connect)
        except ContainerStartError as error:
            self._refusal = str(error)
            self.kill()
        finally:
            self._pipes.close_theirs()

    async def _watch(self) -> Exit:
        engine, engine_id = self._held.engine, self._held.engine_id
        try:
            code = await engine.wait(engine_id)
            is_out_of_memory = await engine.was_out_of_memory(engine_id)
        except DockerError as error:
            return Exit(code=None, signal=signal.SIGKILL, detail=str(error))
        finally:
            self._entering.cancel()
            await asyncio.wait([self._entering])
        # 128 + N is how the engine's init, like a shell, tells of a signal.
        killed_by = code - 128 if code > 128 else None
        is_out_of_memory = is_out_of_memory and killed_by == signal.SIGKILL
        return Exit(
            code=None if killed_by else code,
            signal=killed_by,
            out_of_memory=is_out_of_memory,
            # The engine's counters end with the container; what was killed for its limit had reached it.
            peak_memory_mib=self._spec.bound_mib if is_out_of_memory else None,
            detail=self._refusal or self._pipes.read_detail() or self._explain(code),
        )

    def _explain(self, code: int) -> str:
        if self._is_inside or self._kills:
            return ""
        return (
            f"the container ended (exit code {code}) before its runner began: "
            f"{self._spec.image.python} cannot be started in it"
        )
