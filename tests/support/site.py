"""A site as its operator runs it: a server and workers started by hand, each a process that can be ended and started again."""

from __future__ import annotations

import contextlib
import select
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.acceptance import COMMAND, User

from offload.sdk.blocking import run
from offload.sdk.client import Client
from offload.sdk.client.connection import ServerAddress
from offload.sdk.session import use_client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READY_SECONDS = 60


@dataclass
class Site:
    """Processes of one server and any number of workers, and people who use them."""

    home: Path
    server_options: tuple[str, ...] = ()
    server: subprocess.Popen[bytes] | None = None
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _port: str = "0"
    _logs: int = 0

    def __post_init__(self) -> None:
        self.user = User(self.home / "user")
        self.user.home.mkdir(parents=True, exist_ok=True)

    @property
    def data_dir(self) -> Path:
        return self.home / "server"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def token(self) -> str:
        return (self.data_dir / "token").read_text().strip()

    def start_server(self) -> None:
        """Start the server, again on the port that it had; return when it answers."""
        options = ("--http-port", self._port, "--grpc-port", "0", "--data-dir", str(self.data_dir))
        self.server, line = self._start("listens on", "server", *options, *self.server_options)
        self._port = line.partition("http://127.0.0.1:")[2].split()[0]
        self.user.extra = {"OFFLOAD_SERVER_URL": self.url, "OFFLOAD_TOKEN": self.token}

    def start_worker(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        """Start a worker; return when the server has welcomed it."""
        known = ("--name", name, "--data-dir", str(self.home / "workers"))
        self.workers[name], _ = self._start("is ready", "worker", *known, *options)
        return self.workers[name]

    def end_server(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Signal the server and wait for its end; return its exit code."""
        assert self.server is not None
        self.server.send_signal(how)
        return self.server.wait(30)

    @contextlib.contextmanager
    def calls(self) -> Iterator[None]:
        """Have the calls of this process go here for the length of the block."""
        client = Client(
            lambda: ServerAddress(f"ws://127.0.0.1:{self._port}/link", self.token), 60.0
        )
        before = use_client(client)
        try:
            yield
        finally:
            use_client(before)
            run(client.close())

    def log_of(self, name: str) -> str:
        """Return what all processes of a name wrote, "server" or a worker's."""
        return "".join(file.read_text() for file in sorted(self.home.glob(f"{name}.*.log")))

    def end(self) -> None:
        """End every process, workers first, as none should wait for a server that is gone."""
        for process in (*self.workers.values(), self.server):
            if process is not None and process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()
                process.wait()
        self.user.end()

    def _start(self, mark: str, kind: str, *options: str) -> tuple[subprocess.Popen[bytes], str]:
        self._logs += 1
        name = options[1] if kind == "worker" else kind
        log = self.home / f"{name}.{self._logs:03}.log"
        # Into a file: a process that is started by one test and ended by another must never wait for a reader.
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*COMMAND, kind, *options],
                env=self.user.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            for line in log.read_text().splitlines():
                if mark in line:
                    return process, line
            select.select([], [], [], 0.02)
        process.kill()
        process.wait()
        raise AssertionError(f"{kind} did not become ready:\n{log.read_text()}")


@contextlib.contextmanager
def running_site(home: Path, *server_options: str) -> Iterator[Site]:
    """Have a site with a server for the length of the block."""
    site = Site(home, server_options)
    try:
        site.start_server()
        yield site
    finally:
        site.end()
