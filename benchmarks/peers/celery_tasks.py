"""One round of Celery with a Redis broker and result backend of its own. Arguments: calls, inputs."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from celery import Celery, group
from measure import measure

URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:1/0")
app = Celery("celery_tasks", broker=URL, backend=URL)


@app.task(name="noop")
def noop(value: int) -> int:
    """Do nothing."""
    return value


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int) -> None:
    """Return once something answers on the port."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    sys.exit("redis-server did not come up")


def play(calls: int, inputs: int) -> None:
    """Measure against the worker and the Redis server that BENCH_REDIS_URL names."""
    measure(
        lambda value: noop.delay(value).get(timeout=60),
        lambda values: group(noop.s(value) for value in values)().get(timeout=300),
        calls,
        inputs,
    )


def main(calls: int, inputs: int) -> None:
    """Start Redis and a worker with its default settings, measure in a process of its own, end both."""
    if "BENCH_REDIS_URL" in os.environ:
        play(calls, inputs)
        return
    port = free_port()
    with tempfile.TemporaryDirectory() as scratch:
        redis = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", scratch],
            stdout=subprocess.DEVNULL,
        )
        environment = {
            **os.environ,
            "BENCH_REDIS_URL": f"redis://127.0.0.1:{port}/0",
            "PYTHONPATH": str(Path(__file__).parent),
        }
        worker = None
        try:
            wait_for_port(port)
            worker = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "celery",
                    "-A",
                    "celery_tasks",
                    "worker",
                    "--loglevel",
                    "ERROR",
                ],
                env={**environment, "C_FORCE_ROOT": "1"},
                cwd=scratch,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            subprocess.run(
                [sys.executable, __file__, str(calls), str(inputs)], env=environment, check=True
            )
        finally:
            for process in (worker, redis):
                if process is not None:
                    process.terminate()
                    process.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
