"""How many inputs a second the dispatcher alone decides about, in batches of 100 behind a long backlog.

The last line is one JSON object.
"""

from __future__ import annotations

import json
import time

from offload.control.core.dispatch import Dispatcher, Policy
from offload.control.core.events import (
    CallSubmitted,
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

INPUTS = 200_000
BATCH = 100
ROUNDS = 3


def _cluster() -> Dispatcher:
    dispatcher = Dispatcher(Policy(), "bench", 0.0)
    function = Function("fn-1", "ap-1", "bench", "noop", Needs(1000, 256), 300.0, 60.0)
    dispatcher.apply(FunctionRegistered(function), 0.0)
    dispatcher.apply(WorkerJoined(WorkerInfo("wk-1", "one", "0", "h", Capacity(1000, 4096))), 0.0)
    return dispatcher


def _tasks(instructions: list[Instruction]) -> list[tuple[str, int]]:
    orders = (order for order in instructions if isinstance(order, Assign))
    return [(task.input_id, task.attempt) for order in orders for task in order.tasks]


def map_per_second() -> float:
    """Run one map of many inputs through a worker that answers in batches."""
    dispatcher = _cluster()
    began = time.perf_counter()
    call = Call("fc-1", "fn-1", CallKind.MAP, 0.0, True, True)
    started = dispatcher.apply(CallSubmitted(call, (range(INPUTS),), closed=True), 0.0)
    container = next(order for order in started if isinstance(order, StartContainer))
    ready = ContainerReport(container.container_id, "fn-1", ContainerState.READY)
    window = Window("fn-1", BATCH)
    tasks = _tasks(
        dispatcher.apply(WorkerReported("wk-1", windows=(window,), containers=(ready,)), 0.0)
    )
    now = 0.0
    while tasks:
        now += 0.001
        results = tuple(Result(i, a, InputState.SUCCEEDED, body=b"x") for i, a in tasks)
        tasks = _tasks(dispatcher.apply(WorkerReported("wk-1", results=results), now))
    if dispatcher.knows_call("fc-1"):
        raise RuntimeError("the call did not end")
    return INPUTS / (time.perf_counter() - began)


def round_trip_us() -> float:
    """Submit one input and report its result, over and over; return microseconds for the pair."""
    dispatcher = _cluster()
    call = Call("fc-0", "fn-1", CallKind.SINGLE, 0.0, True, False)
    orders = dispatcher.apply(CallSubmitted(call, (range(1),), closed=True), 0.0)
    container = next(order for order in orders if isinstance(order, StartContainer))
    ready = ContainerReport(container.container_id, "fn-1", ContainerState.READY)
    window = Window("fn-1", BATCH)
    joined = WorkerReported("wk-1", windows=(window,), containers=(ready,))
    ((first, attempt),) = _tasks(dispatcher.apply(joined, 0.0))
    done = (Result(first, attempt, InputState.SUCCEEDED),)
    dispatcher.apply(WorkerReported("wk-1", results=done), 0.0)
    rounds = 20_000
    began = time.perf_counter()
    for number in range(rounds):
        now = number * 0.001
        call = Call(f"fc-{number}", "fn-1", CallKind.SINGLE, now, True, False)
        ((first, attempt),) = _tasks(
            dispatcher.apply(CallSubmitted(call, (range(1),), closed=True), now)
        )
        done = (Result(first, attempt, InputState.SUCCEEDED),)
        dispatcher.apply(WorkerReported("wk-1", results=done), now)
    return (time.perf_counter() - began) / rounds * 1e6


def main() -> None:
    """Print the medians of several rounds."""
    rates = sorted(map_per_second() for _ in range(ROUNDS))
    pairs = sorted(round_trip_us() for _ in range(ROUNDS))
    print(f"core, batches of {BATCH}: {rates[ROUNDS // 2]:,.0f} inputs/s")
    print(f"core, one input there and back: {pairs[ROUNDS // 2]:.1f} us")
    print(
        json.dumps(
            {
                "core_inputs_per_s": round(rates[ROUNDS // 2]),
                "core_roundtrip_us": round(pairs[ROUNDS // 2], 1),
            }
        )
    )


if __name__ == "__main__":
    main()
