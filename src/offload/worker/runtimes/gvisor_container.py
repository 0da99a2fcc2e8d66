"""A running container of gVisor: bubblewrap's, with gVisor's way to tell how it ended."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING

from offload.worker.ports import Exit
from offload.worker.runtimes.bubblewrap_container import BubblewrapContainer
from offload.worker.runtimes.ground import Entry
from offload.worker.sandbox.guest import (
    CONTAINER_HOME,
    GUEST_ROOT,
    USER_ID,
    Enforced,
    console_command,
    guest_environment,
)
from offload.worker.sandbox.gvisor import runsc_exec, user_of

if TYPE_CHECKING:
    from offload.worker.ports import ContainerSpec


def console_entry(spec: ContainerSpec, name: str, enforced: Enforced) -> Entry:
    """Return what a console is in a container of gVisor: `runsc`, which stands outside its kernel as the one that runs it does."""
    user = user_of(spec.volumes)
    words = ("KEYS=1",) if user else ("KEYS=1", f"OWNER={USER_ID}")
    command = console_command(spec, GUEST_ROOT, enforced, *words)
    argv = runsc_exec(name, command, guest_environment(spec, CONTAINER_HOME), user)
    return Entry(argv, {}, uid=0, keeps_capabilities=True)


class GvisorContainer(BubblewrapContainer):
    """See `Container`."""

    async def _watch(self) -> Exit:
        ended = await super()._watch()
        cgroup = self._held.cgroup
        if ended.code and cgroup is not None and cgroup.memory_use().oom_kills:
            # The kernel killed a part of gVisor, and what was left of it ended with a code of its own.
            return replace(ended, code=None, signal=signal.SIGKILL.value, out_of_memory=True)
        return ended
