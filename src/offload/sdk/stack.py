"""Finding the server, and keeping a local stack (one server, one worker) for those who have configured none.

The stack's state lives in one directory: `server.json` and `token` (the server's), `stack.json` (what was started
here), `logs/`. Starting happens under a lock on that directory, so that two programs that begin at once share one.

Nobody watches over the two processes, so whoever uses them does: a program that finds its server or its worker gone
starts that half again on the same state, and what was accepted goes on. Only `offload down` takes `stack.json` away,
and a program that was running then is told so and starts nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from offload.errors import AuthError, ConnectionLostError, OffloadError
from offload.sdk import stack_processes as processes
from offload.sdk.blocking import run
from offload.sdk.client.connection import ServerAddress
from offload.sdk.config import ClientConfig, read_config
from offload.sdk.stack_processes import LocalStack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Beyond this a start has failed, however slow the machine.
START_SECONDS = 30.0

_STOP_SECONDS = 10.0
_LOG_TAIL_LINES = 8


class Finder:
    """Finds the server for one program, again whenever the connection breaks. See `find_server`."""

    def __init__(self) -> None:
        self._has_local = False

    def __call__(self) -> ServerAddress:
        """Return the address. A local stack that has crashed is started again, one that was ended is not."""
        config = read_config()
        if config.server_url is not None:
            return _configured(config, config.server_url)
        address = ensure_local_stack(config, is_known=self._has_local)
        self._has_local = True
        return address

    def mend(self) -> None:
        """Start the worker of the local stack again where it is gone: nothing else tells a program that waits for it."""
        if not self._has_local:
            return
        config = read_config()
        stack = processes.recorded(config.data_dir)
        if stack is not None and not processes.is_alive(stack.worker_pid, config.data_dir):
            ensure_local_stack(config, is_known=True)


def find_server(*, start: bool = True) -> ServerAddress:
    """Return the configured server, or the local stack's, which is started where it does not run.

    Blocks; not for the connection's own thread. Raises `OffloadError` with the last log lines when a start fails,
    and `ConnectionLostError` where none runs and `start` is False.
    """
    config = read_config()
    if config.server_url is not None:
        return _configured(config, config.server_url)
    if start:
        return ensure_local_stack(config)
    address = processes.running(config.data_dir)
    if address is None:
        raise ConnectionLostError(
            f"no local stack is running (its state would be in {config.data_dir}), and no server is configured: "
            "start one with `offload up`, or set OFFLOAD_SERVER_URL"
        )
    return address


def ensure_local_stack(
    config: ClientConfig | None = None, *, is_known: bool = False
) -> ServerAddress:
    """Return the local stack's address; start what of it does not run, and say so on stderr.

    With `is_known` this program has used it before: where it was ended since, that is an error.
    """
    config = config or read_config()
    address = _whole(config.data_dir)
    if address is not None:
        return address
    with processes.lock(config.data_dir):
        known = processes.recorded(config.data_dir)
        if is_known and known is None:
            raise ConnectionLostError(
                "the local stack was ended (`offload down`); what it had accepted goes on when it is started again"
            )
        address = _whole(config.data_dir)
        if address is not None:
            return address
        said, address = _start(config, known)
    print(said, file=sys.stderr)  # noqa: T201  # it outlives this program, so the user is told
    return address


def _whole(data_dir: Path) -> ServerAddress | None:
    """Return the address of a server that runs, unless the worker started with it does not."""
    address = processes.running(data_dir)
    stack = processes.recorded(data_dir)
    if stack is not None and not processes.is_alive(stack.worker_pid, data_dir):
        return None
    return address


def stop_local_stack(config: ClientConfig | None = None) -> bool:
    """End the local stack and wait until its processes are gone; return whether there was one."""
    config = config or read_config()
    data_dir = config.data_dir
    if not data_dir.exists():
        return False
    with processes.lock(data_dir):
        stack = processes.recorded(data_dir)
        both = (stack.worker_pid, stack.server_pid) if stack is not None else ()
        pids = [pid for pid in both if processes.is_alive(pid, data_dir)]
        address = processes.running(data_dir)
        if address is not None and pids:
            with contextlib.suppress(OffloadError):
                run(_ask_to_shut_down(address))
            processes.wait_gone(pids, data_dir, _STOP_SECONDS)
        # Where the server is gone the worker has nobody to give its inputs back to. The second signal spares it its
        # patience with what is in hand.
        for number, patience in (
            (signal.SIGTERM, 0.2),
            (signal.SIGTERM, 1.0),
            (signal.SIGKILL, 5.0),
        ):
            for pid in pids:
                if processes.is_alive(pid, data_dir):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
            processes.wait_gone(pids, data_dir, patience)
        for name in ("stack.json", "server.json"):
            (data_dir / name).unlink(missing_ok=True)
    return bool(pids)


def _configured(config: ClientConfig, server_url: str) -> ServerAddress:
    token = config.token
    if token is None:
        kept = config.data_dir / "token"
        if not kept.exists():
            raise AuthError(
                f"{server_url} needs a token: set OFFLOAD_TOKEN or OFFLOAD_TOKEN_FILE "
                "to what the file `token` in the server's data directory holds"
            )
        token = kept.read_text().strip()
    return ServerAddress(link_url(server_url), token, config.tls_ca)


def link_url(server_url: str) -> str:
    """Return where the link of a server is, from its address as people write it."""
    scheme, separator, rest = server_url.partition("://")
    if not separator:
        scheme, rest = "http", server_url
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    host = rest.partition("/")[0]
    return f"{scheme}://{host}/link"


def _start(config: ClientConfig, known: LocalStack | None) -> tuple[str, ServerAddress]:
    """Start what is missing; return what there is to say, and the address."""
    data_dir = config.data_dir
    address = processes.running(data_dir)
    if address is not None and known is not None:
        return _start_worker(data_dir, known, address)
    if known is not None and not processes.wait_gone([known.server_pid], data_dir, _STOP_SECONDS):
        raise OffloadError(
            f"the local server (pid {known.server_pid}) runs but does not answer: end it with `offload down`"
        )
    (data_dir / "server.json").unlink(missing_ok=True)
    (data_dir / "logs").mkdir(exist_ok=True)
    processes.make_token(data_dir / "token")
    if known is not None and processes.is_alive(known.worker_pid, data_dir):
        if processes.is_free(known.http_port):
            return _start_server(config, known)
        _kill(data_dir, known.worker_pid)  # it dials a port that is another program's now
    return _start_both(config)


def _start_both(config: ClientConfig) -> tuple[str, ServerAddress]:
    data_dir = config.data_dir
    # The port is chosen here so that the worker can start beside the server and need not wait for it.
    port = processes.free_port()
    server = _spawn_server(config, port)
    worker = _spawn_worker(data_dir, port)
    processes.record(data_dir, LocalStack(server.pid, worker.pid, port))
    with _killed_on_failure(server, worker):
        address = _wait_for_server(data_dir, server)
        _wait_for_worker(data_dir, worker, address)
    said = (
        f"Started a local stack (server pid {server.pid}, state in {data_dir}); "
        "end it with `offload down`."
    )
    return said, address


def _start_server(config: ClientConfig, known: LocalStack) -> tuple[str, ServerAddress]:
    """Start the server again where its worker dials it and still holds its inputs."""
    data_dir = config.data_dir
    server = _spawn_server(config, known.http_port)
    processes.record(data_dir, LocalStack(server.pid, known.worker_pid, known.http_port))
    with _killed_on_failure(server):
        address = _wait_for_server(data_dir, server)
    return f"The local server had died; started it again (pid {server.pid}).", address


def _start_worker(
    data_dir: Path, known: LocalStack, address: ServerAddress
) -> tuple[str, ServerAddress]:
    worker = _spawn_worker(data_dir, known.http_port)
    processes.record(data_dir, LocalStack(known.server_pid, worker.pid, known.http_port))
    with _killed_on_failure(worker):
        _wait_for_worker(data_dir, worker, address)
    return f"The local worker had died; started another (pid {worker.pid}).", address


def _spawn_server(config: ClientConfig, port: int) -> subprocess.Popen[bytes]:
    return processes.spawn(
        config.data_dir, "server",
        ["--http-port", str(port), "--grpc-port", "0", "--idle-exit-seconds", f"{config.idle_exit_seconds:g}"],
    )  # fmt: skip


def _spawn_worker(data_dir: Path, port: int) -> subprocess.Popen[bytes]:
    # Only this user has the token, and can read what is this user's alone anyway.
    return processes.spawn(
        data_dir, "worker",
        ["--server-url", f"http://127.0.0.1:{port}", "--token-file", str(data_dir / "token"),
         "--show-private", "--give-up-after-seconds", "60"],
    )  # fmt: skip


@contextlib.contextmanager
def _killed_on_failure(*started: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for process in started:
            process.kill()
            process.wait()
        raise
    for process in started:
        process.returncode = 0  # they outlive this program on purpose; Popen would warn of that


def _kill(data_dir: Path, pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    processes.wait_gone([pid], data_dir, _STOP_SECONDS)


def _wait_for_server(data_dir: Path, server: subprocess.Popen[bytes]) -> ServerAddress:
    deadline = time.monotonic() + START_SECONDS
    while (address := processes.running(data_dir)) is None:
        _check_alive(data_dir, "server", server, deadline)
    return address


def _wait_for_worker(
    data_dir: Path, worker: subprocess.Popen[bytes], address: ServerAddress
) -> None:
    deadline = time.monotonic() + START_SECONDS
    while run(_count_workers(address)) == 0:
        _check_alive(data_dir, "worker", worker, deadline)


def _check_alive(
    data_dir: Path, role: str, process: subprocess.Popen[bytes], deadline: float
) -> None:
    """Wait a moment for the process. Raises where it has ended or has had long enough."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        code = process.wait(timeout=processes.PAUSE_SECONDS)
        raise OffloadError(_explain(data_dir, role, f"ended with exit code {code}"))
    if time.monotonic() > deadline:
        raise OffloadError(_explain(data_dir, role, f"was not ready within {START_SECONDS:g} s"))


def _explain(data_dir: Path, role: str, what: str) -> str:
    log = data_dir / "logs" / f"{role}.log"
    lines = log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:] if log.exists() else []
    tail = "".join(f"\n  {line}" for line in lines) or "\n  (its log is empty)"
    return f"the local {role} {what}. The last lines of {log}:{tail}"


async def _count_workers(address: ServerAddress) -> int:
    from offload.sdk.client import Client

    client = Client(lambda: address, give_up_after_seconds=0)
    try:
        return await client.count_workers()
    finally:
        await client.close()


async def _ask_to_shut_down(address: ServerAddress) -> None:
    from offload.sdk.client import Client

    client = Client(lambda: address, give_up_after_seconds=0)
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await client.shut_down("offload down")
    except TimeoutError:
        raise ConnectionLostError("the local server does not answer") from None
    finally:
        await client.close()
