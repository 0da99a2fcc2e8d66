"""20,000 inputs over three workers while servers, workers and containers are killed: what is lost, doubled or wrong.

Kills are SIGKILL at random, at least 60 of them, spread over all three kinds. What was killed is started again on the same
state, as a service manager would. The last line is one JSON object; everything but `succeeded` and `kills` must be 0.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import offload
from benchmarks.harness import free_port, report

WORKERS = 3
MIN_KILLS = 60
PAUSE_SECONDS = (0.3, 1.2)  # between two kills
app = offload.App("bench-chaos")


# A container that is killed from outside looks like one that its input killed: that spends retries.
@app.function(cpu=0.25, memory=128, retries=offload.Retries(max_retries=8, initial_delay=0.1))
def work(number: int) -> tuple[int, int]:
    """Take a while and return something that only this input gives."""
    time.sleep((number * 7919 % 23) / 1000)
    return number, number * number + 1


class Process:
    """One of our own processes, started again whenever it was killed."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        self._command = [sys.executable, "-m", "offload", *arguments]
        self._log = log
        self._child = self._start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def kill(self) -> None:
        """End it as a power cut would, and start it again."""
        self._child.kill()
        self._child.wait()
        self._child = self._start()

    def end(self) -> None:
        """End it in good order."""
        self._child.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(30)
        self._child.kill()
        self._child.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log)


class Cluster:
    """A server and its workers, and the killer of all of them."""

    def __init__(self, scratch: Path, seed: int) -> None:
        self.kills: Counter[str] = Counter()
        self._rng = random.Random(seed)  # noqa: S311 a seeded run can be repeated
        port, grpc_port = free_port(), free_port()
        state = ["--data-dir", str(scratch / "state")]
        ports = ["--http-port", str(port), "--grpc-port", str(grpc_port)]
        self.url = f"http://127.0.0.1:{port}"
        self.server = Process(
            ["server", *state, *ports, "--worker-lost-seconds", "3"], scratch / "server.log"
        )
        token = self._await_token(scratch / "state" / "token")
        os.environ.update(OFFLOAD_SERVER_URL=self.url, OFFLOAD_TOKEN=token)
        self.workers = [
            Process(
                [
                    "worker",
                    "--server-url",
                    self.url,
                    "--name",
                    f"w{n}",
                    "--cpu",
                    "1",
                    "--memory",
                    "2048",
                    "--data-dir",
                    str(scratch / f"worker-{n}"),
                ],
                scratch / f"worker-{n}.log",
            )
            for n in range(WORKERS)
        ]
        self._is_over = threading.Event()
        self._killer = threading.Thread(target=self._kill_on)

    def start(self) -> None:
        """Begin to kill."""
        self._killer.start()

    def calm(self) -> None:
        """Stop killing."""
        self._is_over.set()
        self._killer.join()

    def end(self) -> None:
        """End everything."""
        for process in (*self.workers, self.server):
            process.end()

    def _kill_on(self) -> None:
        while not self._is_over.wait(self._rng.uniform(*PAUSE_SECONDS)):
            kind = self._rng.choice(("server", "worker", "container", "container"))
            if kind == "server":
                self.server.kill()
            elif kind == "worker":
                self._rng.choice(self.workers).kill()
            elif not self._kill_container():
                continue
            self.kills[kind] += 1

    def _kill_container(self) -> bool:
        guests = [pid for worker in self.workers for pid in _guests_of(worker.pid)]
        if not guests:
            return False
        with suppress(ProcessLookupError):
            os.kill(self._rng.choice(guests), signal.SIGKILL)
        return True

    def _await_token(self, file: Path) -> str:
        while not file.exists():
            time.sleep(0.05)
        return file.read_text().strip()


def _guests_of(worker_pid: int) -> list[int]:
    """Return the interpreters that run below a worker inside its sandboxes."""
    children: dict[int, list[int]] = {}
    commands: dict[int, bytes] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError, ValueError):
            pid = int(folder.name)
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(pid)
            commands[pid] = (folder / "cmdline").read_bytes()
    found, below = [], [worker_pid]
    while below:
        pid = below.pop()
        below += children.get(pid, ())
        if b"/run/offload/guest" in commands.get(pid, b""):
            found.append(pid)
    return found


def _outcomes_in(database: Path) -> tuple[int, int]:
    """Return how many inputs have an outcome, and how many outcomes are more than an input's first."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        (inputs,) = connection.execute("SELECT count(DISTINCT input_key) FROM outcomes").fetchone()
        (seqs,) = connection.execute(
            "SELECT count(*) - count(DISTINCT call_key || '/' || seq) FROM outcomes"
        ).fetchone()
    return inputs, seqs


def main() -> None:
    """Kill, count, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    seen: Counter[int] = Counter()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="offload-chaos-") as folder:
        scratch = Path(folder)
        cluster = Cluster(scratch, options.seed)
        began = time.monotonic()
        try:
            with app.run():
                cluster.start()
                results = work.map(
                    range(options.inputs), order_outputs=False, return_exceptions=True
                )
                for count, result in enumerate(results, 1):
                    if isinstance(result, BaseException):
                        print(f"failed: {result!r}", file=sys.stderr)
                        continue
                    number, value = result
                    seen[number] += 1
                    wrong += value != number * number + 1
                    if count % 2000 == 0:
                        kills = sum(cluster.kills.values())
                        print(f"{count:,} outcomes, {kills} kills", file=sys.stderr, flush=True)
                cluster.calm()
        finally:
            cluster.calm()
            cluster.end()
        took = time.monotonic() - began
        recorded, double_seqs = _outcomes_in(scratch / "state" / "offload.db")
    duplicates = sum(count - 1 for count in seen.values()) + double_seqs
    result: dict[str, object] = {
        "inputs": options.inputs,
        "succeeded": len(seen),
        "lost": options.inputs - min(len(seen), recorded),
        "duplicate_outcomes": duplicates,
        "kills": sum(cluster.kills.values()),
        "wrong_results": wrong,
        **{f"{kind}_kills": count for kind, count in sorted(cluster.kills.items())},
        "seconds": round(took, 1),
    }
    rows = {"offload": {key: str(value) for key, value in result.items()}}
    report("20,000 inputs among kills", rows, result)
    if sum(cluster.kills.values()) < MIN_KILLS:
        raise SystemExit(f"only {sum(cluster.kills.values())} kills: give it more --inputs")


if __name__ == "__main__":
    main()
