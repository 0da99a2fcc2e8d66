"""What the benchmarks share: an isolated stack, rounds in turns, medians, a table and the closing JSON line."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEER_PYTHON = HERE.parent / ".venv-bench" / "bin" / "python"
Figures = dict[str, float]


@contextmanager
def own_stack() -> Iterator[Path]:
    """Use a server and a worker of the benchmark's own; yield their data directory and end them after."""
    with tempfile.TemporaryDirectory(prefix="offload-bench-") as scratch:
        os.environ["OFFLOAD_DATA_DIR"] = scratch
        offload = [sys.executable, "-m", "offload"]
        try:
            subprocess.run([*offload, "up"], check=True, stdout=sys.stderr)
            yield Path(scratch)
        finally:
            subprocess.run([*offload, "down"], check=False, stdout=sys.stderr)


def peer(script: str, *arguments: str) -> Figures:
    """Run one round of a peer in its own environment; its last line is a JSON object of figures."""
    command = [str(PEER_PYTHON), str(HERE / "peers" / script), *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def timed(action: Callable[[], object]) -> float:
    """Return how long `action` takes, in seconds."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def quantile(values: list[float], share: float) -> float:
    """Return the value below which `share` of the values lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def rounds(contestants: dict[str, Callable[[], Figures]], count: int) -> dict[str, Figures]:
    """Let everyone play `count` rounds in turns; return each one's median figures."""
    seen: dict[str, list[Figures]] = {name: [] for name in contestants}
    for number in range(1, count + 1):
        for name, play in contestants.items():
            figures = play()
            seen[name].append(figures)
            shown = "  ".join(f"{key} {value:,.3f}" for key, value in figures.items())
            print(f"round {number}/{count}  {name:<12} {shown}", file=sys.stderr, flush=True)
    return {
        name: {
            key: statistics.median(figures[key] for figures in all_figures)
            for key in all_figures[0]
        }
        for name, all_figures in seen.items()
    }


def report(title: str, rows: dict[str, dict[str, str]], result: dict[str, object]) -> None:
    """Print a table for people and the JSON object for programs, last."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    print(f"\n{title}")
    print(f"{'':<28}" + "".join(f"{column:>18}" for column in columns))
    for name, row in rows.items():
        print(f"{name:<28}" + "".join(f"{row.get(column, '-'):>18}" for column in columns))
    print(json.dumps(result))
