"""A dispatcher to talk to in a few words: one virtual clock, one function per name, workers that do as told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from offload.control.core.dispatch import Dispatcher, Policy
from offload.control.core.events import (
    CallSubmitted,
    Event,
    FunctionRegistered,
    Result,
    Returned,
    Tick,
    Window,
    WorkerJoined,
    WorkerReported,
)
from offload.control.core.inputs import InputState
from offload.control.core.instructions import (
    Assign,
    Finished,
    Instruction,
    RecordOutcomes,
    StartContainer,
)
from offload.control.core.model import (
    Call,
    CallKind,
    Capacity,
    ContainerReport,
    ContainerState,
    FailureKind,
    Function,
    NewInput,
    RetryPolicy,
    WorkerInfo,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")

BASE = Function(
    "fn-a", "ap-1", "app", "a", 1000, 256, 60.0, 10.0, RetryPolicy(), 0, 0, 30.0, "", "", False
)  # fmt: skip


@dataclass(frozen=True)
class Assigned:
    """One attempt in a worker's hands."""

    worker_id: str
    input_id: str
    attempt: int
    alone: bool


def only(kind: type[T], instructions: Iterable[Instruction]) -> list[T]:
    """Return the instructions of one kind."""
    return [one for one in instructions if isinstance(one, kind)]


class Script:
    """Keeps what the dispatcher said last in `said`, and everything in `log`."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.now = 100.0
        self.core = Dispatcher(policy or Policy(), "t", self.now)
        self.said: list[Instruction] = []
        self.log: list[Instruction] = []

    def tell(self, event: Event) -> list[Instruction]:
        """Apply one event."""
        self.said = self.core.apply(event, self.now)
        self.log += self.said
        return self.said

    def wait(self, seconds: float) -> list[Instruction]:
        """Let time pass, ticking whenever the dispatcher asked for it; return all it said."""
        until = self.now + seconds
        said: list[Instruction] = []
        while (wakeup := self.core.next_wakeup()) is not None and wakeup <= until:
            self.now = max(self.now, wakeup)
            said += self.tell(Tick())
        self.now = until
        self.said = said
        return said

    def register(self, function: Function = BASE) -> None:
        """Register a function."""
        self.tell(FunctionRegistered(function))

    def join(self, worker_id: str = "wk-1", cpus: float = 2, **info: str) -> list[Instruction]:
        """Let a worker join."""
        capacity = Capacity(int(cpus * 1000), 4096)
        host_id = info.get("host_id", "h1")
        runtimes = tuple(info.get("runtimes", "bubblewrap").split())
        worker = WorkerInfo(worker_id, worker_id, "0", host_id, capacity, {}, runtimes)
        return self.tell(WorkerJoined(worker))

    def submit(
        self, call_id: str = "fc-1", count: int = 1, function_id: str = "fn-a", closed: bool = True
    ) -> list[Instruction]:
        """Submit a call of `count` inputs."""
        kind = CallKind.SINGLE if count == 1 else CallKind.MAP
        call = Call(call_id, function_id, kind, self.now, True, True)
        return self.tell(CallSubmitted(call, self.inputs(call_id, range(count)), closed))

    def inputs(self, call_id: str, indices: Iterable[int]) -> tuple[NewInput, ...]:
        """Name inputs of a call."""
        return tuple(NewInput(f"in-{call_id[3:]}-{index}", index) for index in indices)

    def report(
        self,
        container_id: str,
        state: ContainerState,
        function_id: str = "fn-a",
        worker_id: str = "wk-1",
        reason: str = "",
    ) -> list[Instruction]:
        """Report one container."""
        report = ContainerReport(container_id, function_id, state, reason=reason)
        return self.tell(WorkerReported(worker_id, containers=(report,)))

    def window(
        self, inputs: int, function_id: str = "fn-a", worker_id: str = "wk-1"
    ) -> list[Instruction]:
        """Report a window."""
        return self.tell(WorkerReported(worker_id, windows=(Window(function_id, inputs),)))

    def start_all(self, window_each: int = 1) -> None:
        """Bring every container that was ordered to readiness, with a window as large as their number."""
        for view in self.core.containers():
            if view.state == "starting":
                function_id = view.function.function_id
                self.report(view.container_id, ContainerState.READY, function_id, view.worker_id)
        counts: dict[tuple[str, str], int] = {}
        for view in self.core.containers():
            key = (view.function.function_id, view.worker_id)
            counts[key] = counts.get(key, 0) + window_each * (view.state == "ready")
        for (function_id, worker_id), count in counts.items():
            self.window(count, function_id, worker_id)

    def assigned(self) -> list[Assigned]:
        """Return every attempt handed out so far."""
        return [
            Assigned(order.worker_id, task.input_id, task.attempt, task.alone)
            for order in only(Assign, self.log)
            for task in order.tasks
        ]

    def outcomes(self) -> list[Finished]:
        """Return every outcome recorded so far."""
        return [one for order in only(RecordOutcomes, self.log) for one in order.outcomes]

    def started(self) -> list[StartContainer]:
        """Return every container ordered so far."""
        return only(StartContainer, self.log)

    def succeed(self, *given: Assigned) -> list[Instruction]:
        """Report success, all in one message."""
        results = tuple(
            Result(g.input_id, g.attempt, InputState.SUCCEEDED, body=b"v") for g in given
        )
        return self.tell(WorkerReported(given[0].worker_id, results=results))

    def fail(
        self, given: Assigned, failure: FailureKind = FailureKind.EXCEPTION
    ) -> list[Instruction]:
        """Report a failure."""
        result = Result(given.input_id, given.attempt, InputState.FAILED, failure, "boom", b"f")
        return self.tell(WorkerReported(given.worker_id, results=(result,)))

    def give_back(self, given: Assigned, alone: bool = False) -> list[Instruction]:
        """Report an attempt as returned."""
        returned = Returned(given.input_id, given.attempt, "its container died", alone)
        return self.tell(WorkerReported(given.worker_id, returned=(returned,)))
