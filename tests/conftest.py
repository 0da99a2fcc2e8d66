"""Settings for every test."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from tests.support.docker_daemon import NoDockerError, docker_daemon

from offload.worker.ports import RuntimeUnavailableError
from offload.worker.runtimes.gvisor import GvisorRuntime
from offload.worker.runtimes.options import RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

# A slow machine is no failure; how long a test may take at all is pytest-timeout's business. The same examples are
# drawn each time, so that what was green stays green; `--hypothesis-profile=explore` draws new ones and more of them.
settings.register_profile("offload", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("offload")

# A shell has what it starts in the background ignore interrupts, and all that this starts in turn: as from a terminal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def docker_socket() -> Iterator[str]:
    """Give a Docker Engine for all tests together, or skip where there can be none."""
    try:
        with docker_daemon() as path:
            yield path
    except NoDockerError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def gvisor(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where a worker cannot have gVisor."""
    try:
        runtime = GvisorRuntime(RuntimeOptions(str(tmp_path_factory.mktemp("gvisor"))))
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))
    asyncio.run(runtime.close())
