"""What must hold after any events in any order."""

from __future__ import annotations

import itertools

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.simulation.store import Store, StoredCall
from tests.support.consistency import check
from tests.support.dispatching import function

from offload.control.core.dispatch import Dispatcher, Policy
from offload.control.core.errors import DomainError
from offload.control.core.events import (
    AppStopped,
    CallCancelled,
    CallSubmitted,
    Event,
    FunctionRegistered,
    HeldInput,
    Result,
    Returned,
    ScalingChanged,
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
    Instruction,
    RecordHistory,
    RecordOutcomes,
    RecordRuns,
    StartContainer,
)
from offload.control.core.model import (
    Call,
    CallKind,
    Capacity,
    ContainerReport,
    ContainerState,
    FailureKind,
    Gpu,
    RetryPolicy,
    Scaling,
    WorkerInfo,
)
from offload.control.core.policy import WorkspaceLimits

WORKERS = st.sampled_from(["wk-1", "wk-2", "wk-3"])
FUNCTIONS = {
    "fn-a": function(retries=RetryPolicy(1, 0.5), scaledown_window_seconds=2.0),
    "fn-b": function("fn-b", cpu_milli=500, min_containers=1, max_containers=2, workspace="other"),
    "fn-c": function("fn-c", host_id="elsewhere"),
    "fn-d": function("fn-d", cpu_milli=250, gpus=1, gpu_kind="t4", workspace="other"),
    "fn-e": function("fn-e", cpu_milli=500, app_id="ap-2", workspace="third"),
}
POLICY = Policy(
    ageing_seconds=5.0,
    resting_beyond=1,
    workspaces={"other": WorkspaceLimits(2.0), "third": WorkspaceLimits(1.0, max_containers=1)},
)


class BrokenPromiseError(AssertionError):
    """What was recorded contradicts what was recorded before."""


def _fail(what: str) -> None:
    raise BrokenPromiseError(what)


