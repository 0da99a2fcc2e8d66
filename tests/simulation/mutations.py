"""Deliberate mistakes in the core, each of which the simulation or the state machine must notice.

`python -m tests.simulation.mutations` makes each of them in a copy of the sources, plays seeds against the copy in a process of
its own until a promise breaks, and prints a table. A mistake that nothing notices shows a missing invariant.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = Path("control") / "core"
SEEDS = 1500
CPU_SECONDS = 120  # of its own time: a busy machine is not a mistake that was noticed


@dataclass(frozen=True)
class Mutation:
    """One mistake: `old` becomes `new` in one file of the core, which breaks a promise."""

    file: str
    old: str
    new: str
    breaks: str


MUTATIONS = [
    Mutation(
        "membership.py",
        "        for record in reversed(list(slot.held.values())):\n            lose(",
        "        for record in reversed(list(slot.held.values())[1:]):\n            lose(",
        "a lost worker gives all of its inputs back",
    ),
    Mutation(
        "membership.py",
        "        give_back_all(state, gone)",
        "        give_back_all(state, gone[:0])",
        "what a rejoining worker does not hold any more is given back",
    ),
    Mutation(
        "attempts.py",
        "        record.losses += 1\n",
        "        record.losses += 1\n        record.failures += 1\n",
        "a lost worker spends no retry",
    ),
    Mutation(
        "attempts.py",
        "    record.failures += 1\n",
        "    record.failures += record.index % 2\n",
        "every retry is counted",
    ),
    Mutation(
        "attempts.py",
        "    state.out.remember(record.call.call.call_id, history)",
        "    state.out.remember(record.call.call.call_id, history) if record.index % 3 else None",
        "what an input has spent is recorded",
    ),
    Mutation(
        "ledger.py",
        "    record.failures = history.failures\n",
        "",
        "spent retries are remembered over a restart",
    ),
    Mutation(
        "ledger.py",
        "    record.attempts = history.attempts\n",
        "",
        "attempts are numbered on after a restart",
    ),
    Mutation(
        "ledger.py",
        "        call.pool.queue.delay(record, history.retry_at)",
        "        pass",
        "an input that waits for a retry is in line after a restart",
    ),
    Mutation(
        "ledger.py",
        "    del call.open[record.index]\n",
        "    call.open.pop(record.index) if record.attempts != 3 else None\n",
        "an input ends once",
    ),
    Mutation(
        "ledger.py",
        "        first_seq = call.seq + 1\n",
        "        first_seq = call.seq\n",
        "the outcomes of a call are numbered without a gap, in runs too",
    ),
    Mutation(
        "ledger.py",
        "    call.pool.queue.enter(call, len(call.waiting))\n    complete_if_over(state, call)\n",
        "    call.pool.queue.enter(call, len(call.waiting))\n",
        "a call without inputs ends after those before it",
    ),
    Mutation(
        "ledger.py",
        "        call.is_early = False\n        if not call.blocked_on:\n",
        "        call.is_early = False\n        if not call.call.after:\n",
        "a call that waits for its time and for others begins after both",
    ),
    Mutation(
        "dependencies.py",
        "        elif not other.blocked_on and not other.is_early:\n",
        "        elif not other.blocked_on:\n",
        "a call does not begin before its time because those before it have ended",
    ),
    Mutation(
        "ledger.py",
        "        state.restored_endings[call_id] = ending\n",
        "        pass\n",
        "how a call ended is known to those that are restored after it",
    ),
    Mutation(
        "dependencies.py",
        "        elif not other.blocked_on and not other.is_early:\n",
        "        elif len(other.call.after) < 2 and not other.is_early:\n",
        "a call that waited for two runs once both have ended",
    ),
    Mutation(
        "dependencies.py",
        "            other.blame = _blame(call, ending)\n",
        "            other.blame = None\n",
        "a call does not run after one that failed",
    ),
    Mutation(
        "indices.py",
        "            self._size -= count\n",
        "            self._size -= count + (count == 3 and self._size > 3)\n",
        "no index is lost from a run",
    ),
    Mutation(
        "indices.py",
        "            parts = [(start, index), (index + 1, end)]\n",
        "            parts = [(start, index)]\n",
        "the tail of a run outlives what is taken out of it",
    ),
    Mutation(
        "reports.py",
        "        or record.attempts != attempt\n",
        "",
        "a result of an older attempt is void",
    ),
    Mutation(
        "reports.py",
        "            state.stop_container(container, 0.0)\n",
        "            state.remove_container(container)\n",
        "room is free only when a container is gone",
    ),
    Mutation(
        "state.py",
        "            worker.free_gpus.pop(index, None)\n",
        "            pass\n",
        "a device is given to one container at a time",
    ),
    Mutation(
        "state.py",
        "        worker.free_memory -= needs.memory_mib\n",
        "",
        "a worker's memory is not over-committed",
    ),
    Mutation(
        "state.py",
        "        workspace.containers += change\n",
        "        workspace.containers += max(0, change)\n",
        "what a workspace has is counted down too",
    ),
    Mutation(
        "state.py",
        "        self._count_capacity(worker, sign)\n",
        "        self._count_capacity(worker, 1)\n",
        "the size of the cluster is that of its online workers",
    ),
    Mutation(
        "records.py",
        "        return self.window - len(self.held)\n",
        "        return self.window + 1 - len(self.held)\n",
        "no worker holds more than its window",
    ),
    Mutation(
        "calls.py",
        "        return bool(self.front) or (len(self.waiting) > 0 and not self.is_blocked)\n",
        "        return bool(self.front) or len(self.waiting) > 0\n",
        "a blocked call is not in line",
    ),
    Mutation(
        "calls.py",
        "                self._end_delay(record)\n                self.push_front(record)\n",
        "                self._end_delay(record)\n",
        "an input is in line again once its delay is over",
    ),
    Mutation(
        "calls.py",
        "        self.size -= 1\n        self.late -= 1\n",
        "        self.late -= 1\n",
        "the backlog is counted right",
    ),
    Mutation(
        "calls.py",
        "                self._calls.wake(call_id)\n",
        "                pass\n",
        "a resting call is served when its turn comes",
    ),
    Mutation(
        "call_table.py",
        "        record.pool.queue.wake(record)\n",
        "        record.pool.queue.resting -= 1\n",
        "a call that rests no longer is in line",
    ),
    Mutation(
        "lending.py",
        "    worker.free_cpu += cores\n",
        "    worker.free_cpu += max(0, cores)\n",
        "cores that were lent are taken back",
    ),
    Mutation(
        "membership.py",
        "        state.is_recovering = False\n",
        "        state.is_recovering = not state.workers\n",
        "recovery ends, with or without workers",
    ),
    Mutation(
        "ledger.py",
        "        state.wake(call.deadline, record)\n",
        "        pass\n",
        "a call ends at its deadline",
    ),
    Mutation(
        "starts.py",
        "    state.wake(worker.quarantined_until, worker)\n",
        "",
        "a quarantine ends",
    ),
    Mutation(
        "scaling.py",
        "            state.wake(pool.breaker.retry_at, pool)\n",
        "            pass\n",
        "a function that could not start is tried again",
    ),
    Mutation(
        "membership.py",
        "        elif container is not None and not container.is_live and is_up:\n",
        "        elif container is not None and is_up and False:\n",
        "an order to stop that was lost with a session is given again",
    ),
    Mutation(
        "promises.py",
        "    worker.promised_cpu += sign * needs.cpu_milli\n",
        "",
        "promised room is counted",
    ),
    Mutation(
        "reports.py",
        "        state.note_stranger(",
        "        (lambda *_, **__: None)(",
        "nothing starts beside a container of which nothing is known",
    ),
    Mutation(
        "scaling.py",
        "    each = pool.function.target_inputs\n",
        "    each = 1\n",
        "containers are shared by as many inputs as they are meant for",
    ),
    Mutation(
        "autoscale.py",
        "loners - (loners - open_inputs) // each",
        "open_inputs // each",
        "a container is wanted for the last few inputs too",
    ),
    Mutation(
        "autoscale.py",
        "loners - (loners - open_inputs) // each",
        "-(-open_inputs // each)",
        "an input that must be alone is not expected to share a container",
    ),
    Mutation(
        "ledger.py",
        "    record.isolate(False)\n",
        "",
        "an input that is over needs no container by itself",
    ),
    Mutation(
        "outbox.py",
        "            self._histories.pop((outcome.call_id, outcome.index), None)\n",
        "            pass\n",
        "no history comes after an outcome",
    ),
]


def hunt(mutation: Mutation) -> str:
    """Return what noticed the mistake; empty where nothing did."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
        _copy_with(mutation, Path(scratch))
        path = f"PYTHONPATH={scratch}{os.pathsep}{ROOT}"
        command = [
            "env", path, "prlimit", f"--cpu={CPU_SECONDS}",
            sys.executable, "-m", "tests.simulation.hunt", str(SEEDS), scratch,
        ]  # fmt: skip
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == -signal.SIGXCPU:
        return "it never ends"
    if done.returncode:
        raise RuntimeError(f"the hunt for {mutation.breaks!r} broke down: {done.stderr}")
    return done.stdout.strip()


