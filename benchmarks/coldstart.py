"""From no container of a function to its first result, beside `docker run` of the same interpreter."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.docker_daemon import NoDockerError, docker_daemon

import offload
from benchmarks.harness import own_stack, quantile, report, timed

DOCKER_IMAGE = "offload-bench-empty"


def first_result(runtime: str | None = None) -> float:
    """Return the seconds a function without any container takes to answer."""
    app = offload.App("bench-coldstart")

    @app.function(runtime=runtime)
    def noop(value: int) -> int:
        return value

    with app.run():
        return timed(lambda: noop.remote(1))


def forked_results(rounds: int) -> list[float]:
    """Return the milliseconds that calls take whose container is forked for each of them."""
    app = offload.App("bench-coldstart-template")

    @app.function(scaledown_window=0)
    def parent() -> int:
        return os.getppid()

    took: list[float] = []
    with app.run():
        parent.remote()
        # A forked container's parent is outside of its namespace: so it is known when the template is there.
        while parent.remote() != 0:
            time.sleep(0.1)
        while len(took) < rounds:
            time.sleep(0.05)  # so that the container before has gone
            parents: list[int] = []
            seconds = timed(lambda: parents.append(parent.remote()))  # noqa: B023 - called at once
            if parents == [0]:
                took.append(seconds * 1e3)
    return took


def at_the_runtimes_port(rounds: int) -> dict[str, float]:
    """Return the figures of `forked`, from a process of its own: it is the parent of what it measures."""
    command = [sys.executable, "-m", "benchmarks.forked", f"--rounds={rounds}"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


@contextmanager
def docker_run() -> Iterator[list[str] | None]:
    """Give the command that runs this interpreter in a Docker container, or None where no engine can.

    An engine that is there is taken; otherwise one is started for as long as this takes.
    """
    docker = shutil.which("docker")
    with ExitStack() as stack:
        if (
            docker is not None
            and subprocess.run([docker, "info"], capture_output=True, check=False).returncode
        ):
            try:
                socket = stack.enter_context(docker_daemon(shares_network=True))
                docker = f"{docker} --host=unix://{socket}"
            except NoDockerError as error:
                print(f"no figure for docker: {error}", file=sys.stderr)
                docker = None
        yield None if docker is None else stack.enter_context(_prepared(docker.split()))


@contextmanager
def _prepared(docker: list[str]) -> Iterator[list[str] | None]:
    # No image can be taken for granted: an empty one that sees the host's interpreter is the same program.
    with subprocess.Popen(["tar", "-c", "-T", "/dev/null"], stdout=subprocess.PIPE) as empty:
        subprocess.run(
            [*docker, "import", "-", DOCKER_IMAGE],
            stdin=empty.stdout,
            capture_output=True,
            check=True,
        )
    shown = {sys.base_prefix, "/usr", "/lib", "/lib64", "/etc"}
    mounts = [f"--volume={path}:{path}:ro" for path in sorted(shown) if Path(path).exists()]
    interpreter = str(Path(sys.executable).resolve())
    # The host's network: a bridge would be work for Docker alone, as our `eth0` comes from a pool of ready ones.
    options = ["--rm", "--network=host", *mounts]
    command = [*docker, "run", *options, DOCKER_IMAGE, interpreter, "-c", "print(1)"]
    try:
        # An engine on another machine has no such interpreter. Where it runs, it is warm after this, as ours is.
        yield command if _succeeds(command) else None
    finally:
        subprocess.run([*docker, "rmi", DOCKER_IMAGE], capture_output=True, check=False)


def _succeeds(command: list[str]) -> bool:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"no figure for docker: {done.stderr.strip()}", file=sys.stderr)
    return done.returncode == 0


def main() -> None:
    """Measure in turns and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    ours: list[float] = []
    docker: list[float] = []
    gvisor: list[float] = []
    has_gvisor = shutil.which("runsc") is not None
    with docker_run() as command, own_stack():
        first_result()
        for _ in range(options.rounds):
            ours.append(first_result() * 1e3)
            if command is not None:
                run = timed(lambda: subprocess.run(command, capture_output=True, check=True))
                docker.append(run * 1e3)
            if has_gvisor:
                gvisor.append(first_result("gvisor") * 1e3)
        template = forked_results(options.rounds)
    port = at_the_runtimes_port(options.rounds)
    rows = {
        "offload": {"p50 ms": f"{quantile(ours, 0.5):.1f}", "p90 ms": f"{quantile(ours, 0.9):.1f}"},
        "offload, forked": {
            "p50 ms": f"{quantile(template, 0.5):.1f}",
            "p90 ms": f"{quantile(template, 0.9):.1f}",
        },
        "numpy, pandas, scikit-learn": {"p50 ms": f"{port['heavy_plain_ms']:.1f}"},
        "the same, forked": {"p50 ms": f"{port['heavy_template_ms']:.1f}"},
    }
    if docker:
        rows["docker run"] = {
            "p50 ms": f"{quantile(docker, 0.5):.1f}",
            "p90 ms": f"{quantile(docker, 0.9):.1f}",
        }
    if gvisor:
        rows["offload, gVisor"] = {
            "p50 ms": f"{quantile(gvisor, 0.5):.1f}",
            "p90 ms": f"{quantile(gvisor, 0.9):.1f}",
        }
    result: dict[str, object] = {
        "cold_p50_ms": round(quantile(ours, 0.5), 2),
        "cold_p90_ms": round(quantile(ours, 0.9), 2),
        "plain_p50_ms": round(quantile(ours, 0.5), 2),
        "template_p50_ms": round(quantile(template, 0.5), 2),
        "heavy_plain_p50_ms": port["heavy_plain_ms"],
        "heavy_template_p50_ms": port["heavy_template_ms"],
        "docker_p50_ms": round(quantile(docker, 0.5), 2) if docker else None,
        "gvisor_p50_ms": round(quantile(gvisor, 0.5), 2) if gvisor else None,
        "hundred_ready_ms": port["hundred_ready_ms"],
        "fresh_per_s": port["fresh_per_s"],
        "per_container_mb": port["per_container_mb"],
    }
    report(f"No container to first result, {options.rounds} rounds", rows, result)


if __name__ == "__main__":
    main()
