"""How long a caller waits for its next result when the server is restarted in the middle of its map.

One server, three workers, a map of short inputs. The server is ended and started again, in turns with SIGTERM and with SIGKILL;
a pause is the longest time between two results around such a restart. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import signal
import tempfile
import threading
import time
from pathlib import Path

import offload
from benchmarks.chaos import Cluster
from benchmarks.harness import report

WARM_SECONDS = 2.0
BETWEEN_SECONDS = 4.0
app = offload.App("bench-restart")


@app.function(cpu=0.5, memory=128)
def work(number: int) -> int:
    """Take a while."""
    time.sleep(0.01)
    return number


def longest_pause(times: list[float], since: float, until: float) -> float:
    """Return the longest time between two results of which the later came within these times."""
    pairs = itertools.pairwise(times)
    return max(after - before for before, after in pairs if since <= after <= until)


def restart_while(
    cluster: Cluster, is_over: threading.Event, count: int
) -> list[tuple[str, float]]:
    """Restart the server again and again; return how and when."""
    restarts = []
    is_over.wait(WARM_SECONDS)
    for number in range(count):
        how = signal.SIGTERM if number % 2 == 0 else signal.SIGKILL
        restarts.append((how.name, time.monotonic()))
        cluster.server.kill(how)
        is_over.wait(BETWEEN_SECONDS)
    is_over.set()
    return restarts


def main() -> None:
    """Restart, and print the longest pauses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--restarts", type=int, default=10)
    options = parser.parse_args()
    times: list[float] = []
    restarts: list[tuple[str, float]] = []
    is_over = threading.Event()
    with tempfile.TemporaryDirectory(prefix="offload-restart-") as folder:
        cluster = Cluster(Path(folder), seed=1)
        restarter = threading.Thread(
            target=lambda: restarts.extend(restart_while(cluster, is_over, options.restarts))
        )
        try:
            with app.run():
                endless = itertools.takewhile(lambda _: not is_over.is_set(), itertools.count())
                restarter.start()
                results = work.map(endless, order_outputs=False)
                times.extend(time.monotonic() for _ in results)
        finally:
            is_over.set()
            restarter.join()
            cluster.end()
    pauses: dict[str, list[float]] = {}
    for name, at in restarts:
        pauses.setdefault(name, []).append(longest_pause(times, at, at + BETWEEN_SECONDS))
    result: dict[str, object] = {
        "restarts": len(restarts),
        "results": len(times),
        **{f"{name.lower()}_longest_pause_s": round(max(all_), 2) for name, all_ in pauses.items()},
    }
    rows = {
        name: {"longest s": f"{max(all_):.2f}", "shortest s": f"{min(all_):.2f}"}
        for name, all_ in pauses.items()
    }
    report("Pauses of a map while its server restarts", rows, result)


if __name__ == "__main__":
    main()
