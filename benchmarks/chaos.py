"""20,000 inputs over three workers while servers, workers and containers are killed: what is lost, doubled or wrong.

Kills are SIGKILL at random, at least 60 of them, spread over all three kinds; one counts only where it met a process that
was up. What was killed is started again on the same state, as a service manager would. The inputs come in every way there
is (`map`, `spawn_map`, `remote` from several threads), and generators stream beside them.

Each execution returns what only its input gives, and a number of its own. When all is calm again a new client reads every
outcome once more: where it is not the one that the caller saw, an outcome was recorded twice. The last line is one JSON
object; `lost`, `duplicate_outcomes`, `wrong_results` and `wrong_items` must be 0.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import offload
from benchmarks.harness import free_port, report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WORKERS = 3
MIN_KILLS = 60
PAUSE_SECONDS = (0.3, 1.2)  # between two kills
REMOTE_SHARE, SPAWNED_SHARE = 0.03, 0.15  # of the inputs; the rest are mapped
REMOTE_THREADS = 4
STREAMS, ITEMS = 40, 50
STALL_SECONDS = 120
app = offload.App("bench-chaos")

# A container that is killed from outside looks like one that its input killed: that spends retries.
PATIENT = offload.Retries(max_retries=8, initial_delay=0.1)


@app.function(cpu=0.25, memory=128, retries=PATIENT)
def work(number: int) -> tuple[int, int, str]:
    """Take a while and return something that only this input gives, and something that only this execution does."""
    time.sleep((number * 7919 % 47) / 1000)
    return number, number * number + 1, secrets.token_hex(8)


@app.function(cpu=0.25, memory=128, retries=PATIENT)
def stream(start: int) -> Iterator[int]:
    """Yield numbers, some time apart."""
    for number in range(start, start + ITEMS):
        time.sleep(0.01)
        yield number


class Tally:
    """What the callers saw. Threads take turns."""

    def __init__(self) -> None:
        self.seen: dict[int, str] = {}
        self.repeated = 0
        self.wrong = 0
        self.wrong_items = 0
        self.last_at = time.monotonic()
        self._lock = threading.Lock()

    def take(self, result: object) -> None:
        """Take what one input came to."""
        if isinstance(result, BaseException):
            print(f"failed: {result!r}", file=sys.stderr, flush=True)
            return
        number, value, execution = result  # type: ignore[misc]  # as `work` returns it
        with self._lock:
            self.repeated += number in self.seen
            self.seen[number] = execution
            self.last_at = time.monotonic()
            self.wrong += value != number * number + 1

    def take_items(self, start: int, items: Iterable[int]) -> None:
        """Take what one generator yielded: each item once, in order, without a gap."""
        got: list[int] = []
        try:
            got.extend(items)
        except Exception as error:  # noqa: BLE001  # whatever it is, the items are not there
            print(f"failed: {error!r}", file=sys.stderr, flush=True)
        with self._lock:
            self.wrong_items += got != list(range(start, start + ITEMS))
            self.last_at = time.monotonic()

    def differing(self, results: Iterable[tuple[int, int, str]]) -> int:
        """Count the outcomes that are not what a caller saw of the same input."""
        found = [n for n, _, execution in results if self.seen.get(n, execution) != execution]
        if found:
            print(f"recorded otherwise than seen: {found}", file=sys.stderr, flush=True)
        return len(found)


class Process:
    """One of our own processes, started again whenever it was killed."""

    def __init__(self, arguments: list[str], log: Path, mark: str) -> None:
        self._command = [sys.executable, "-m", "offload", *arguments]
        self._log = log
        self._mark = mark  # it writes this once it is up
        self._marks_before = 0
        self._child = self._start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def kill(self, how: signal.Signals = signal.SIGKILL) -> bool:
        """End it by this signal, and start it again; return whether it was up."""
        was_up = self._count_marks() > self._marks_before
        self._child.send_signal(how)
        self._child.wait()
        self._child = self._start()
        return was_up

    def end(self) -> None:
        """End it in good order."""
        self._child.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(30)
        self._child.kill()
        self._child.wait()

    def _count_marks(self) -> int:
        return self._log.read_text(errors="replace").count(self._mark)

    def _start(self) -> subprocess.Popen[bytes]:
        self._marks_before = self._count_marks() if self._log.exists() else 0
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
            ["server", *state, *ports, "--worker-lost-seconds", "3"],
            scratch / "server.log",
            "offload server ",
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
                " is ready",
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
                was_up = self.server.kill()
            elif kind == "worker":
                was_up = self._rng.choice(self.workers).kill()
            else:
                was_up = self._kill_container()
            self.kills[kind] += was_up

    def _kill_container(self) -> bool:
        guests = [pid for worker in self.workers for pid in _guests_of(worker.pid)]
        with suppress(ProcessLookupError, IndexError):
            os.kill(self._rng.choice(guests), signal.SIGKILL)
            return True
        return False

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


def _recorded_in(database: Path) -> tuple[int, int, int]:
    """Return the outcomes of durable calls, the calls without an end, and the outcomes that share another's place.

    What a `remote` came to is told before it is on disk, so a server that is killed right then has not recorded it.
    """
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        (recorded,) = connection.execute(
            "SELECT sum(outcomes) FROM call_counts JOIN calls USING (call_key) WHERE durable"
        ).fetchone()
        (double,) = connection.execute(
            "SELECT count(*) - count(DISTINCT call_key || '/' || seq) FROM outcomes"
        ).fetchone()
        (open_calls,) = connection.execute("SELECT count(*) FROM calls WHERE state = ''").fetchone()
    return recorded, open_calls, double


def _run_all(inputs: int, cluster: Cluster, tally: Tally) -> None:
    """Have every input run in one of the ways there are, among kills."""
    remote = _remote(inputs)
    spawned = range(remote.stop, remote.stop + int(inputs * SPAWNED_SHARE))
    mapped = range(spawned.stop, inputs)
    with app.run(), ThreadPoolExecutor(REMOTE_THREADS + 2) as threads:
        cluster.start()
        waiting = work.spawn_map(spawned)
        asked = [threads.submit(_ask, part, tally) for part in _parts(remote)]
        asked.append(threads.submit(lambda: [tally.take(result) for result in waiting.get()]))
        asked.append(threads.submit(_follow, tally))
        results = work.map(mapped, order_outputs=False, return_exceptions=True)
        for count, result in enumerate(results, 1):
            tally.take(result)
            if count % 2000 == 0:
                kills = sum(cluster.kills.values())
                print(f"{count:,} outcomes, {kills} kills", file=sys.stderr, flush=True)
        for each in asked:
            each.result()
        cluster.calm()


def _remote(inputs: int) -> range:
    return range(int(inputs * REMOTE_SHARE))


def _parts(numbers: range) -> list[range]:
    return [numbers[first::REMOTE_THREADS] for first in range(REMOTE_THREADS)]


def _ask(numbers: range, tally: Tally) -> None:
    for number in numbers:
        try:
            tally.take(work.remote(number))
        except Exception as error:  # noqa: BLE001  # it is counted as lost
            tally.take(error)


def _follow(tally: Tally) -> None:
    for start in range(0, STREAMS * ITEMS, ITEMS):
        tally.take_items(start, stream.remote_gen(start))


def _watch(inputs: int, cluster: Cluster, tally: Tally) -> None:
    """End the benchmark where nothing comes any more: what is lost without a word would else be waited for, for ever."""
    while time.monotonic() - tally.last_at < STALL_SECONDS:
        time.sleep(1)
    print(f"nothing has come for {STALL_SECONDS} s", file=sys.stderr, flush=True)
    cluster.calm()
    cluster.end()
    print(json.dumps({"inputs": inputs, "lost": inputs - len(tally.seen)}), flush=True)
    os._exit(1)


def _differing(tally: Tally) -> int:
    """Read every outcome again as another process would; count those that a caller saw otherwise."""
    listed = subprocess.run(
        [sys.executable, "-m", "offload", "calls", "ls", "--limit", "100000", "--json"],
        check=True,
        capture_output=True,
    )
    calls = [
        call
        for call in json.loads(listed.stdout)
        if call["function_name"] == "work" and call["kind"] == "CALL_KIND_MAP"
    ]
    found = 0
    for call in calls:
        try:
            result = offload.FunctionCall.from_id(call["call_id"]).get()
        except offload.errors.FunctionError as error:  # one that failed was told to its caller too
            print(f"failed: {error!r}", file=sys.stderr, flush=True)
            continue
        found += tally.differing(result if isinstance(result, list) else [result])
    return found


def main() -> None:
    """Kill, count, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="offload-chaos-") as folder:
        cluster = Cluster(Path(folder), options.seed)
        began = time.monotonic()
        watch = (options.inputs, cluster, tally)
        threading.Thread(target=_watch, args=watch, daemon=True).start()
        try:
            _run_all(options.inputs, cluster, tally)
            took = time.monotonic() - began
            differing = _differing(tally)
        finally:
            cluster.calm()
            cluster.end()
        recorded, endless, double = _recorded_in(Path(folder) / "state" / "offload.db")
    kills = sum(cluster.kills.values())
    durable = options.inputs - len(_remote(options.inputs)) + STREAMS
    result: dict[str, object] = {
        "inputs": options.inputs,
        "succeeded": len(tally.seen),
        "lost": max(options.inputs - len(tally.seen), durable - recorded, endless),
        "duplicate_outcomes": tally.repeated + double + differing,
        "kills": kills,
        "wrong_results": tally.wrong,
        "wrong_items": tally.wrong_items,
        **{f"{kind}_kills": count for kind, count in sorted(cluster.kills.items())},
        "seconds": round(took, 1),
    }
    rows = {"offload": {key: str(value) for key, value in result.items()}}
    report(f"{options.inputs:,} inputs among kills", rows, result)
    if kills < MIN_KILLS:
        raise SystemExit(f"only {kills} kills: give it more --inputs")


if __name__ == "__main__":
    main()
