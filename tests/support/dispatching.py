"""A dispatcher to talk to in a few words: one virtual clock, one function per name, workers that do as told."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

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
    Gpu,
    Needs,
    Scaling,
    WorkerInfo,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")

BASE = Function(
    "fn-a", "ap-1", "app", "a", Needs(1000, 256), 60.0, 10.0, scaling=Scaling(scaledown_window_seconds=30.0)
)  # fmt: skip


def function(function_id: str = "fn-a", **changes: Any) -> Function:
    """Return `BASE` under another id, with changes of its own or of its needs, scaling and retries."""
    parts = {"needs": BASE.needs, "scaling": BASE.scaling, "retries": BASE.retries}
    for name, usual in parts.items():
        part = changes.pop(name, usual)
        fields = {field.name for field in dataclasses.fields(part)}
        inner = {key: changes.pop(key) for key in fields & changes.keys()}
        parts[name] = replace(part, **inner)  # type: ignore[type-var]
    named = {"name": function_id[3:], **changes}
    return replace(BASE, function_id=function_id, **parts, **named)


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

    def join(
        self, worker_id: str = "wk-1", cpus: float = 2, gpus: str = "", **info: str
    ) -> list[Instruction]:
        """Let a worker join; `gpus` are the kinds of its devices, its labels are written "zone=a"."""
        devices = tuple(Gpu(index, kind) for index, kind in enumerate(gpus.split()))
        capacity = Capacity(int(cpus * 1000), 4096, devices)
        host_id = info.get("host_id", "h1")
        runtimes = tuple(info.get("runtimes", "bubblewrap").split())
        labels = dict(pair.split("=", 1) for pair in info.get("labels", "").split())
        said = dict(pair.split(":") for pair in info.get("abilities", "").split())
        abilities = {runtime: tuple(names.split(",")) for runtime, names in said.items()}
        worker = WorkerInfo(
            worker_id, worker_id, "0", host_id, capacity, labels, runtimes, abilities
        )
        return self.tell(WorkerJoined(worker))

    def submit(
        self,
        call_id: str = "fc-1",
        count: int = 1,
        function_id: str = "fn-a",
        closed: bool = True,
        **options: Any,
    ) -> list[Instruction]:
        """Submit a call of `count` inputs; the options are fields of `Call`."""
        kind = CallKind.SINGLE if count == 1 else CallKind.MAP
        call = Call(call_id, function_id, kind, self.now, True, True, **options)
        return self.tell(CallSubmitted(call, (range(count),), closed))

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
