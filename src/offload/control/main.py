"""The server process: builds everything, serves until it is told to end, and says in one line why it cannot."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import logging
import os
import secrets
import signal
import socket
import ssl
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import uvloop

from offload.control.blobs.disk import DiskBlobs
from offload.control.config import ConfigError, ensure_token, prepare_data_dir
from offload.control.frontends.grpc import server as grpc_frontend
from offload.control.frontends.link import server as link_frontend
from offload.control.frontends.rpc.classes import EncodedDefinitions
from offload.control.frontends.rpc.handlers import handlers as make_handlers
from offload.control.frontends.web import server as web_frontend
from offload.control.ports.blobs import BlobError
from offload.control.ports.store import StoreError
from offload.control.services.assembly import Outside, start
from offload.control.stores.keyring import FileKeyring
from offload.control.stores.sqlite import SqliteStore
from offload.control.telemetry import Telemetry, log_event, set_up_logging
from offload.wire.version import PACKAGE_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from offload.control.config import ServerConfig
    from offload.control.services.assembly import Services
    from offload.control.services.cluster import Cluster

DAY_SECONDS = 86_400.0
EXIT_OK = 0
EXIT_CONFIG = 2
EXIT_PORT = 3
EXIT_STORE = 4

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """How to reach a running server; also the content of data_dir/server.json."""

    pid: int
    host: str
    http_port: int
    grpc_port: int
    tls: bool
    started_at: float
    version: str


class _PortError(Exception):
    """A port cannot be had."""


class _SystemClock:
    def __init__(self) -> None:
        self._started = self.now() - self._running()

    def now(self) -> float:
        return time.time()  # noqa: TID251 - this is the clock the others take

    def steady(self) -> float:
        return self._started + self._running()

    def _running(self) -> float:
        return time.monotonic()


def run(config: ServerConfig) -> int:
    """Serve until a signal or a request ends it; return the process's exit code."""
    set_up_logging(config.log_level)
    return uvloop.run(serve(config, _announce))


async def serve(config: ServerConfig, on_ready: Callable[[Endpoints], None]) -> int:
    """Serve until told to end; call `on_ready` once requests are answered. Returns the exit code.

    0: ended in good order; 2: wrong configuration; 3: a port is in use; 4: the store cannot be used. Whatever is not 0
    has been said in one line on stderr.
    """
    try:
        config.check()
        prepare_data_dir(config.state_dir)
        token = config.token or ensure_token(config.state_dir)
        tls = _tls_context(config)
        return await _serve(config, token, tls, on_ready)
    except ConfigError as error:
        return _fail(EXIT_CONFIG, str(error))
    except _PortError as error:
        return _fail(EXIT_PORT, str(error))
    except (StoreError, BlobError) as error:
        return _fail(EXIT_STORE, error.message)
    except OSError as error:
        return _fail(
            EXIT_STORE,
            f"The data directory {config.state_dir} cannot be written ({error.strerror}): "
            "make room, or choose another with --data-dir.",
        )


async def _serve(
    config: ServerConfig,
    token: str,
    tls: ssl.SSLContext | None,
    on_ready: Callable[[Endpoints], None],
) -> int:
    asyncio.get_running_loop().set_exception_handler(_note_loop_error)
    clock = _SystemClock()
    state_dir = config.state_dir
    unwritten = 0
    async with AsyncExitStack() as stack:
        store = await asyncio.to_thread(SqliteStore, state_dir / "offload.db")
        stack.callback(store.close)
        blobs = await asyncio.to_thread(DiskBlobs, state_dir / "blobs", clock)
        stack.callback(blobs.close)
        incarnation = secrets.token_hex(4)
        gc.disable()  # a restored backlog is millions of objects and no garbage
        services = await start(
            Outside(
                store, blobs, clock, Telemetry(), FileKeyring(config.secrets_key), EncodedDefinitions(), incarnation, str(state_dir), config.policy(),
                retention_seconds=config.retention_days * DAY_SECONDS,
                object_seconds=config.object_retention_days * DAY_SECONDS,
            )
        )  # fmt: skip

        async def close_services() -> None:
            nonlocal unwritten
            unwritten = await services.close()

        stack.push_async_callback(close_services)
        http_port, grpc_port = await _listen(config, services, token, tls, stack)
        endpoints = Endpoints(
            pid=os.getpid(),
            host=config.host,
            http_port=http_port,
            grpc_port=grpc_port,
            tls=tls is not None,
            started_at=clock.now(),
            version=PACKAGE_VERSION,
        )
        stack.callback(_publish(state_dir / "server.json", endpoints))
        _end_on_signals(services.cluster)
        if config.idle_exit_seconds:
            services.cluster.end_when_idle(config.idle_exit_seconds)
        log_event(_log, logging.INFO, "server_ready", **asdict(endpoints))
        gc.freeze()  # what lives as long as the process need not be looked through for garbage
        gc.enable()
        on_ready(endpoints)
        await services.cluster.wait_for_end()
    if unwritten:
        why = services.kernel.journal.failure
        return _fail(EXIT_STORE, f"{unwritten} records could not be written: {why}")
    log_event(_log, logging.INFO, "server_ended")
    return EXIT_OK


