"""A running sandbox: how it is watched, killed and cleared away."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.ports import ConsoleRefusedError, Exit
from offload.worker.runtimes.cgroups import ContainerCgroup, MemoryUse
from offload.worker.runtimes.readiness import readable
from offload.worker.runtimes.sandbox_console import open_console

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from offload.worker.runtimes.ground import Entry, Ground, Scratch, Spawned
    from offload.worker.runtimes.pipes import Pipes
    from offload.worker.runtimes.uids import UidRange


@dataclass(slots=True)
class Held:
    """What a container holds of this machine besides its pipes; released in the reverse order."""

    ground: Ground
    uids: UidRange | None
    uid: int
    forget: Callable[[], object]  # told when all is released
    status_fd: int = -1
    cgroup: ContainerCgroup | None = None
    scratch: Scratch | None = None
    private: str | None = None  # the name its private folders are shown under
    console: Entry | None = None

    async def release(self) -> None:
        """Give everything back. The container's processes are gone. Idempotent."""
        if self.status_fd >= 0:
            os.close(self.status_fd)
            self.status_fd = -1
        if self.cgroup is not None:
            self.cgroup.remove()
            self.cgroup = None
        if self.scratch is not None:
            await self.ground.drop_scratch(self.scratch)
            self.scratch = None
        if self.private is not None:
            await self.ground.drop_private(self.private)
            self.private = None
        if self.uids is not None:
            self.uids.give(self.uid)
            self.uids = None
        self.forget()


class BubblewrapContainer:
    """See `Container`."""

    def __init__(self, container_id: str, pipes: Pipes, spawned: Spawned, held: Held) -> None:
        self.container_id = container_id
        self.socket = pipes.socket
        self.stdout_fd = pipes.stdout_fd
        self.stderr_fd = pipes.stderr_fd
        self._pipes = pipes
        self._held = held
        # bubblewrap outside the sandbox, and its child: the first process of the pid namespace.
        self._monitor_fd = spawned.pidfd
        self._init_fd: int | None = None
        self._is_named = asyncio.Event()  # or will never be
        self._is_over = False
        self._is_killed = False
        self._end = asyncio.create_task(self._watch(), name=f"end of {container_id}")
        self._closing: asyncio.Task[None] | None = None

    async def wait(self) -> Exit:
        """See `Container`."""
        return await asyncio.shield(self._end)

    @property
    def ground(self) -> Ground:
        """What its sandbox stands on."""
        return self._held.ground

    async def open_console(self) -> socket.socket:
        """See `Container`."""
        held = self._held
        if held.console is None or self._is_over:
            raise ConsoleRefusedError("it has ended")
        return await open_console(held.ground, held.console, self._init_fd, held.cgroup)

    async def enter_cgroup(self) -> None:
        """Put the sandbox into its control group while bubblewrap makes it; the guest must wait for that.

        A move waits for a grace period of the kernel, about as long as bubblewrap needs for its mounts. Until the guest
        starts there are two processes, and whatever they start is where they are.
        """
        cgroup = self._held.cgroup
        if cgroup is None or not cgroup.limits_anything:
            return
        await _add(cgroup, self._monitor_fd)
        await self._is_named.wait()
        if self._init_fd is not None and not self._is_over:
            await _add(cgroup, self._init_fd)

    def read_detail(self) -> str:
        """Return what was said on descriptor 2 before user code took it over."""
        return self._pipes.read_detail()

    def kill(self) -> None:
        """See `Container`."""
        if self._is_over:
            return
        self._is_killed = True
        if self._held.cgroup is not None:
            self._held.cgroup.kill()
        # With the first process of a pid namespace the kernel kills all others. Before it is known nothing is killed:
        # it is bound to bubblewrap's life only late in its own set-up. It is named a few milliseconds from now, and
        # killed then.
        self._kill_init()

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
        os.close(self._monitor_fd)
        self._pipes.close()
        await self._held.release()

    async def _watch(self) -> Exit:
        reading = asyncio.create_task(self._read_status())
        await readable(self._monitor_fd)
        # Where somebody else killed bubblewrap, its child may live on: see `kill`.
        self._is_killed = True
        self._kill_init()
        status = await reading
        if self._init_fd is not None:
            # Ready only when the kernel has ended every other process of the namespace.
            await readable(self._init_fd)
        self._is_over = True
        if self._init_fd is not None:
            os.close(self._init_fd)
        use = (
            self._held.cgroup.memory_use() if self._held.cgroup is not None else MemoryUse(None, 0)
        )
        # 128 + N is how bubblewrap, like a shell, tells of a signal; without a word it was killed itself.
        code = status.get("exit-code", 128 + signal.SIGKILL)
        killed_by = code - 128 if code > 128 else None
        return Exit(
            code=None if killed_by else code,
            signal=killed_by,
            out_of_memory=use.oom_kills > 0 and killed_by == signal.SIGKILL,
            peak_memory_mib=use.peak_mib,
            detail=self._pipes.read_detail(),
        )

    async def _read_status(self) -> dict[str, int]:
        """Read bubblewrap's status lines to their end and open the sandbox's first process as soon as it is named."""
        text, status = b"", dict[str, int]()
        fd = self._held.status_fd
        while True:
            await readable(fd)
            data = os.read(fd, 4096)
            if not data:
                self._is_named.set()
                return status
            *lines, text = (text + data).split(b"\n")
            for line in lines:
                status.update(json.loads(line))
            if "child-pid" in status and self._init_fd is None:
                self._init_fd = await self._held.ground.open_process(status["child-pid"])
                self._is_named.set()
                if self._is_killed:
                    self._kill_init()

    def _kill_init(self) -> None:
        if self._init_fd is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init_fd, signal.SIGKILL)


async def _add(cgroup: ContainerCgroup, pidfd: int) -> None:
    """Move a process without holding up the event loop; one that is gone needs no limits."""
    pid = _pid_of(pidfd)
    with suppress(ProcessLookupError):
        if pid > 0:
            await asyncio.to_thread(cgroup.add, pid)


def _pid_of(pidfd: int) -> int:
    """Return the number of the process, or -1 where it has ended."""
    lines = Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines()
    return int(dict(line.split(":", 1) for line in lines)["Pid"])
