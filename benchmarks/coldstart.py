"""From no container of a function to its first result, beside `docker run` of the same interpreter."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import offload
from benchmarks.harness import own_stack, quantile, report, timed

DOCKER_IMAGE = "offload-bench-empty"


def first_result() -> float:
    """Return the seconds a function without any container takes to answer."""
    app = offload.App("bench-coldstart")

    @app.function()
    def noop(value: int) -> int:
        return value

    with app.run():
        return timed(lambda: noop.remote(1))


@contextmanager
def docker_run() -> Iterator[list[str] | None]:
    """Give the command that runs this interpreter in a Docker container, or None where no engine can."""
    docker = shutil.which("docker")
    if docker is None or not _succeeds([docker, "info"]):
        yield None
        return
    # No image can be taken for granted: an empty one that sees the host's interpreter is the same program.
    with subprocess.Popen(["tar", "-c", "-T", "/dev/null"], stdout=subprocess.PIPE) as empty:
        subprocess.run(
            [docker, "import", "-", DOCKER_IMAGE],
            stdin=empty.stdout,
            capture_output=True,
            check=True,
        )
    shown = {sys.base_prefix, "/usr", "/lib", "/lib64", "/etc"}
    mounts = [f"--volume={path}:{path}:ro" for path in sorted(shown) if Path(path).exists()]
    interpreter = str(Path(sys.executable).resolve())
    # The host's network, as our containers have unless they ask for none: a bridge would be work for Docker alone.
    options = ["--rm", "--network=host", *mounts]
    command = [docker, "run", *options, DOCKER_IMAGE, interpreter, "-c", "print(1)"]
    try:
        # An engine on another machine has no such interpreter. Where it runs, it is warm after this, as ours is.
        yield command if _succeeds(command) else None
    finally:
        subprocess.run([docker, "rmi", DOCKER_IMAGE], capture_output=True, check=False)


def _succeeds(command: list[str]) -> bool:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"no figure for docker: {done.stderr.strip()}", file=sys.stderr)
    return done.returncode == 0


def main() -> None:
    """Measure in turns and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    ours: list[float] = []
    docker: list[float] = []
    with docker_run() as command, own_stack():
        first_result()
        for _ in range(options.rounds):
            ours.append(first_result() * 1e3)
            if command is not None:
                run = timed(lambda: subprocess.run(command, capture_output=True, check=True))
                docker.append(run * 1e3)
    rows = {
        "offload": {"p50 ms": f"{quantile(ours, 0.5):.1f}", "p90 ms": f"{quantile(ours, 0.9):.1f}"}
    }
    if docker:
        rows["docker run"] = {
            "p50 ms": f"{quantile(docker, 0.5):.1f}",
            "p90 ms": f"{quantile(docker, 0.9):.1f}",
        }
    result: dict[str, object] = {
        "cold_p50_ms": round(quantile(ours, 0.5), 2),
        "cold_p90_ms": round(quantile(ours, 0.9), 2),
        "docker_p50_ms": round(quantile(docker, 0.5), 2) if docker else None,
    }
    report(f"No container to first result, {options.rounds} rounds", rows, result)


if __name__ == "__main__":
    main()
