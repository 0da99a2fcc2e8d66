"""A 200 MB argument and its result through the whole stack, and what the server needs for it."""

from __future__ import annotations

import argparse
import json
import os
import statistics
from pathlib import Path

import offload
from benchmarks.harness import own_stack, report, timed

SIZE_BYTES = 200 * 1000 * 1000
app = offload.App("bench-bulk")


@app.function(memory=2048)
def echo(data: bytes) -> bytes:
    """Return what came."""
    return data


def peak_mb(pid: int) -> float:
    """Return the most memory a process has had resident, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def main() -> None:
    """Send the bytes to and fro and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rates: list[float] = []
    with own_stack() as data_dir:
        server_pid = int(json.loads((data_dir / "server.json").read_text())["pid"])
        with app.run():
            echo.remote(b"warm")
            for _ in range(options.rounds):
                data = os.urandom(SIZE_BYTES)  # new each time: the same bytes would be stored once
                answers: list[bytes] = []
                took = timed(lambda data=data, answers=answers: answers.append(echo.remote(data)))
                if answers != [data]:
                    raise SystemExit("the result is not the argument")
                rates.append(2 * SIZE_BYTES / 1e6 / took)
        peak = peak_mb(server_pid)
    row = {"MB/s both ways": f"{statistics.median(rates):.0f}", "server peak MB": f"{peak:.0f}"}
    result: dict[str, object] = {
        "bulk_mb_per_s": round(statistics.median(rates), 1),
        "server_peak_mb": round(peak, 1),
    }
    report("200 MB argument and result", {"offload": row}, result)


if __name__ == "__main__":
    main()
