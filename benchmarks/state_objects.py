"""The part of dicts and queues: one client and eight, beside Redis with its Python client.

Redis keeps an append-only file as its documentation advises, synced once a second (its default): it answers before what it
was told is on the disk, and a power cut may cost it that second. Ours answer when it is. Both servers and all clients share
this machine, in the same run and in turns.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.harness import HERE, PEER_PYTHON, Figures, free_port
from benchmarks.peers.phases import PHASES

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 8  # clients


@contextmanager
def redis_server() -> Iterator[int]:
    """Run a Redis server of the benchmark's own; yield its port."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="offload-bench-redis-") as folder:
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", folder]
        options = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        server = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield port
        finally:
            server.terminate()
            server.wait()


def play_ours(clients: int, calls: int, batches: int, batch: int) -> Figures:
    """One round of ours, on the stack that the settings name."""
    sizes = [str(calls), str(batches), str(batch)]
    command = [sys.executable, "-m", "benchmarks.state_client"]
    return _play([[*command, str(number), *sizes] for number in range(clients)])


def play_redis(port: int, clients: int, calls: int, batches: int, batch: int) -> Figures:
    """One round of Redis."""
    sizes = [str(calls), str(batches), str(batch)]
    command = [str(PEER_PYTHON), str(HERE / "peers" / "redis_state.py"), str(port)]
    return _play([[*command, str(number), *sizes] for number in range(clients)])


def _play(commands: list[list[str]]) -> Figures:
    processes = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE.parent
        )
        for command in commands
    ]
    figures: Figures = {}
    try:
        for phase in PHASES:
            for process in processes:
                _line_of(process)
            began = time.perf_counter()
            for process in processes:
                _tell(process, "go")
            said = [json.loads(_line_of(process)) for process in processes]
            took = time.perf_counter() - began
            figures[f"{phase}_per_s"] = sum(one["count"] for one in said) / took
            figures[f"{phase}_p50_ms"] = sorted(one["p50_ms"] for one in said)[len(said) // 2]
    finally:
        for process in processes:
            process.terminate()
            process.communicate()
    return figures


def _tell(process: subprocess.Popen[str], word: str) -> None:
    print(word, file=process.stdin, flush=True)


def _line_of(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise SystemExit("a client of the benchmark ended before it was done; its error is above")
    return line


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise SystemExit("redis-server did not come up")