def hunt_all() -> dict[Mutation, str]:
    """Hunt for every mistake, as many at once as there are processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(MUTATIONS, pool.map(hunt, MUTATIONS), strict=True))


def _copy_with(mutation: Mutation, scratch: Path) -> None:
    """Make a package that is ours but for one file of the core."""
    source = ROOT / "src" / "offload"
    package = scratch / "offload"
    _link_but(source, package, "control")
    _link_but(source / "control", package / "control", "core")
    _link_but(source / CORE, package / CORE, mutation.file)
    text = (source / CORE / mutation.file).read_text()
    if text.count(mutation.old) != 1:
        raise RuntimeError(f"{mutation.file} has {mutation.old!r} {text.count(mutation.old)} times")
    (package / CORE / mutation.file).write_text(text.replace(mutation.old, mutation.new))


def _link_but(source: Path, target: Path, name: str) -> None:
    target.mkdir()
    for path in source.iterdir():
        if path.name not in {name, "__pycache__"}:
            (target / path.name).symlink_to(path)


def main() -> int:
    """Return 1 when a mistake went unnoticed."""
    found = hunt_all()
    for mutation, how in found.items():
        print(f"{mutation.breaks:<66} {how or 'UNNOTICED'}")  # noqa: T201
    return 0 if all(found.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
