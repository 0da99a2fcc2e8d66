"""How fast the core alone schedules a large cluster: 1,000 workers, 100,000 containers, several functions and workspaces.

`placements_per_s` is the lower of two rates of StartContainer decisions: while the empty cluster fills up, and in steady
state with a backlog, where containers end and others take their place one by one. `dispatch_per_s` is the rate of inputs that
are handed out and finished, in messages of as many results as busy workers send. All are rates by the processor's time, which
the core alone uses: what else runs on the machine does not count. The last line is one JSON object.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time

from offload.control.core.dispatch import Dispatcher, Policy
from offload.control.core.events import (
    CallSubmitted,
    Event,
    FunctionRegistered,
    Result,
    Window,
    WorkerJoined,
    WorkerReported,
)
from offload.control.core.inputs import InputState
from offload.control.core.instructions import Assign, Instruction, StartContainer
from offload.control.core.model import (
    Call,
    CallKind,
    Capacity,
    ContainerReport,
    ContainerState,
    Function,
    Needs,
    WorkerInfo,
)

WORKERS = int(os.environ.get("SCHEDULER_WORKERS", "1000"))
CONTAINERS_EACH = 100  # on average: the sizes below have a mean of 1 cpu and 1 GiB
SIZES = ((500, 512), (1000, 1024), (1500, 1536), (1000, 1024))
WORKSPACES = 5
CHURN = 10_000
BATCH = 64
DISPATCHED = 400_000
ROUNDS = 3


class Cluster:
    """A dispatcher with workers that do as told; time passes by a microsecond an event."""

    def __init__(self) -> None:
        self.now = 0.0
        self.core = Dispatcher(Policy(), "bench", 0.0)
        self.started: list[StartContainer] = []
        self.assigned: list[Assign] = []

    def tell(self, event: Event) -> None:
        """Apply one event and keep what matters of the answer."""
        self.now += 1e-6
        self._keep(self.core.apply(event, self.now))

    def _keep(self, instructions: list[Instruction]) -> None:
        for one in instructions:
            if isinstance(one, Assign):
                self.assigned.append(one)
            elif isinstance(one, StartContainer):
                self.started.append(one)

    def build(self, backlog: int, containers_each: int = CONTAINERS_EACH) -> list[str]:
        """Register functions of all sizes in all workspaces, let workers join, and submit a call of each function."""
        functions = [
            Function(
                f"fn-{w}-{s}", f"ap-{w}", "bench", "f", Needs(*size), 300.0, 60.0, workspace=f"ws-{w}"
            )
            for w in range(WORKSPACES)
            for s, size in enumerate(SIZES)
        ]  # fmt: skip
        for function in functions:
            self.tell(FunctionRegistered(function))
        self._join(containers_each)
        for number, function in enumerate(functions):
            call = Call(f"fc-{number}", function.function_id, CallKind.MAP, 0.0, True, True)
            self.tell(CallSubmitted(call, (range(backlog),), closed=True))
        return [function.function_id for function in functions]

    def _join(self, containers_each: int) -> None:
        capacity = Capacity(containers_each * 1000, containers_each * 1024)
        for number in range(WORKERS):
            worker_id = f"wk-{number}"
            self.tell(WorkerJoined(WorkerInfo(worker_id, worker_id, "0", "h", capacity)))

    def ready(self, orders: list[StartContainer]) -> None:
        """Report containers as ready, worker by worker."""
        by_worker: dict[str, list[ContainerReport]] = {}
        for order in orders:
            report = ContainerReport(order.container_id, order.function_id, ContainerState.READY)
            by_worker.setdefault(order.worker_id, []).append(report)
        for worker_id, reports in by_worker.items():
            self.tell(WorkerReported(worker_id, containers=tuple(reports)))


def fill_and_churn() -> tuple[float, float]:
    """Return placements per second while the cluster fills, and when it is full."""
    cluster = Cluster()
    began = time.process_time()
    cluster.build(WORKERS * CONTAINERS_EACH)
    filling = len(cluster.started) / (time.process_time() - began)
    running = list(cluster.started)
    cluster.ready(running)
    cluster.started.clear()
    placed = 0
    began = time.process_time()
    for number in range(CHURN):
        # A stride that is prime to the number of containers meets all workers and sizes.
        order = running[number * 7919 % len(running)]
        report = ContainerReport(order.container_id, order.function_id, ContainerState.STOPPED)
        cluster.tell(WorkerReported(order.worker_id, containers=(report,)))
        placed += len(cluster.started)
        cluster.started.clear()
    churning = placed / (time.process_time() - began)
    if len(running) < WORKERS * CONTAINERS_EACH * 0.95 or placed < CHURN * 0.8:
        raise RuntimeError(f"the cluster is not full: {len(running)} containers, {placed} replaced")
    return filling, churning


def dispatch() -> float:
    """Return inputs per second, handed out and finished, with all workers busy."""
    cluster = Cluster()
    cluster.build(DISPATCHED, containers_each=10)
    orders = list(cluster.started)
    cluster.ready(orders)
    functions: dict[str, dict[str, int]] = {}
    for order in orders:
        counts = functions.setdefault(order.worker_id, {})
        counts[order.function_id] = counts.get(order.function_id, 0) + 1
    for worker_id, counts in functions.items():
        windows = tuple(Window(function_id, BATCH) for function_id in counts)
        cluster.tell(WorkerReported(worker_id, windows=windows))
    finished = 0
    spent = 0.0
    while finished < DISPATCHED:
        assigned, cluster.assigned = cluster.assigned, []
        # Making the events is the workers' work, not the core's.
        events = [_finished(order) for order in assigned]
        began = time.process_time()
        for event in events:
            cluster.tell(event)
        spent += time.process_time() - began
        finished += sum(len(event.results) for event in events)
    return finished / spent


def _finished(order: Assign) -> WorkerReported:
    results = tuple(
        Result(task.input_id, task.attempt, InputState.SUCCEEDED, body=b"x") for task in order.tasks
    )
    return WorkerReported(order.worker_id, results=results)


def main() -> None:
    """Print the medians of several rounds."""
    filling, churning, dispatched = [], [], []
    for number in range(1, ROUNDS + 1):
        fill, churn = fill_and_churn()
        rate = dispatch()
        filling.append(fill)
        churning.append(churn)
        dispatched.append(rate)
        print(
            f"round {number}/{ROUNDS}: filling {fill:,.0f}/s, full {churn:,.0f}/s, dispatch {rate:,.0f}/s",
            file=sys.stderr,
            flush=True,
        )
    fill, churn = statistics.median(filling), statistics.median(churning)
    print(f"placements, {WORKERS} workers filling up: {fill:,.0f}/s")
    print(f"placements, full cluster with a backlog: {churn:,.0f}/s")
    print(f"inputs handed out and finished: {statistics.median(dispatched):,.0f}/s")
    print(
        json.dumps(
            {
                "placements_per_s": round(min(fill, churn)),
                "placements_filling_per_s": round(fill),
                "placements_churning_per_s": round(churn),
                "dispatch_per_s": round(statistics.median(dispatched)),
            }
        )
    )


if __name__ == "__main__":
    main()
