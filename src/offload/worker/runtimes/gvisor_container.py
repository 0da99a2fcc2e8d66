"""A running container of gVisor: bubblewrap's, with gVisor's way to tell how it ended."""

from __future__ import annotations

import signal
from dataclasses import replace

from offload.worker.ports import Exit
from offload.worker.runtimes.bubblewrap_container import BubblewrapContainer


class GvisorContainer(BubblewrapContainer):
    """See `Container`."""

    async def _watch(self) -> Exit:
        ended = await super()._watch()
        cgroup = self._held.cgroup
        if ended.code and cgroup is not None and cgroup.memory_use().oom_kills:
            # The kernel killed a part of gVisor, and what was left of it ended with a code of its own.
            return replace(ended, code=None, signal=signal.SIGKILL.value, out_of_memory=True)
        return ended