class Dispatching(RuleBasedStateMachine):
    """Workers that report whatever they like about whatever was ever handed out."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.boots = 1
        self.core = Dispatcher(POLICY, "1", 0.0)
        self.log: list[tuple[Event, float, list[Instruction]]] = []
        self.windows: dict[tuple[str, str], int] = {}
        self.store = Store(_fail)
        self.attempts: list[tuple[str, str, str, int]] = []  # worker, function, input, attempt
        self.stopped: dict[str, None] = {}
        self.names = itertools.count()

    def tell(self, event: Event) -> None:
        try:
            instructions = self.core.apply(event, self.now)
        except DomainError:
            assert isinstance(event, CallSubmitted)
            del self.store.calls[event.call.call_id]
            return
        self.log.append((event, self.now, instructions))
        for one in instructions:
            self._do(one)
        self.store.check_seqs()

    def _do(self, one: Instruction) -> None:
        match one:
            case RecordOutcomes():
                for outcome in one.outcomes:
                    self.store.record(outcome)
            case RecordRuns():
                for run in one.runs:
                    self.store.record_run(run)
            case RecordHistory():
                self.store.remember(one.call_id, one.history)
            case CallCompleted():
                self.store.complete(one)
            case Assign():
                self._check_window(one)
                self.attempts += [
                    (one.worker_id, one.function_id, t.input_id, t.attempt) for t in one.tasks
                ]
            case StartContainer():
                needs = FUNCTIONS[one.function_id].needs
                assert len(one.gpu_indices) == needs.gpus
            case _:
                pass

    def _check_window(self, order: Assign) -> None:
        held = sum(
            view.worker_id == order.worker_id
            and view.state in {InputState.ASSIGNED, InputState.RUNNING}
            for stored in self.store.calls.values()
            if stored.call.function_id == order.function_id
            for view in self.core.inputs(stored.call.call_id, 1000)
        )
        assert held <= self.windows.get((order.worker_id, order.function_id), 0)

    def attempt(self, pick: int) -> tuple[str, str, str, int] | None:
        return self.attempts[pick % len(self.attempts)] if self.attempts else None

    def joined(self, worker_id: str) -> bool:
        return any(view.worker.worker_id == worker_id for view in self.core.workers())

    @initialize()
    def register(self) -> None:
        for each in FUNCTIONS.values():
            self.tell(FunctionRegistered(each, is_stopped=each.app_id in self.stopped))

    @rule(
        function_id=st.sampled_from(sorted(FUNCTIONS)),
        count=st.sampled_from([0, 1, 2, 6, 100]),
        priority=st.sampled_from([0, 0, 3]),
        lasts=st.sampled_from([0.0, 0.0, 3.0]),
        after=st.lists(st.integers(0, 99), max_size=2),
        run_anyway=st.booleans(),
    )
    def submit(
        self,
        function_id: str,
        count: int,
        priority: int,
        lasts: float,
        after: list[int],
        *,
        run_anyway: bool,
    ) -> None:
        others = list(self.store.calls)
        before = tuple(dict.fromkeys(others[pick % len(others)] for pick in after if others))
        call = Call(
            f"fc-{next(self.names)}",
            function_id,
            CallKind.MAP,
            self.now,
            attached=len(others) % 3 > 0,
            durable=True,
            priority=priority,
            deadline=self.now + lasts if lasts else 0.0,
            after=before,
            run_anyway=run_anyway,
        )
        stored = self.store.calls[call.call_id] = StoredCall(
            call, FUNCTIONS[function_id].retries.max_retries
        )
        stored.closed = True
        stored.known.add(0, count)
        self.tell(CallSubmitted(call, (range(count),), True, self.store.endings(call)))

    @rule(pick=st.integers(0, 99))
    def cancel(self, pick: int) -> None:
        if self.store.calls:
            self.tell(CallCancelled(list(self.store.calls)[pick % len(self.store.calls)], "enough"))

    @rule(limits=st.sampled_from([(0, 0), (0, 1), (2, 3)]), function_id=st.sampled_from("abde"))
    def rescale(self, limits: tuple[int, int], function_id: str) -> None:
        self.tell(ScalingChanged(f"fn-{function_id}", Scaling(*limits, 0, 1.0)))

    @rule(cancel=st.booleans())
    def stop_app(self, *, cancel: bool) -> None:
        self.stopped["ap-2"] = None
        self.tell(AppStopped("ap-2", cancel, "stopped"))

    @rule()
    def restart(self) -> None:
        self._replay()
        self.boots += 1
        self.log.clear()
        self.windows.clear()
        expected = [(v.worker.worker_id, v.worker.name) for v in self.core.workers()]
        self.core = Dispatcher(POLICY, str(self.boots), self.now, expected)
        self._expected, self._booted_at = expected, self.now
        self.register()
        for stored in list(self.store.open_calls()):
            self.tell(stored.restored(self.store.endings(stored.call)))

    _expected: list[tuple[str, str]] = []  # noqa: RUF012 replaced, never changed
    _booted_at = 0.0

    @rule(worker_id=WORKERS, cpu=st.sampled_from([500, 1000, 2000]), remembers=st.booleans())
    def join(self, worker_id: str, cpu: int, *, remembers: bool) -> None:
        known = [v for v in self.core.workers() if v.worker.worker_id == worker_id]
        gpus = (Gpu(0, "a100"), Gpu(1, "t4")) if cpu > 500 else ()
        capacity = known[0].worker.capacity if known else Capacity(cpu, 2048, gpus)
        info = WorkerInfo(worker_id, worker_id, "0", "h1", capacity)
        mine = list(self.core._state.containers.values())
        containers = [
            ContainerReport(
                c.container_id, c.slot.pool.function.function_id, c.state, gpu_indices=c.gpus
            )
            for c in mine
            if c.slot.worker.info.worker_id == worker_id
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

    @rule(
        pick=st.integers(0, 9),
        state=st.sampled_from(sorted(ContainerState)),
        blames_function=st.booleans(),
    )
    def container(self, pick: int, state: ContainerState, *, blames_function: bool) -> None:
        views = self.core.containers()
        if views:
            view = views[pick % len(views)]
            report = ContainerReport(
                view.container_id,
                view.function.function_id,
                state,
                blames_function=blames_function,
            )
            self.tell(WorkerReported(view.worker_id, containers=(report,)))

    @rule(worker_id=WORKERS)
    def all_ready(self, worker_id: str) -> None:
        mine = [v for v in self.core.containers() if v.worker_id == worker_id]
        if not mine:
            return
        reports = tuple(
            ContainerReport(v.container_id, v.function.function_id, ContainerState.READY)
            for v in mine
        )
        windows = tuple(Window(i, 2) for i in {v.function.function_id: 0 for v in mine})
        self.windows.update({(worker_id, one.function_id): one.inputs for one in windows})
        self.tell(WorkerReported(worker_id, windows=windows, containers=reports))

    @rule(
        pick=st.integers(0, 99),
        kind=st.sampled_from(["ok", "bad", "oom", "started", "back", "alone"]),
    )
    def progress(self, pick: int, kind: str) -> None:
        given = self.attempt(pick)
        if given is None or not self.joined(given[0]):
            return
        worker_id, _, input_id, number = given
        if kind == "ok":
            ok = Result(input_id, number, InputState.SUCCEEDED)
            self.tell(WorkerReported(worker_id, results=(ok,)))
        elif kind in {"bad", "oom"}:
            why = FailureKind.EXCEPTION if kind == "bad" else FailureKind.OUT_OF_MEMORY
            self.tell(
                WorkerReported(
                    worker_id, results=(Result(input_id, number, InputState.FAILED, why),)
                )
            )
        elif kind == "started":
            boxes = [v.container_id for v in self.core.containers() if v.worker_id == worker_id]
            started = Started(input_id, number, boxes[0] if boxes else "ct-gone")
            self.tell(WorkerReported(worker_id, started=(started,)))
        else:
            back = Returned(input_id, number, "gone", retry_alone=kind == "alone")
            self.tell(WorkerReported(worker_id, returned=(back,)))

    @rule(pick=st.integers(0, 99))
    def fail_late(self, pick: int) -> None:
        self.now += 3.0  # as long as some calls may take, and nobody has looked at the clock yet
        self.progress(pick, "bad")

    @rule(seconds=st.sampled_from([-3.0, 0.1, 1.0, 4.0, 11.0, 80.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.tell(Tick())

    @invariant()
    def no_worker_is_over_committed(self) -> None:
        for view in self.core.workers():
            assert 0 <= view.used.cpu_milli <= view.worker.capacity.cpu_milli
            assert 0 <= view.used.memory_mib <= view.worker.capacity.memory_mib

    @invariant()
    def all_counts_are_what_counting_anew_gives(self) -> None:
        check(self.core)

    @invariant()
    def every_input_is_open_or_has_its_outcome(self) -> None:
        core = self.core
        unfinished = core.pending_total + core.running_total + core.blocked_total
        assert unfinished == sum(len(stored.unfinished) for stored in self.store.calls.values())
        views = [v for call_id in self.store.calls for v in core.inputs(call_id, 1000)]
        assert len(views) == unfinished
        assert sum(v.state is InputState.READY for v in views) == core.pending_total

    @invariant()
    def nothing_waits_without_a_reason(self) -> None:
        pending = self.core.pending(1000)
        assert len(pending) == min(1000, self.core.pending_total)
        assert all(view.reason for view in pending)
        assert all(view.waiting_reason for view in self.core.pools() if view.pending)

    @invariant()
    def a_call_is_over_when_its_inputs_are(self) -> None:
        for call_id, stored in self.store.calls.items():
            assert self.core.knows_call(call_id) != bool(stored.state)

    def _replay(self) -> None:
        again = Dispatcher(POLICY, str(self.boots), self._booted_at, self._expected)
        for event, now, instructions in self.log:
            assert again.apply(event, now) == instructions

    def teardown(self) -> None:
        """Play the same events again: they give the same instructions."""
        self._replay()


TestDispatching = Dispatching.TestCase
TestDispatching.settings = settings(
    max_examples=80,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
