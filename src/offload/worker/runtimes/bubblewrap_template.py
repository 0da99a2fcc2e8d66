"""A template in its keeper's sandbox, and the containers that are forked from it; see `keeper_process`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from offload.worker.ports import ConsoleRefusedError, ContainerStartError, Exit
from offload.worker.runtimes.cgroups import GroupLimits
from offload.worker.runtimes.pipes import Pipes
from offload.worker.runtimes.readiness import readable
from offload.worker.runtimes.sandbox_console import open_console
from offload.worker.runtimes.undo import finish_or_undo

if TYPE_CHECKING:
    from collections.abc import Callable

    from offload.worker.ports import ContainerSpec
    from offload.worker.runtimes.bubblewrap_container import BubblewrapContainer
    from offload.worker.runtimes.cgroups import Cgroups, ContainerCgroup
    from offload.worker.runtimes.ground import Entry, Ground

_NEWS_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Asked:
    """A fork that the keeper has not told of yet."""

    pipes: Pipes
    cgroup: ContainerCgroup
    console: Entry
    made: asyncio.Future[ForkedContainer]


class BubblewrapTemplate:
    """See `Template`."""

    def __init__(
        self,
        keeper: BubblewrapContainer,
        control: socket.socket,
        cgroups: Cgroups,
        console: Callable[[ContainerSpec], Entry],
        forget: Callable[[], object],
    ) -> None:
        self.container_id = keeper.container_id
        self.socket = keeper.socket
        self.stdout_fd = keeper.stdout_fd
        self.stderr_fd = keeper.stderr_fd
        self._keeper = keeper
        self._control = control
        self._cgroups = cgroups
        self._console = console
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._forking: dict[str, _Asked] = {}
        self._containers: dict[str, ForkedContainer] = {}
        self._ended: asyncio.Future[Exit] = self._loop.create_future()
        self._emptied = asyncio.Event()
        self._is_dropped = False
        self._is_listening = True
        self._loop.add_reader(control.fileno(), self._on_news)
        self._watching = asyncio.create_task(self._watch(), name=f"end of {self.container_id}")
        self._closing: asyncio.Task[None] | None = None

    async def wait(self) -> Exit:
        """See `Template`."""
        return await asyncio.shield(self._ended)

    def kill(self) -> None:
        """See `Template`."""
        if not self._is_dropped:
            self._is_dropped = True
            self._send({"drop": True}, [])

    async def fork(self, spec: ContainerSpec) -> ForkedContainer:
        """See `Template`."""
        return await finish_or_undo(self._fork(spec), f"fork of {spec.container_id}")

    async def close(self) -> None:
        """See `Template`."""
        if self._closing is None:
            self._closing = asyncio.create_task(
                self._release(), name=f"close of {self.container_id}"
            )
        await asyncio.shield(self._closing)

    async def retire(self) -> None:
        """See `Template`."""
        self.kill()
        while self._containers or self._forking:
            await self._emptied.wait()
        await self.close()

    async def _release(self) -> None:
        self.kill()
        for container in list(self._containers.values()):
            await container.close()
        self._keeper.kill()
        await self._watching
        self._control.close()
        await self._keeper.close()
        self._forget()

    async def _fork(self, spec: ContainerSpec) -> ForkedContainer:
        try:
            cgroup = self._cgroups.make(spec.container_id, GroupLimits.of(spec))
        except OSError as error:
            raise ContainerStartError(f"cannot make a control group: {error}") from error
        groups: list[int] = []
        pipes = None
        try:
            pipes = Pipes.open()
            asked = _Asked(pipes, cgroup, self._console(spec), self._loop.create_future())
            self._forking[spec.container_id] = asked
            groups = cgroup.open_entrances()
            ends = [pipes.theirs[name] for name in ("socket", "stdout", "stderr")]
            if self._is_dropped or not self._send({"fork": spec.container_id}, [*ends, *groups]):
                raise ContainerStartError("its template has ended")
            container = await asked.made
        except BaseException:
            if pipes is not None:
                pipes.close()
            cgroup.remove()
            raise
        finally:
            self._forking.pop(spec.container_id, None)
            self._emptied.set()
            self._emptied = asyncio.Event()
            if pipes is not None:
                pipes.close_theirs()
            for fd in groups:
                os.close(fd)
        if not cgroup.has_entered():  # the template's code is the user's: it is looked after
            await self._require_ended(container)
        return container

    async def _require_ended(self, container: ForkedContainer) -> None:
        """Let a fork that nobody is left of pass, which leaves its groups empty, too; kill any other and refuse it."""
        container.kill()
        ended = await container.wait()
        if ended.signal == signal.SIGKILL and not ended.out_of_memory:
            await container.close()
            raise ContainerStartError("its template did not put it into its control group")

    @property
    def ground(self) -> Ground:
        """What its sandboxes stand on."""
        return self._keeper.ground

    async def open_console(self) -> socket.socket:
        """See `Container`. Whoever could look into a template would see what all its containers begin with."""
        raise ConsoleRefusedError("it is a template, which runs no input")

    def forget(self, container_id: str) -> None:
        """Take note that a container is closed."""
        self._containers.pop(container_id, None)
        self._emptied.set()
        self._emptied = asyncio.Event()

    def _send(self, request: dict[str, object], fds: list[int]) -> bool:
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], fds)
        except OSError:
            return False
        return True

    def _on_news(self) -> None:
        while self._is_listening:
            try:
                data, fds, _, _ = socket.recv_fds(self._control, _NEWS_BYTES, 4)
            except BlockingIOError:
                return
            except OSError:
                data, fds = b"", []
            if not data:
                self._stop_listening()
                return
            self._take(json.loads(data), list(fds))

    def _take(self, news: dict[str, object], fds: list[int]) -> None:
        name = str(news.get("forked") or news.get("refused"))
        asked = self._forking.get(name)
        container = self._containers.get(str(news.get("ended")))
        if asked is not None and not asked.made.done():
            if "forked" in news:
                # At once: the news of its end may be the next, before whoever asked for it goes on.
                made = ForkedContainer(
                    asked.pipes, fds.pop(), asked.cgroup, self, (name, asked.console)
                )
                self._containers[name] = made
                asked.made.set_result(made)
            else:
                asked.made.set_exception(ContainerStartError(str(news["error"])))
        elif container is not None:
            container.on_end(news.get("code"), news.get("signal"))  # type: ignore[arg-type]  # numbers
        elif "template_ended" in news:
            self._is_dropped = True
            if not self._ended.done():
                how: dict[str, int | None] = news["template_ended"]  # type: ignore[assignment]  # see `keeper_process`
                detail = self._keeper.read_detail()
                self._ended.set_result(Exit(how["code"], how["signal"], detail=detail))
        for fd in fds:
            os.close(fd)

    def _stop_listening(self) -> None:
        if self._is_listening:
            self._is_listening = False
            self._loop.remove_reader(self._control.fileno())

    async def _watch(self) -> None:
        exited = await self._keeper.wait()
        self._on_news()
        self._stop_listening()
        self._is_dropped = True
        if not self._ended.done():
            self._ended.set_result(exited)
        for asked in self._forking.values():
            if not asked.made.done():
                asked.made.set_exception(
                    ContainerStartError(
                        f"its template's keeper died{exited.detail and ': '}{exited.detail}"
                    )
                )
        for container in list(self._containers.values()):
            container.on_end(None, signal.SIGKILL)


class ForkedContainer:
    """See `Container`."""

    def __init__(
        self,
        pipes: Pipes,
        init_fd: int,
        cgroup: ContainerCgroup,
        template: BubblewrapTemplate,
        named: tuple[str, Entry],  # its id, and what a console is in it
    ) -> None:
        self.container_id, self._console = named
        self.socket = pipes.socket
        self.stdout_fd = pipes.stdout_fd
        self.stderr_fd = pipes.stderr_fd
        self._pipes = pipes
        self._init_fd = init_fd
        self._cgroup = cgroup
        self._template = template
        self._told: asyncio.Future[tuple[int | None, int | None]]
        self._told = asyncio.get_running_loop().create_future()
        self._end = asyncio.create_task(self._watch(), name=f"end of {self.container_id}")
        self._closing: asyncio.Task[None] | None = None

    async def wait(self) -> Exit:
        """See `Container`."""
        return await asyncio.shield(self._end)

    async def open_console(self) -> socket.socket:
        """See `Container`."""
        if self._end.done():
            raise ConsoleRefusedError("it has ended")
        return await open_console(self._template.ground, self._console, self._init_fd, self._cgroup)

    def kill(self) -> None:
        """See `Container`."""
        if not self._end.done():
            # With the first process of a pid namespace the kernel kills all others.
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init_fd, signal.SIGKILL)

    def on_end(self, code: int | None, killed_by: int | None) -> None:
        """Take note of how its main process ended."""
        if not self._told.done():
            self._told.set_result((code, killed_by))

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
        os.close(self._init_fd)
        self._pipes.close()
        self._cgroup.remove()
        self._template.forget(self.container_id)

    async def _watch(self) -> Exit:
        await readable(self._init_fd)
        code, killed_by = await self._told
        use = self._cgroup.memory_use()
        return Exit(
            code=code,
            signal=killed_by,
            out_of_memory=use.oom_kills > 0 and killed_by == signal.SIGKILL,
            peak_memory_mib=use.peak_mib,
        )
