"""Every runtime by its name, for suites that hold all of them to one contract."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support.closing import close_now
from tests.support.forked_runtime import make_forked
from tests.support.image_runtime import ImageRuntime
from tests.support.runtime_guest import GUEST_ARGV, play

from offload.worker.ports import Runtime, RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.docker import DockerRuntime
from offload.worker.runtimes.fake import FakeRuntime, Script
from offload.worker.runtimes.gvisor import GvisorRuntime
from offload.worker.runtimes.options import RuntimeOptions
from offload.worker.runtimes.process import ProcessRuntime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SANDBOXES = {
    "bubblewrap": BubblewrapRuntime,
    "forked": make_forked,
    "gvisor": GvisorRuntime,
    "docker": DockerRuntime,
}

# What holds for containers that see the caller's environment holds for those with a root of their own.
WITH_IMAGES = ("bubblewrap image", "forked image", "gvisor image", "docker docker_image")
REAL = ("process", "bubblewrap", "forked", "gvisor", "docker", *WITH_IMAGES)


@contextmanager
def a_runtime(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runtime]:
    """Make the runtime that a fixture's parameter names; skip, with the reason, where this machine lacks it."""
    options = RuntimeOptions(data_dir=str(tmp_path), guest_argv=GUEST_ARGV)
    name, _, image = request.param.partition(" ")
    made: Runtime
    if name == "docker":
        options = replace(options, docker_socket=request.getfixturevalue("docker_socket"))
    if name == "fake":
        made = FakeRuntime(Script(guest=play))
    elif name == "process":
        made = ProcessRuntime(options)
    else:
        root = request.getfixturevalue(f"{image}_root") if image else None
        try:
            made = _SANDBOXES[name](options)
        except RuntimeUnavailableError as error:
            pytest.skip(str(error))
        made = ImageRuntime(made, root) if root is not None else made
    yield made
    close_now(made)
