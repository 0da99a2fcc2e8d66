"""The worker's process: makes the parts, runs them, and ends with an exit code a script can use."""

from __future__ import annotations

import asyncio
import functools
import gc
import signal
import ssl
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import uvloop

from offload.wire.host import host_id
from offload.worker.agent import Agent, AgentOptions
from offload.worker.config import ConfigError, WorkerConfig
from offload.worker.core.output import OutputLimits
from offload.worker.core.templates import TemplatePolicy
from offload.worker.core.values import WorkerFacts
from offload.worker.docker_engine import find_socket
from offload.worker.images.builder import RootfsBuilder
from offload.worker.images.docker_builder import DockerBuilder
from offload.worker.link import RefusedError, SessionOptions
from offload.worker.ports import RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.bubblewrap_program import find_bubblewrap
from offload.worker.runtimes.docker import DockerRuntime
from offload.worker.runtimes.gvisor import GvisorRuntime
from offload.worker.runtimes.options import RuntimeOptions
from offload.worker.runtimes.packages import guest_packages
from offload.worker.runtimes.process import ProcessRuntime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from offload.worker.ports import ImageBuilder, OpenBlob, Runtime

# Sandboxes that a function may name without anybody having told this worker of them.
_OFFERED_WHERE_FOUND = ("gvisor", "docker")

EXIT_OK = 0
EXIT_CONFIGURATION = 2
EXIT_NO_RUNTIME = 5
EXIT_REFUSED = 6


def run(config: WorkerConfig, on_ready: Callable[[], None] = lambda: None) -> int:
    """Run a worker until it is told to leave (SIGTERM, SIGINT or the server); return the process's exit code.

    `on_ready` is called once, when the server has welcomed the worker. Failures are one line on standard error.
    """
    try:
        config.check()
        config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        tls = _tls(config)
        # First of all: the sandbox's ground must be taken while this process has one thread.
        runtimes = _make_runtimes(config)
    except ConfigError as error:
        return _fail(EXIT_CONFIGURATION, str(error))
    except OSError as error:
        return _fail(EXIT_CONFIGURATION, f"the data directory {config.data_dir}: {error.strerror}")
    except RuntimeUnavailableError as error:
        return _fail(EXIT_NO_RUNTIME, str(error))
    options = AgentOptions(
        session=SessionOptions(
            url=config.link_url,
            token=config.token,
            facts=_facts(config, runtimes),
            tls=tls,
            give_up_after_seconds=config.give_up_after_seconds,
        ),
        runtimes=runtimes,
        data_dir=config.data_dir,
        cache_bytes=config.cache_bytes,
        drain_seconds=config.drain_seconds,
        cancel_grace_seconds=config.cancel_grace_seconds,
        templates=TemplatePolicy(max_count=config.templates),
        output=OutputLimits(config.output_mib << 20),
        on_ready=on_ready,
        make_images=functools.partial(make_builders, config, runtimes),
    )
    for note in options.session.facts.notes:
        print(f"offload worker: warning: {note}", file=sys.stderr)  # noqa: T201  # for whoever started it
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_work(options))
    except RefusedError as error:
        return _fail(EXIT_REFUSED, str(error))
    return EXIT_OK


async def _work(options: AgentOptions) -> None:
    agent = Agent(options)
    gc.freeze()  # what lives as long as the process need not be looked through for garbage
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.leave)
    await agent.run()


def _make_runtimes(config: WorkerConfig) -> dict[str, Runtime]:
    options = RuntimeOptions(
        data_dir=str(config.hidden_dir or config.data_dir),
        shows_private=config.shows_private,
        docker_socket=config.docker_socket,
        platform=(config.server_host,),
        host_network=config.host_network,
    )
    makers: dict[str, Callable[[], Runtime]] = {
        "bubblewrap": functools.partial(BubblewrapRuntime, options),
        "gvisor": functools.partial(GvisorRuntime, options),
        "docker": functools.partial(DockerRuntime, options),
        "process": functools.partial(ProcessRuntime, options),
    }
    made: dict[str, Runtime] = {}
    # In this order: Docker's starts a process, and the others make control groups before that: see `Cgroups`.
    for name, make in makers.items():
        if name in config.runtimes:
            made[name] = make()
        elif name in _OFFERED_WHERE_FOUND:
            with suppress(RuntimeUnavailableError):
                made[name] = make()
    return {name: made[name] for name in dict.fromkeys((*config.runtimes, *made))}


def make_builders(
    config: WorkerConfig, runtimes: Mapping[str, Runtime], open_blob: OpenBlob
) -> dict[str, ImageBuilder]:
    """Return what builds the roots of the runtimes' containers."""
    makers: dict[str, Callable[[WorkerConfig, OpenBlob], ImageBuilder]] = {
        "rootfs": make_builder,
        "docker": make_docker_builder,
    }
    wanted = {runtime.capabilities.images for runtime in runtimes.values()}
    return {name: make(config, open_blob) for name, make in makers.items() if name in wanted}


def make_docker_builder(config: WorkerConfig, open_blob: OpenBlob) -> DockerBuilder:
    """Return what builds images in the Docker Engine. Raises `RuntimeUnavailableError` where there is none."""
    socket = find_socket(config.docker_socket)
    if socket is None:
        raise RuntimeUnavailableError("no Docker Engine that this user may use listens here")
    return DockerBuilder(
        config.data_dir / "images" / "docker",
        config.images,
        socket=socket,
        guest_packages=guest_packages(),
        open_blob=open_blob,
    )


def make_builder(config: WorkerConfig, open_blob: OpenBlob) -> RootfsBuilder:
    """Return what builds images in a worker's data directory."""
    return RootfsBuilder(
        config.data_dir / "images",
        config.images,
        bwrap=find_bubblewrap(None),
        guest_packages=guest_packages(),
        open_blob=open_blob,
    )


def _facts(config: WorkerConfig, runtimes: Mapping[str, Runtime]) -> WorkerFacts:
    return WorkerFacts(
        worker_id=config.worker_id,
        name=config.name,
        host_id=host_id(),
        cpu_milli=config.cpu_milli,
        memory_mib=config.memory_mib,
        runtimes={name: each.capabilities.abilities for name, each in runtimes.items()},
        labels=dict(config.labels),
        gpus=config.gpus,
        notes=_notes(runtimes),
    )


def _notes(runtimes: Mapping[str, Runtime]) -> tuple[str, ...]:
    """Say what is not as it should be with the network of containers: the most that a machine can lack unnoticed."""
    return tuple(
        f"{name}: {each.capabilities.shared_network}"
        for name, each in runtimes.items()
        if each.capabilities.is_sandbox and each.capabilities.shared_network
    )


def _tls(config: WorkerConfig) -> ssl.SSLContext | None:
    if not config.link_url.startswith("wss://"):
        return None
    cafile = str(config.tls_ca_file) if config.tls_ca_file else None
    try:
        return ssl.create_default_context(cafile=cafile)
    except ssl.SSLError as error:
        raise ConfigError(
            f"the TLS authority file {config.tls_ca_file} cannot be used: {error}"
        ) from error


def _fail(code: int, message: str) -> int:
    print(f"offload worker: {message}", file=sys.stderr)  # noqa: T201  # the one line for whoever started it
    return code
