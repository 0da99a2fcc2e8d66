"""How many inputs a second go through the store (insert, then outcome), and what that costs a thread beside it.

Prints a table for people and, as its last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

from offload.control.core.ids import input_id
from offload.control.core.inputs import InputState
from offload.control.core.model import Call, CallKind, Function, Needs
from offload.control.ports.records import (
    InputRow,
    OutcomeRow,
    SaveApp,
    SaveCall,
    SaveFunction,
    SaveInputs,
    SaveOutcomes,
)
from offload.control.stores.sqlite import SqliteStore

BATCH_INPUTS = 200
ROUNDS = 3
PAYLOAD = b"x" * 60
FUNCTION = Function("fu-1", "ap-1", "bench", "noop", Needs(1000, 256), 300.0, 60.0)


class BusyThread:
    """Stands in for the event loop: 40 µs of Python, then a system call, again and again."""

    def __init__(self) -> None:
        self.turns = 0
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopped.set()
        self._thread.join()

    def _work(self) -> None:
        near, far = socket.socketpair()
        with near, far:
            while not self._is_stopped.is_set():
                for _ in range(40):
                    sum(range(50))
                near.send(b"x")
                far.recv(1)
                self.turns += 1

    def turns_per_second(self, seconds: float) -> float:
        """Return how fast it is while nothing else runs."""
        before = self.turns
        self._is_stopped.wait(seconds)
        return (self.turns - before) / seconds


def cycle(directory: Path, call_id: str, input_count: int) -> float:
    """Write the inputs of a call and their outcomes in batches; return inputs per second."""
    store = SqliteStore(directory / f"{call_id}.db")
    call = Call(call_id, "fu-1", CallKind.MAP, 1.0, attached=True, durable=True)
    store.commit([SaveApp("ap-1", "bench", 1.0), SaveFunction(FUNCTION), SaveCall(call)])
    began = time.perf_counter()
    for first in range(0, input_count, BATCH_INPUTS):
        indices = range(first, first + BATCH_INPUTS)
        ids = [input_id(call_id, index) for index in indices]
        inputs = tuple(InputRow(i, index, PAYLOAD) for i, index in zip(ids, indices, strict=True))
        store.commit([SaveInputs(call_id, inputs)])
        outcomes = tuple(
            OutcomeRow(
                i, call_id, index, index + 1, 1, InputState.SUCCEEDED, None, "", PAYLOAD, 1.0
            )
            for i, index in zip(ids, indices, strict=True)
        )
        store.commit([SaveOutcomes(outcomes)])
    seconds = time.perf_counter() - began
    store.close()
    return input_count / seconds


def main() -> None:
    """Run the rounds and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000)
    input_count = parser.parse_args().inputs
    directory = Path(tempfile.mkdtemp(prefix="store-cycle-", dir=Path.cwd()))
    try:
        alone = [cycle(directory, f"fc-alone{n}", input_count) for n in range(ROUNDS)]
        beside, kept = [], []
        for n in range(ROUNDS):
            with BusyThread() as busy:
                free = busy.turns_per_second(0.5)
                before, began = busy.turns, time.perf_counter()
                beside.append(cycle(directory, f"fc-beside{n}", input_count))
                kept.append((busy.turns - before) / (time.perf_counter() - began) / free)
    finally:
        shutil.rmtree(directory)
    result = {
        "benchmark": "store_cycle",
        "inputs_per_s": round(statistics.median(alone)),
        "inputs_per_s_beside_a_busy_thread": round(statistics.median(beside)),
        "busy_thread_keeps": round(statistics.median(kept), 2),
    }
    for name, value in result.items():
        print(f"{name:>36}  {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
