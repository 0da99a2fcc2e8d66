"""One round of Celery with a Redis broker and result backend of its own. Arguments: calls, inputs."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from celery import Celery, group

URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:1/0")
app = Celery("celery_tasks", broker=URL, backend=URL)


@app.task(name="noop")
def noop(value):
    return value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    sys.exit("redis-server did not come up")


def measure(calls: int, inputs: int) -> None:
    for value in range(200):
        noop.delay(value).get(timeout=60)
    times = []
    for value in range(calls):
        began = time.perf_counter()
        noop.delay(value).get(timeout=60)
        times.append(time.perf_counter() - began)
    began = time.perf_counter()
    group(noop.s(value) for value in range(inputs))().get(timeout=300)
    took = time.perf_counter() - began
    times.sort()
    figures = {
        "p50_ms": times[calls // 2] * 1e3,
        "p99_ms": times[int(calls * 0.99)] * 1e3,
        "per_s": inputs / took,
    }
    print(json.dumps(figures))


def main(calls: int, inputs: int) -> None:
    if "BENCH_REDIS_URL" in os.environ:
        measure(calls, inputs)
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
