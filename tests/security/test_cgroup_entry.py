"""A sandbox is moved into its control group while it is made; nothing of the user's may run before that."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from tests.support.runtime_guest import a_spec

from offload.worker.ports import RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.options import RuntimeOptions
from offload.worker.runtimes.readiness import readable

_FIRST_ACT = "import os, sys; os.write(int(sys.argv[2]), open('/proc/self/cgroup', 'rb').read()); os.read(int(sys.argv[2]), 1)"


def processes_in(container_id: str) -> set[frozenset[str]]:
    """Return the processes of each group of the container."""
    groups = Path("/sys/fs/cgroup").rglob(f"offload-{os.getpid()}-*/{container_id}/cgroup.procs")
    return {frozenset(group.read_text().split()) for group in groups}


def test_a_guest_is_in_its_control_groups_at_its_first_act_and_all_of_its_sandbox_with_it(
    tmp_path: Path,
) -> None:
    try:
        guest_argv = ("-I", "-S", "-c", _FIRST_ACT)
        runtime = BubblewrapRuntime(RuntimeOptions(str(tmp_path), guest_argv=guest_argv))
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))

    async def scenario() -> tuple[str, set[frozenset[str]]]:
        container = await runtime.start(a_spec("ct-entered"))
        await readable(container.socket.fileno())
        said = container.socket.recv(65536).decode()

        inside = processes_in("ct-entered")

        await runtime.close()
        return said, inside

    said, inside = asyncio.run(scenario())
    if runtime.capabilities.limits_memory != "cgroup":
        pytest.skip("no control group is this worker's to make")
    groups = [line for line in said.splitlines() if line.endswith("/ct-entered")]
    assert groups
    assert len(inside) == 1  # the same ones in each
    assert len(*inside) == 3  # bubblewrap outside, its init inside, the guest
