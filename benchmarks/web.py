"""Web endpoints through the ingress, beside the same FastAPI application under uvicorn with nginx in front of it.

`web_p50_ms` and `web_p99_ms` are of one client that asks again as soon as it has its answer, the requests per second of 32 at once.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import (
    HERE,
    PEER_PYTHON,
    Figures,
    free_port,
    own_stack,
    quantile,
    report,
    rounds,
)
from offload.cli.ask import ask
from offload.wire.gen.containers_pb2 import ListContainersReply, ListContainersRequest

ROOT = HERE.parent
NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes auto;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  upstream app {{ server 127.0.0.1:{app_port}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


def wrk(url: str, connections: int, seconds: float) -> Figures:
    """Ask as fast as answers come."""
    command = [
        "wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds:g}s",
        "--timeout", "30s", "--script", str(HERE / "web.lua"), url,
    ]  # fmt: skip
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def play(url: str, connections: int, seconds: float) -> Figures:
    """Return one round's figures."""
    seen = wrk(url, connections, seconds)
    return {
        "per_s": seen["requests"] / seen["seconds"],
        "p50_ms": seen["p50_ms"],
        "p99_ms": seen["p99_ms"],
        "errors": seen["errors"],
    }


@contextmanager
def nginx_before_uvicorn() -> Iterator[str]:
    """Serve the application as people do; yield its address."""
    with tempfile.TemporaryDirectory(prefix="offload-bench-nginx-") as folder:
        app_port, port = free_port(), free_port()
        config = Path(folder, "nginx.conf")
        config.write_text(NGINX.format(folder=folder, app_port=app_port, port=port))
        uvicorn = [
            str(PEER_PYTHON), "-m", "uvicorn", "web_plain:app", "--port", str(app_port), "--no-access-log",
            "--log-level", "warning", "--loop", "uvloop", "--http", "httptools",
        ]  # fmt: skip
        programs = [
            subprocess.Popen(uvicorn, cwd=HERE / "peers"),
            subprocess.Popen(["nginx", "-c", str(config), "-e", f"{folder}/error.log"]),
        ]
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(port, "/?item_id=1")
            yield url
        finally:
            for program in reversed(programs):
                program.terminate()
                program.wait()


def _wait(is_so: Callable[[], bool], otherwise: str) -> None:
    until = time.monotonic() + 60
    while not is_so():
        if time.monotonic() > until:
            raise TimeoutError(otherwise)
        time.sleep(0.02)


def _wait_for(port: int, path: str) -> None:
    _wait(lambda: _get(port, path)[0] == 200, f"{path} is not served on port {port}")


def _wait_for_template(port: int, path: str) -> None:
    def is_forked() -> bool:
        # A forked container's parent is outside of its namespace.
        _, body = _get(port, path)
        return b'"parent":0' in body

    _wait(is_forked, f"the containers of {path} are not forked from a template")


def _wait_until_gone(function: str) -> None:
    def is_gone() -> bool:
        request, reply = ListContainersRequest(app="bench"), ListContainersReply
        running = ask("Containers/ListContainers", request, reply).containers
        return all(each.function_name != function for each in running)

    _wait(is_gone, f"a container of {function} does not end")


def _get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except OSError:
        return 0, b""
    finally:
        connection.close()


def deploy(number: int = 1) -> None:
    """Deploy the endpoints, with the peers' packages beside ours."""
    packages = next(PEER_PYTHON.parent.parent.glob("lib/python*/site-packages"))
    command = [sys.executable, "-m", "offload", "deploy", str(HERE / "web_app.py")]
    environment = {**os.environ, "PYTHONPATH": str(packages), "ROUND": str(number)}
    subprocess.run(command, check=True, stdout=sys.stderr, env=environment, cwd=ROOT)


def cold(port: int, count: int) -> Figures:
    """Ask for containers that are not there: each request has one of its own, forked from the template."""
    path = "/web/bench/cold?item_id=1"
    _wait_for_template(port, path)
    took, errors = [], 0
    for _ in range(count):
        _wait_until_gone("cold")
        began = time.perf_counter()
        errors += _get(port, path)[0] != 200
        took.append((time.perf_counter() - began) * 1e3)
    return {"p50_ms": quantile(took, 0.5), "p99_ms": quantile(took, 0.99), "errors": errors}


def come_and_go(port: int, wanted: int) -> Figures:
    """Ask in bursts, between which the containers go; deploy anew in the middle of one."""
    url = f"http://127.0.0.1:{port}/web/bench/busy?item_id=1"
    requests, errors, bursts = 0.0, 0.0, 0
    while requests < wanted:
        seen = wrk(url, 16, 1)
        requests += seen["requests"]
        errors += seen["errors"]
        bursts += 1
        _wait_until_gone("busy")
        if bursts == 3:
            deploying = threading.Thread(target=deploy, args=(2,))
            deploying.start()
            seen = wrk(url, 16, 3)
            requests += seen["requests"]
            errors += seen["errors"]
            deploying.join()
    return {"requests": requests, "errors": errors, "bursts": bursts}


def main() -> None:
    """Play the rounds and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--cold", type=int, default=50)
    parser.add_argument("--requests", type=int, default=10_000)
    options = parser.parse_args()
    seconds = options.seconds
    with own_stack() as data_dir, nginx_before_uvicorn() as plain:
        deploy()
        port = json.loads((data_dir / "server.json").read_text())["http_port"]
        ours = f"http://127.0.0.1:{port}/web/bench/warm?item_id=1"
        theirs = f"{plain}/?item_id=1"
        _wait_for(port, "/web/bench/warm?item_id=1")
        wrk(ours, 32, 1)
        medians = rounds(
            {
                "ours 1": lambda: play(ours, 1, seconds),
                "nginx 1": lambda: play(theirs, 1, seconds),
                "ours 32": lambda: play(ours, 32, seconds),
                "nginx 32": lambda: play(theirs, 32, seconds),
            },
            options.rounds,
        )
        from_zero = cold(port, options.cold)
        moving = come_and_go(port, options.requests)
    errors = (
        moving["errors"]
        + from_zero["errors"]
        + medians["ours 1"]["errors"]
        + medians["ours 32"]["errors"]
    )
    result: dict[str, object] = {
        "web_p50_ms": round(medians["ours 1"]["p50_ms"], 3),
        "web_p99_ms": round(medians["ours 1"]["p99_ms"], 3),
        "web_rps": round(medians["ours 32"]["per_s"]),
        "web_p50_ms_32_connections": round(medians["ours 32"]["p50_ms"], 3),
        "nginx_rps": round(medians["nginx 32"]["per_s"]),
        "nginx_p50_ms": round(medians["nginx 1"]["p50_ms"], 3),
        "web_cold_p50_ms": round(from_zero["p50_ms"], 1),
        "web_cold_p99_ms": round(from_zero["p99_ms"], 1),
        "web_moving_requests": round(moving["requests"]),
        "web_errors": round(errors),
    }
    rows = {
        name: {
            "requests/s": f"{figures['per_s']:,.0f}",
            "p50 ms": f"{figures['p50_ms']:.2f}",
            "p99 ms": f"{figures['p99_ms']:.2f}",
        }
        for name, figures in medians.items()
    }
    rows["ours, from zero"] = {
        "p50 ms": f"{from_zero['p50_ms']:.1f}",
        "p99 ms": f"{from_zero['p99_ms']:.1f}",
    }
    report("A GET of a FastAPI route, by clients at once", rows, result)


if __name__ == "__main__":
    main()
