"""Finding the server, and keeping a local stack (one server, one worker) for those who have configured none.

The stack's state lives in one directory: `server.json` and `token` (the server's), `stack.json` (what was started
here), `logs/`. Starting happens under a lock on that directory, so that two programs that begin at once share one.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from offload.errors import AuthError, ConnectionLostError, OffloadError
from offload.sdk.blocking import run
from offload.sdk.client.connection import ServerAddress
from offload.sdk.config import ClientConfig, read_config

if TYPE_CHECKING:
    from collections.abc import Iterator

# Beyond this a start has failed, however slow the machine.
START_SECONDS = 30.0

_STOP_SECONDS = 10.0
_PAUSE_SECONDS = 0.01
_LOG_TAIL_LINES = 8


@dataclass(frozen=True)
class LocalStack:
    """The processes that were started for a data directory."""

    server_pid: int
    worker_pid: int
    http_port: int


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
    address = _running(config.data_dir)
    if address is None:
        raise ConnectionLostError(
            f"no local stack is running (its state would be in {config.data_dir}), and no server is configured: "
            "start one with `offload up`, or set OFFLOAD_SERVER_URL"
        )
    return address


def ensure_local_stack(config: ClientConfig | None = None) -> ServerAddress:
    """Return the local stack's address; start it where it does not run, and say so on stderr."""
    config = config or read_config()
    address = _running(config.data_dir)
    if address is not None:
        return address
    with _lock(config.data_dir):
        address = _running(config.data_dir)
        if address is not None:
            return address
        stack, address = _start(config)
    print(  # noqa: T201  # it outlives this program, so the user is told
        f"Started a local stack (server pid {stack.server_pid}, state in {config.data_dir}); "
        "end it with `offload down`.",
        file=sys.stderr,
    )
    return address


def stop_local_stack(config: ClientConfig | None = None) -> bool:
    """End the local stack and wait until its processes are gone; return whether there was one."""
    config = config or read_config()
    if not config.data_dir.exists():
        return False
    with _lock(config.data_dir):
        pids = [pid for pid in _recorded_pids(config.data_dir) if _is_ours(pid, config.data_dir)]
        address = _running(config.data_dir)
        if address is not None:
            with contextlib.suppress(OffloadError):
                run(_ask_to_shut_down(address))
        for number, patience in (
            (None, _STOP_SECONDS),
            (signal.SIGTERM, 5.0),
            (signal.SIGKILL, 5.0),
        ):
            left = [pid for pid in pids if _is_ours(pid, config.data_dir)]
            if number is not None:
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
            if address is not None or number is not None:
                _wait_gone(left, config.data_dir, patience)
        for name in ("stack.json", "server.json"):
            (config.data_dir / name).unlink(missing_ok=True)
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


def _running(data_dir: Path) -> ServerAddress | None:
    try:
        facts = json.loads((data_dir / "server.json").read_text())
        token = (data_dir / "token").read_text().strip()
        port = int(facts["http_port"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not _answers(port):
        return None
    return ServerAddress(f"ws://127.0.0.1:{port}/link", token)


def _answers(port: int) -> bool:
    request = b"GET /ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(request)
            return b" 200 " in connection.recv(256).partition(b"\r\n")[0]
    except OSError:
        return False


@contextlib.contextmanager
def _lock(data_dir: Path) -> Iterator[None]:
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (data_dir / "stack.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise OffloadError(f"cannot use {data_dir} for a local stack: {error}") from error


def _start(config: ClientConfig) -> tuple[LocalStack, ServerAddress]:
    data_dir = config.data_dir
    (data_dir / "server.json").unlink(missing_ok=True)
    (data_dir / "logs").mkdir(exist_ok=True)
    _make_token(data_dir / "token")
    # The port is chosen here so that the worker can start beside the server and need not wait for it.
    port = _free_port()
    server = _spawn(
        data_dir, "server",
        ["--http-port", str(port), "--grpc-port", "0", "--idle-exit-seconds", f"{config.idle_exit_seconds:g}"],
    )  # fmt: skip
    worker = _spawn(
        data_dir, "worker",
        ["--server-url", f"http://127.0.0.1:{port}", "--token-file", str(data_dir / "token"),
         "--give-up-after-seconds", "60"],
    )  # fmt: skip
    stack = LocalStack(server.pid, worker.pid, port)
    record = {"server_pid": server.pid, "worker_pid": worker.pid, "http_port": port}
    (data_dir / "stack.json").write_text(json.dumps(record))
    try:
        address = _wait_for_server(data_dir, server)
        _wait_for_worker(data_dir, worker, address)
    except BaseException:
        for process in (worker, server):
            process.kill()
            process.wait()
        raise
    for process in (worker, server):
        process.returncode = 0  # they outlive this program on purpose; Popen would warn of that
    return stack, address


def _spawn(data_dir: Path, role: str, flags: list[str]) -> subprocess.Popen[bytes]:
    with (data_dir / "logs" / f"{role}.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603  # our own interpreter and our own flags
            [sys.executable, "-m", "offload", role, "--data-dir", str(data_dir), *flags],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )


def _wait_for_server(data_dir: Path, server: subprocess.Popen[bytes]) -> ServerAddress:
    deadline = time.monotonic() + START_SECONDS
    while (address := _running(data_dir)) is None:
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
        code = process.wait(timeout=_PAUSE_SECONDS)
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


def _make_token(path: Path) -> None:
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        file: IO[str]
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _recorded_pids(data_dir: Path) -> list[int]:
    try:
        facts = json.loads((data_dir / "stack.json").read_text())
        return [int(facts["worker_pid"]), int(facts["server_pid"])]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _is_ours(pid: int, data_dir: Path) -> bool:
    """Whether this is still the process that was started: numbers are used again for others."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"offload" in words and os.fsencode(str(data_dir)) in words


def _wait_gone(pids: list[int], data_dir: Path, patience_seconds: float) -> None:
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        _reap(pids)
        if not any(_is_ours(pid, data_dir) for pid in pids):
            return
        # A process that is no child cannot be waited for by itself; its end shows in /proc.
        signal.sigtimedwait((), _PAUSE_SECONDS)


def _reap(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
