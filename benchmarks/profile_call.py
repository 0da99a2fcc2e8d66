"""Where the time of one warm call goes: CPU and run-queue wait per process and thread, and round trips of its parts.

The kernel's `schedstat` counts nanoseconds on a CPU and nanoseconds runnable without one, per thread. What is left of
the round trip after both is waking up and waiting for one another.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from pathlib import Path

import uvloop

import offload
from benchmarks.harness import own_stack, quantile, report, timed
from offload.wire.gen import blobs_pb2
from offload.wire.link import connect

app = offload.App("profile-call")


@app.function()
def noop(value: int) -> int:
    """Do nothing."""
    return value


def schedstat(pid: int) -> dict[str, tuple[int, int]]:
    """Return nanoseconds on and waiting for a CPU by thread."""
    times = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        on_cpu, waiting, _ = (task / "schedstat").read_text().split()
        times[task.name] = (int(on_cpu), int(waiting))
    return times


def runner_pid() -> int:
    """Return the newest runner's process id."""
    found = subprocess.run(
        ["pgrep", "-nf", r"^/\S*python\S* -I -S .*boot\.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(found.stdout)


def link_round_trip(data_dir: Path, count: int) -> float:
    """Return the p50 of the smallest request the server answers, in microseconds, from the loop itself."""
    found = json.loads((data_dir / "server.json").read_text())
    token = (data_dir / "token").read_text().strip()

    async def measure() -> float:
        link = await connect(f"ws://127.0.0.1:{found['http_port']}/link", token)
        times = []
        for _ in range(count):
            began = time.perf_counter()
            await link.unary(
                "offload.v1.Blobs/Missing", blobs_pb2.MissingRequest(), blobs_pb2.MissingReply
            )
            times.append(time.perf_counter() - began)
        await link.close()
        return quantile(times, 0.5) * 1e6

    return uvloop.run(measure())


def main() -> None:
    """Call many times, and print what each process spent per call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3000)
    options = parser.parse_args()
    with own_stack() as data_dir, app.run():
        for value in range(300):
            noop.remote(value)
        server = int(json.loads((data_dir / "server.json").read_text())["pid"])
        worker = int(json.loads((data_dir / "stack.json").read_text())["worker_pid"])
        pids = {"caller": os.getpid(), "server": server, "worker": worker, "runner": runner_pid()}
        before = {name: schedstat(pid) for name, pid in pids.items()}
        times = [timed(lambda: noop.remote(1)) * 1e6 for _ in range(options.calls)]
        after = {name: schedstat(pid) for name, pid in pids.items()}
        hop = link_round_trip(data_dir, options.calls)
    rows = {}
    result: dict[str, object] = {
        "call_p50_us": round(quantile(times, 0.5), 1),
        "link_p50_us": round(hop, 1),
    }
    for name in pids:
        spent = sorted(
            (
                (
                    (on_cpu - before[name].get(thread, (0, 0))[0]) / options.calls / 1e3,
                    (waiting - before[name].get(thread, (0, 0))[1]) / options.calls / 1e3,
                )
                for thread, (on_cpu, waiting) in after[name].items()
            ),
            reverse=True,
        )
        for rank, (on_cpu, waiting) in enumerate(spent):
            if on_cpu >= 1:
                rows[f"{name}, thread {rank + 1}"] = {
                    "us on CPU": f"{on_cpu:.0f}",
                    "us runnable": f"{waiting:.0f}",
                }
        result[f"{name}_cpu_us"] = round(sum(on_cpu for on_cpu, _ in spent), 1)
    title = f"One warm call: p50 {quantile(times, 0.5):.0f} us; an empty request to the server: {hop:.0f} us"
    report(title, rows, result)


if __name__ == "__main__":
    main()