async def _listen(
    config: ServerConfig,
    services: Services,
    token: str,
    tls: ssl.SSLContext | None,
    stack: AsyncExitStack,
) -> tuple[int, int]:
    """Open both ports; return the HTTP and the gRPC port."""
    handlers = make_handlers(services)
    _require_port(config.host, config.http_port, "http")
    _require_port(config.host, config.grpc_port, "grpc")
    ingress = web_frontend.web_server(services, token, config.web_domain, config.web_auth)
    try:
        link = await link_frontend.listen(
            services, handlers, (config.host, config.http_port), token, tls, ingress.protocol
        )
    except OSError as error:
        raise _PortError(_port_problem(config.host, config.http_port, "http", error)) from error
    stack.push_async_callback(link.close)
    stack.callback(ingress.close)
    certificate = None
    if config.tls_cert is not None and config.tls_key is not None:
        certificate = (config.tls_cert.read_bytes(), config.tls_key.read_bytes())
    options = grpc_frontend.GrpcOptions(config.host, config.grpc_port, token, certificate)
    try:
        grpc_server = await grpc_frontend.listen(handlers, options)
    except OSError as error:
        raise _PortError(_port_problem(config.host, config.grpc_port, "grpc", error)) from error
    stack.push_async_callback(grpc_server.close)
    return link.port, grpc_server.port


def _require_port(host: str, port: int, name: str) -> None:
    # Neither server library keeps the reason why it could not listen, and gRPC's C core writes lines of its own.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family):
            pass
    except OSError as error:
        raise _PortError(_port_problem(host, port, name, error)) from error


def _port_problem(host: str, port: int, name: str, error: OSError) -> str:
    option = f"--{name}-port"
    if error.errno in (errno.EADDRNOTAVAIL, socket.EAI_NONAME):
        return f"This machine has no address {host}: choose another with --host."
    if error.errno == errno.EACCES:
        return f"Port {port} is for root alone: choose one above 1023 with {option}."
    return f"Port {port} is in use by another program: stop it, or choose another with {option}."


def _tls_context(config: ServerConfig) -> ssl.SSLContext | None:
    if config.tls_cert is None or config.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"--tls-cert {config.tls_cert} and --tls-key {config.tls_key} are not a PEM certificate "
            f"and its key ({error})."
        ) from error
    return context


def _publish(file: Path, endpoints: Endpoints) -> Callable[[], None]:
    """Write the file that says where the server is; return what removes it."""
    draft = file.with_suffix(f".{endpoints.pid}")
    draft.write_text(json.dumps(asdict(endpoints)) + "\n")
    draft.replace(file)
    return lambda: file.unlink(missing_ok=True)


def _end_on_signals(cluster: Cluster) -> None:
    # For as long as the loop lives: a second signal must not cut the last flush short.
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, cluster.shut_down, False, number.name)


def _note_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Give what a stranger's connection broke with one line; anything else is a bug of ours and keeps its traceback."""
    error = context.get("exception")
    # The transport sometimes reports the exception's class in place of the exception.
    kind = error if isinstance(error, type) else type(error)
    if not issubclass(kind, OSError):
        loop.default_exception_handler(context)
        return
    problem = str(context.get("message", "")).partition("\n")[0]
    log_event(_log, logging.WARNING, "connection_failed", problem=problem, error=repr(error))


def _announce(endpoints: Endpoints) -> None:
    scheme = "https" if endpoints.tls else "http"
    sys.stderr.write(
        f"offload server {endpoints.version} listens on {scheme}://{endpoints.host}:{endpoints.http_port} "
        f"and gRPC port {endpoints.grpc_port}\n"
    )
    sys.stderr.flush()


def _fail(code: int, message: str) -> int:
    sys.stderr.write(" ".join(message.split()) + "\n")
    return code
