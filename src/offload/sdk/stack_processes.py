"""The local stack's processes as this machine shows them: what was started, what of it lives, and who answers."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING

from offload.errors import OffloadError
from offload.sdk.client.connection import ServerAddress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAUSE_SECONDS = 0.01


@dataclass(frozen=True)
class LocalStack:
    """The processes that were started for a data directory."""

    server_pid: int
    worker_pid: int
    http_port: int


def recorded(data_dir: Path) -> LocalStack | None:
    """Return what was started here and has not been ended with `offload down`."""
    try:
        facts = json.loads((data_dir / "stack.json").read_text())
        return LocalStack(*(int(facts[name]) for name in ("server_pid", "worker_pid", "http_port")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def record(data_dir: Path, stack: LocalStack) -> None:
    """Remember what was started; replaced whole, as others read it without the lock."""
    draft = data_dir / "stack.json.new"
    draft.write_text(json.dumps(asdict(stack)))
    draft.replace(data_dir / "stack.json")


def is_alive(pid: int, data_dir: Path) -> bool:
    """Whether this is still the process that was started: numbers are used again for others."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123  # asked for every two seconds
            words = file.read().split(b"\0")
    except OSError:
        return False
    return b"offload" in words and os.fsencode(str(data_dir)) in words


def wait_gone(pids: list[int], data_dir: Path, patience_seconds: float) -> bool:
    """Wait until the processes have ended; return whether they did in time."""
    deadline = time.monotonic() + patience_seconds
    while True:
        _reap(pids)
        if not any(is_alive(pid, data_dir) for pid in pids):
            return True
        if time.monotonic() >= deadline:
            return False
        # A process that is no child cannot be waited for by itself; its end shows in /proc.
        signal.sigtimedwait((), PAUSE_SECONDS)


def _reap(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def running(data_dir: Path) -> ServerAddress | None:
    """Return the address of the server that answers for the directory; None where none does."""
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
            status, _, rest = connection.recv(4096).partition(b"\r\n")
    except OSError:
        return False
    # One whose disk is full says so to whoever calls; one that is about to end has nothing more to say.
    return b" 200 " in status or (b" 503 " in status and b"shutting down" not in rest)


@contextlib.contextmanager
def lock(data_dir: Path) -> Iterator[None]:
    """Hold the directory against other programs that start or end its stack."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (data_dir / "stack.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise OffloadError(f"cannot use {data_dir} for a local stack: {error}") from error


def spawn(data_dir: Path, role: str, flags: list[str]) -> subprocess.Popen[bytes]:
    """Start a process of the stack that outlives this program, with its output in `logs/`."""
    with (data_dir / "logs" / f"{role}.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603  # our own interpreter and our own flags
            [sys.executable, "-m", "offload", role, "--data-dir", str(data_dir), *flags],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )


def make_token(path: Path) -> None:
    """Make the token unless there is one."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        file: IO[str]
        with os.fdopen(descriptor, "w") as file:
            # Not the `secrets` of the standard library: a program may be called that.
            file.write(base64.urlsafe_b64encode(os.urandom(33)).decode() + "\n")


def free_port() -> int:
    """Return a port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False
