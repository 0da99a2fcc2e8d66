"""What must hold after any events in any order."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.support.dispatching import function

from offload.control.core.dispatch import Dispatcher, Policy
from offload.control.core.events import (
    CallCancelled,
    CallSubmitted,
    Event,
    FunctionRegistered,
    HeldInput,
    Result,
    Returned,
    Started,
    Tick,
    Window,
    WorkerDisconnected,
    WorkerDraining,
    WorkerJoined,
    WorkerLeft,
    WorkerReported,
)
from offload.control.core.inputs import InputState
from offload.control.core.instructions import (
    Assign,
    CallCompleted,
    Finished,
    Instruction,
    RecordOutcomes,
)
from offload.control.core.model import (
    Call,
    CallKind,
    Capacity,
    ContainerReport,
    ContainerState,
    FailureKind,
    RetryPolicy,
    WorkerInfo,
)

WORKERS = st.sampled_from(["wk-1", "wk-2", "wk-3"])
FUNCTIONS = {
    "fn-a": function(retries=RetryPolicy(1, 0.5), scaledown_window_seconds=2.0),
    "fn-b": function("fn-b", cpu_milli=500, min_containers=1, max_containers=2),
    "fn-c": function("fn-c", host_id="elsewhere"),
}


class Dispatching(RuleBasedStateMachine):
    """Workers that report whatever they like about whatever was ever handed out."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.core = Dispatcher(Policy(), "p", 0.0)
        self.log: list[tuple[Event, float, list[Instruction]]] = []
        self.windows: dict[tuple[str, str], int] = {}
        self.submitted: dict[str, int] = {}
        self.outcomes: dict[str, Finished] = {}
        self.completed: list[str] = []
        self.attempts: list[tuple[str, str, str, int]] = []  # worker, function, input, attempt

    def tell(self, event: Event) -> None:
        instructions = self.core.apply(event, self.now)
        self.log.append((event, self.now, instructions))
        for one in instructions:
            match one:
                case RecordOutcomes():
                    for outcome in one.outcomes:
                        assert outcome.input_id not in self.outcomes
                        self.outcomes[outcome.input_id] = outcome
                case CallCompleted():
                    assert one.call_id not in self.completed
                    self.completed.append(one.call_id)
                case Assign():
                    self._check_window(one)
                    self.attempts += [
                        (one.worker_id, one.function_id, t.input_id, t.attempt) for t in one.tasks
                    ]
                case _:
                    pass

    def _check_window(self, order: Assign) -> None:
        held = sum(
            view.worker_id == order.worker_id and view.state is not InputState.READY
            for call_id, _ in self.submitted.items()
            if call_id.startswith(f"fc-{order.function_id}-")
            for view in self.core.inputs(call_id, 1000)
        )
        assert held <= self.windows.get((order.worker_id, order.function_id), 0)

    def attempt(self, pick: int) -> tuple[str, str, str, int] | None:
        return self.attempts[pick % len(self.attempts)] if self.attempts else None

    def joined(self, worker_id: str) -> bool:
        return any(view.worker.worker_id == worker_id for view in self.core.workers())

    @initialize()
    def register(self) -> None:
        for each in FUNCTIONS.values():
            self.tell(FunctionRegistered(each))

    @rule(function_id=st.sampled_from(sorted(FUNCTIONS)), count=st.integers(0, 6))
    def submit(self, function_id: str, count: int) -> None:
        call_id = f"fc-{function_id}-{len(self.submitted)}"
        self.submitted[call_id] = count
        call = Call(call_id, function_id, CallKind.MAP, self.now, True, True)
        self.tell(CallSubmitted(call, (range(count),), closed=True))

    @rule(pick=st.integers(0, 99))
    def cancel(self, pick: int) -> None:
        if self.submitted:
            self.tell(CallCancelled(list(self.submitted)[pick % len(self.submitted)], "enough"))

    @rule(worker_id=WORKERS, cpu=st.sampled_from([500, 1000, 2000]), remembers=st.booleans())
    def join(self, worker_id: str, cpu: int, remembers: bool) -> None:
        known = [v for v in self.core.workers() if v.worker.worker_id == worker_id]
        capacity = known[0].worker.capacity if known else Capacity(cpu, 2048)
        info = WorkerInfo(worker_id, worker_id, "0", "h1", capacity)
        mine = [v for v in self.core.containers() if v.worker_id == worker_id]
        containers = [
            ContainerReport(v.container_id, v.function.function_id, ContainerState(v.state))
            for v in mine
        ]
        held = [HeldInput(i, n, f) for w, f, i, n in self.attempts if w == worker_id]
        for function_id in FUNCTIONS:
            self.windows.pop((worker_id, function_id), None)
        self.tell(
            WorkerJoined(info, tuple(held), tuple(containers)) if remembers else WorkerJoined(info)
        )

    @rule(worker_id=WORKERS, kind=st.sampled_from([WorkerDisconnected, WorkerDraining, WorkerLeft]))
    def go(
        self,
        worker_id: str,
        kind: type[WorkerDisconnected | WorkerDraining | WorkerLeft],
    ) -> None:
        self.tell(kind(worker_id))
        if not self.joined(worker_id):
            for function_id in FUNCTIONS:
                self.windows.pop((worker_id, function_id), None)

    @rule(worker_id=WORKERS, function_id=st.sampled_from(sorted(FUNCTIONS)), size=st.integers(0, 4))
    def window(self, worker_id: str, function_id: str, size: int) -> None:
        if self.joined(worker_id):
            self.windows[worker_id, function_id] = size
            self.tell(WorkerReported(worker_id, windows=(Window(function_id, size),)))

    @rule(pick=st.integers(0, 9), state=st.sampled_from(sorted(ContainerState)))
    def container(self, pick: int, state: ContainerState) -> None:
        views = self.core.containers()
        if views:
            view = views[pick % len(views)]
            report = ContainerReport(view.container_id, view.function.function_id, state)
            self.tell(WorkerReported(view.worker_id, containers=(report,)))

    @rule(pick=st.integers(0, 99), kind=st.sampled_from(["ok", "bad", "started", "back", "alone"]))
    def progress(self, pick: int, kind: str) -> None:
        given = self.attempt(pick)
        if given is None or not self.joined(given[0]):
            return
        worker_id, _, input_id, number = given
        if kind == "ok":
            ok = Result(input_id, number, InputState.SUCCEEDED)
            self.tell(WorkerReported(worker_id, results=(ok,)))
        elif kind == "bad":
            bad = Result(input_id, number, InputState.FAILED, FailureKind.EXCEPTION)
            self.tell(WorkerReported(worker_id, results=(bad,)))
        elif kind == "started":
            boxes = [v.container_id for v in self.core.containers() if v.worker_id == worker_id]
            started = Started(input_id, number, boxes[0] if boxes else "ct-gone")
            self.tell(WorkerReported(worker_id, started=(started,)))
        else:
            back = Returned(input_id, number, "gone", retry_alone=kind == "alone")
            self.tell(WorkerReported(worker_id, returned=(back,)))

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.tell(Tick())

    @invariant()
    def no_worker_is_over_committed(self) -> None:
        for view in self.core.workers():
            assert 0 <= view.used.cpu_milli <= view.worker.capacity.cpu_milli
            assert 0 <= view.used.memory_mib <= view.worker.capacity.memory_mib

    @invariant()
    def the_counts_add_up(self) -> None:
        unfinished = self.core.pending_total + self.core.running_total
        assert unfinished + len(self.outcomes) == sum(self.submitted.values())
        views = [v for call_id in self.submitted for v in self.core.inputs(call_id, 1000)]
        assert len(views) == unfinished
        assert sum(v.state is InputState.READY for v in views) == self.core.pending_total

    @invariant()
    def nothing_waits_without_a_reason(self) -> None:
        pending = self.core.pending(1000)
        assert len(pending) == self.core.pending_total
        assert all(view.reason for view in pending)
        assert all(view.waiting_reason for view in self.core.pools() if view.pending)

    @invariant()
    def a_call_is_over_when_its_inputs_are(self) -> None:
        for call_id in self.submitted:
            assert self.core.knows_call(call_id) == bool(self.core.inputs(call_id, 1))
            assert self.core.knows_call(call_id) != (call_id in self.completed)

    def teardown(self) -> None:
        """Play the same events again: they give the same instructions."""
        again = Dispatcher(Policy(), "p", 0.0)
        for event, now, instructions in self.log:
            assert again.apply(event, now) == instructions


TestDispatching = Dispatching.TestCase
TestDispatching.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
