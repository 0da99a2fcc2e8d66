"""Runs each container as a plain process of the worker's own user: no sandbox, an explicit choice only."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.ports import (
    ConsoleRefusedError,
    ContainerSpec,
    ContainerStartError,
    Exit,
    FunctionRefusedError,
    RuntimeCapabilities,
)
from offload.worker.runtimes.image_view import require_local_image
from offload.worker.runtimes.packages import compile_guest, guest_packages, link_guest_packages
from offload.worker.runtimes.pipes import Pipes
from offload.worker.runtimes.readiness import readable
from offload.worker.runtimes.volume_links import VolumeLinks
from offload.worker.sandbox.guest import (
    Enforced,
    GuestPlace,
    console_command,
    guest_command,
    guest_environment,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from offload.worker.runtimes.options import RuntimeOptions

_CAPABILITIES = RuntimeCapabilities(
    name="process",
    is_sandbox=False,
    blocks_network=False,
    holds_allow_lists=False,
    limits_memory="rlimit",
    limits_pids="none",
    limits_scratch=False,
    holds_read_only=False,
    notes=("user code runs with all rights of the worker's user; for code you trust",),
)

# The pid limit counts all processes of the account, so here it would be set on the worker's too.
_ENFORCED = Enforced(memory=False, pids=True)


class ProcessContainer:
    """See `Container`."""

    def __init__(
        self,
        container_id: str,
        process: subprocess.Popen[bytes],
        pipes: Pipes,
        console: Callable[[socket.socket], subprocess.Popen[bytes]],
        forget: Callable[[], object],
    ) -> None:
        self.container_id = container_id
        self.socket = pipes.socket
        self.stdout_fd = pipes.stdout_fd
        self.stderr_fd = pipes.stderr_fd
        self._process = process
        self._pipes = pipes
        self._console = console
        self._consoles: list[subprocess.Popen[bytes]] = []
        self._forget = forget
        self._end = asyncio.create_task(self._watch(), name=f"end of {container_id}")
        self._closing: asyncio.Task[None] | None = None

    async def wait(self) -> Exit:
        """See `Container`. A process that left the group by `setsid` is not waited for."""
        return await asyncio.shield(self._end)

    async def open_console(self) -> socket.socket:
        """See `Container`. The program is no sandbox's, as little as the runner is; `close` waits for its console."""
        if self._process.returncode is not None:
            raise ConsoleRefusedError("it has ended")
        # Those that have ended are seen to here, as there may be many in one life.
        self._consoles = [console for console in self._consoles if console.poll() is None]
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            try:
                self._consoles.append(self._console(theirs))
            except OSError as error:
                ours.close()
                raise ConsoleRefusedError(f"it could not be started: {error.strerror}") from error
        return ours

    def kill(self) -> None:
        """See `Container`. A process that left the group by `setsid` survives: there is no sandbox here."""
        # While the leader is not reaped its group's number cannot be another's.
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def close(self) -> None:
        """See `Container`."""
        if self._closing is None:
            self._closing = asyncio.create_task(
                self._release(), name=f"close of {self.container_id}"
            )
        await asyncio.shield(self._closing)

    async def _release(self) -> None:
        self.kill()
        await self._end
        for console in self._consoles:
            # It kills its program, whose session is another than the container's.
            console.terminate()
            await asyncio.to_thread(console.wait)
        self._pipes.close()
        self._forget()

    async def _watch(self) -> Exit:
        pidfd = os.pidfd_open(self._process.pid)
        try:
            await readable(pidfd)
        finally:
            os.close(pidfd)
        # The leader is gone but not reaped: what it left in its group goes before its number can be anyone else's.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        return Exit(
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            detail=self._pipes.read_detail(),
        )


class ProcessRuntime:
    """See `Runtime`."""

    def __init__(self, options: RuntimeOptions) -> None:
        self.capabilities = _CAPABILITIES
        self._options = options
        compile_guest(guest_packages())
        self._guest_root = link_guest_packages()
        self._containers: dict[str, ProcessContainer] = {}
        self._links = VolumeLinks(options.data_dir)
        self._homes: dict[str, tempfile.TemporaryDirectory[str]] = {}

    async def start(self, spec: ContainerSpec) -> ProcessContainer:
        """See `Runtime`."""
        require_local_image(spec, "process")
        if spec.block_network or spec.allowed is not None:
            raise FunctionRefusedError(
                f"{spec.function_name} is not to reach the whole network, and a plain process always does: leave out "
                'runtime="process"'
            )
        await self._links.make(spec.container_id, spec.volumes)
        pipes = Pipes.open()
        home = tempfile.TemporaryDirectory(prefix="offload-")
        try:
            process = self._launch(spec, pipes, home.name)
        except OSError as error:
            pipes.close()
            home.cleanup()
            self._links.remove(spec.container_id)
            raise ContainerStartError(
                f"cannot start {spec.image.python}: {error.strerror}"
            ) from error
        pipes.close_theirs()
        self._homes[spec.container_id] = home
        container = ProcessContainer(
            spec.container_id,
            process,
            pipes,
            partial(self._start_console, spec, home.name),
            lambda: self._forget(spec.container_id),
        )
        self._containers[spec.container_id] = container
        return container

    async def close(self) -> None:
        """See `Runtime`."""
        for container in list(self._containers.values()):
            await container.close()
        self._guest_root.cleanup()

    def _forget(self, container_id: str) -> None:
        self._containers.pop(container_id)
        self._links.remove(container_id)
        self._homes.pop(container_id).cleanup()

    def _launch(self, spec: ContainerSpec, pipes: Pipes, home: str) -> subprocess.Popen[bytes]:
        ends = pipes.theirs
        guest = guest_command(
            spec,
            GuestPlace(self._guest_root.name, ends["socket"], ends["stderr"]),
            _ENFORCED,
            self._options.guest_argv,
        )
        working_dir = spec.image.working_dir
        return subprocess.Popen(  # noqa: S603 - running the caller's interpreter is the purpose
            guest,
            stdin=ends["stdin"],
            stdout=ends["stdout"],
            stderr=ends["detail"],
            pass_fds=(ends["socket"], ends["stderr"]),
            env=guest_environment(spec, home),
            cwd=working_dir if Path(working_dir).is_dir() else home,
            start_new_session=True,
        )

    def _start_console(
        self, spec: ContainerSpec, home: str, conversation: socket.socket
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - a program of the caller's choice is the purpose
            console_command(spec, self._guest_root.name, _ENFORCED),
            stdin=conversation.fileno(),
            stdout=conversation.fileno(),
            stderr=subprocess.DEVNULL,
            env=guest_environment(spec, home),
            cwd=home,
            start_new_session=True,
        )
