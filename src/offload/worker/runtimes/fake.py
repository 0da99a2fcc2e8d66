"""A runtime without processes, for tests of the worker: a thread plays the runner on the other end of the socket."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from offload.worker.ports import (
    ConsoleRefusedError,
    ContainerSpec,
    ContainerStartError,
    Exit,
    RuntimeCapabilities,
)
from offload.worker.runtimes.pipes import Pipes

_SIGKILL = 9


class Guest(Protocol):
    """What runs "in" a fake container: it speaks `offload.wire.guest` on a blocking socket and returns its exit code.

    It must end when the socket does; `stop` is set when the container is killed.
    """

    def __call__(self, sock: socket.socket, stop: threading.Event) -> int:
        """Play the runner."""


def wait_for_the_end(sock: socket.socket, stop: threading.Event) -> int:
    """Be a guest that reads everything, says nothing, and exits with 0 when the worker hangs up."""
    while not stop.is_set() and sock.recv(65536):
        pass
    return 0


@dataclass(slots=True)
class Script:
    """The knobs of a `FakeRuntime`; may be changed between starts."""

    guest: Guest = wait_for_the_end
    start_error: str = ""  # when set, every start raises ContainerStartError with it
    start_gate: asyncio.Event | None = None  # when given, a start waits for it
    forks_templates: bool = False  # looked at when the runtime is made
    forked_guest: Guest = wait_for_the_end  # of a container that a template is asked for
    fork_error: str = ""  # when set, every fork raises ContainerStartError with it
    console: Guest | None = None  # plays a console, in a thread of its own; none: refused
    exits: dict[str, Exit] = field(
        default_factory=dict
    )  # container id -> how it ends, whatever the guest returned


class FakeContainer:
    """See `Container`."""

    def __init__(
        self, container_id: str, guest: Guest, how: Exit | None, console: Guest | None = None
    ) -> None:
        self.container_id = container_id
        self._console = console
        self._pipes = Pipes.open()
        self.socket = self._pipes.socket
        self.stdout_fd = self._pipes.stdout_fd
        self.stderr_fd = self._pipes.stderr_fd
        self._theirs = socket.socket(fileno=self._pipes.theirs.pop("socket"))
        self._guest = guest
        self._how = how
        self._stop = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[Exit] = self._loop.create_future()
        self._thread = threading.Thread(target=self._play, name=container_id, daemon=True)
        self._thread.start()

    async def wait(self) -> Exit:
        """See `Container`."""
        return await asyncio.shield(self._end)

    async def open_console(self) -> socket.socket:
        """See `Container`."""
        console = self._console
        if console is None or self.has_ended:
            raise ConsoleRefusedError("it takes no console")
        ours, theirs = socket.socketpair()
        ours.setblocking(False)

        def play() -> None:
            with theirs, suppress(OSError):
                console(theirs, self._stop)

        threading.Thread(target=play, name=f"console of {self.container_id}", daemon=True).start()
        return ours

    @property
    def has_ended(self) -> bool:
        """Whether it has ended or is about to."""
        return self._end.done() or self._stop.is_set()

    def kill(self) -> None:
        """See `Container`."""
        self.die(Exit(code=None, signal=_SIGKILL))

    def die(self, how: Exit) -> None:
        """End at once in the way given; does nothing after the end."""
        if self._end.done() or self._stop.is_set():
            return
        self._how = how
        self._stop.set()
        with suppress(OSError):  # the guest has hung up already
            self._theirs.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        """See `Container`."""
        self.kill()
        await self.wait()
        self._thread.join()
        self._pipes.close()

    def _play(self) -> None:
        try:
            code = self._guest(self._theirs, self._stop)
        except OSError:  # the socket was closed under it
            code = 1
        self._theirs.close()
        how = self._how or Exit(code=code, signal=None)
        with suppress(RuntimeError):  # the test's loop is closed; nobody waits any more
            self._loop.call_soon_threadsafe(self._finish, how)

    def _finish(self, how: Exit) -> None:
        self._pipes.close_theirs()
        self._end.set_result(how)


class FakeTemplate(FakeContainer):
    """See `Template`. `forked` are all its containers that are not closed."""

    def __init__(self, spec: ContainerSpec, script: Script) -> None:
        super().__init__(spec.container_id, script.guest, script.exits.get(spec.container_id))
        self.spec = spec
        self._script = script
        self.forked: dict[str, FakeContainer] = {}

    async def fork(self, spec: ContainerSpec) -> FakeContainer:
        """See `Template`."""
        if self._script.fork_error or self.has_ended:
            raise ContainerStartError(self._script.fork_error or "its template has ended")
        container = FakeContainer(
            spec.container_id,
            self._script.forked_guest,
            self._script.exits.get(spec.container_id),
        )
        self.forked[spec.container_id] = container
        return container

    async def retire(self) -> None:
        """See `Template`."""
        self.kill()
        await super().close()

    async def close(self) -> None:
        """See `Template`."""
        while self.forked:
            await self.forked.popitem()[1].close()
        await super().close()


class FakeRuntime:
    """See `Runtime`. `containers` are all it started, `started` every spec ever asked for."""

    def __init__(self, script: Script | None = None) -> None:
        self.capabilities = RuntimeCapabilities(
            name="fake",
            is_sandbox=True,
            blocks_network=True,
            holds_allow_lists=True,
            limits_memory="none",
            limits_pids="none",
            limits_scratch=False,
            images="rootfs",
            forks_templates=script is not None and script.forks_templates,
        )
        self.script = script or Script()
        self.started: list[ContainerSpec] = []
        self.containers: dict[str, FakeContainer] = {}
        self.templates: list[FakeTemplate] = []

    async def start(self, spec: ContainerSpec) -> FakeContainer:
        """See `Runtime`."""
        self.started.append(spec)
        if self.script.start_gate is not None:
            await self.script.start_gate.wait()
        if self.script.start_error:
            raise ContainerStartError(self.script.start_error)
        script = self.script
        container = FakeContainer(
            spec.container_id, script.guest, script.exits.get(spec.container_id), script.console
        )
        self.containers[spec.container_id] = container
        return container

    async def start_template(self, spec: ContainerSpec) -> FakeTemplate:
        """See `Runtime`."""
        template = FakeTemplate(spec, self.script)
        self.templates.append(template)
        return template

    async def close(self) -> None:
        """See `Runtime`."""
        for template in self.templates:
            await template.close()
        while self.containers:
            await self.containers.popitem()[1].close()
