"""A seeded cluster on a virtual clock: clients, workers, broken sessions and restarts of the server.

It ends with a calm phase in which everything accepted must come to its one outcome. The same seed gives the same run.
"""

from __future__ import annotations

import heapq
import itertools
import random
from typing import TYPE_CHECKING

from tests.simulation.workers import SimulatedWorker

from offload.control.core.dispatch import Dispatcher, Policy
from offload.control.core.errors import DomainError
from offload.control.core.events import (
    CallCancelled,
    CallRestored,
    CallSubmitted,
    Event,
    FunctionRegistered,
    InputsAdded,
    RestoredInput,
    Tick,
    WorkerDisconnected,
    WorkerDraining,
    WorkerLeft,
    WorkerReported,
)
from offload.control.core.instructions import (
    CallCompleted,
    Finished,
    Instruction,
    RecordOutcomes,
)
from offload.control.core.model import Call, CallKind, Function, NewInput, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

CHAOS_SECONDS = 60.0
CALM_SECONDS = 3000.0
MAX_STEPS = 60_000


class SimulationError(AssertionError):
    """A promise was broken; the message names the seed that replays it."""


class StoredCall:
    """What the store knows of a call."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.inputs: dict[str, int] = {}
        self.outcomes: dict[str, Finished] = {}
        self.closed = False
        self.state = ""


class Simulation:
    """One run of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)  # noqa: S311 a seeded run is the point
        self.now = 1000.0
        self.is_calm = False
        self.steps = 0
        self.restarts = 0
        self.store: dict[str, StoredCall] = {}
        self.workers: dict[str, SimulatedWorker] = {}
        self.functions = [self._function(number) for number in range(self.rng.randint(1, 3))]
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._sessions = itertools.count(1)
        self._names = itertools.count()
        self._arrivals: dict[int, float] = {}
        self.server = self._boot()

    def run(self) -> int:
        """Play it to its end; return how many inputs came to their outcome."""
        for _ in range(self.rng.randint(1, 3)):
            self._add_worker()
        for _ in range(self.rng.randint(2, 8)):
            self.after(self.rng.uniform(0, CHAOS_SECONDS), self._submit)
        for _ in range(self.rng.randint(0, 12)):
            self.after(self.rng.uniform(0, CHAOS_SECONDS), self._strike)
        self.after(CHAOS_SECONDS, self._calm_down)
        deadline = self.now + CHAOS_SECONDS + CALM_SECONDS
        while not self._is_over():
            self._step(deadline)
        return sum(len(stored.outcomes) for stored in self.store.values())

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """See `World`."""
        heapq.heappush(self._agenda, (self.now + seconds, next(self._numbers), action))

    def tell_server(self, worker: SimulatedWorker, report: WorkerReported) -> None:
        """See `World`. Messages of one session arrive in order, some of them twice, and none after it broke."""
        session = worker.session
        if not session:
            return
        self._deliver(session, lambda: self._receive(worker, session, report))
        if self.rng.random() < 0.05:
            self._deliver(session, lambda: self._receive(worker, session, report))

    def _is_over(self) -> bool:
        return self.is_calm and all(stored.state for stored in self.store.values())

    def _step(self, deadline: float) -> None:
        self.steps += 1
        wakeup = self.server.next_wakeup()
        if self._agenda and (wakeup is None or self._agenda[0][0] <= wakeup):
            at, _, action = heapq.heappop(self._agenda)
            self.now = max(self.now, at)
            action()
        elif wakeup is not None:
            self.now = max(self.now, wakeup)
            self._apply(Tick())
        else:
            self._fail("nothing will ever happen again, but calls are unfinished")
        if self.now > deadline or self.steps > MAX_STEPS:
            self._fail(f"not over after {self.steps} steps at {self.now}")

    def _fail(self, what: str) -> None:
        waiting = "\n".join(str(view) for view in self.server.pending(5))
        raise SimulationError(
            f"{what}\n{waiting}\nreplay: python -m tests.simulation --seed {self.seed}"
        )

    # The server and its store

    def _boot(self) -> Dispatcher:
        self.restarts += 1
        server = Dispatcher(Policy(), f"boot{self.restarts}", self.now)
        for function in self.functions:
            server.apply(FunctionRegistered(function), self.now)
        for stored in self.store.values():
            if not stored.state:
                server.apply(_restored(stored), self.now)
        return server

    def _restart_server(self) -> None:
        for worker in self.workers.values():
            if worker.session:
                worker.session = 0
                self._come_back(worker)
        self.server = self._boot()

    def _apply(self, event: Event) -> None:
        try:
            instructions = self.server.apply(event, self.now)
        except DomainError:
            return
        for instruction in instructions:
            self._do(instruction)
        if any(not view.reason for view in self.server.pending(3)):
            self._fail("an input waits without a reason")

    def _do(self, instruction: Instruction) -> None:
        match instruction:
            case RecordOutcomes():
                for outcome in instruction.outcomes:
                    self._record(outcome)
            case CallCompleted():
                stored = self.store[instruction.call_id]
                if stored.outcomes.keys() != stored.inputs.keys() or stored.state:
                    self._fail(f"{instruction.call_id} completed with inputs open, or twice")
                stored.state = instruction.state
            case _:
                self._send(instruction)

    def _record(self, outcome: Finished) -> None:
        stored = self.store[outcome.call_id]
        if outcome.input_id in stored.outcomes or outcome.input_id not in stored.inputs:
            self._fail(f"{outcome.input_id} has a second outcome, or was never accepted")
        stored.outcomes[outcome.input_id] = outcome
        if outcome.seq != len(stored.outcomes):
            self._fail(f"{outcome.input_id} has seq {outcome.seq}")

    def _send(self, instruction: Instruction) -> None:
        worker = self.workers.get(getattr(instruction, "worker_id", ""))
        if worker is None or not worker.session:
            return
        session = worker.session

        def arrive() -> None:
            if worker.session == session and not worker.is_dead:
                worker.obey(instruction)

        self._deliver(-session, arrive)

    def _deliver(self, stream: int, action: Callable[[], None]) -> None:
        at = max(self.now + self.rng.choice((0.0, 0.001, 0.2)), self._arrivals.get(stream, 0.0))
        self._arrivals[stream] = at
        heapq.heappush(self._agenda, (at, next(self._numbers), action))

    def _receive(self, worker: SimulatedWorker, session: int, report: WorkerReported) -> None:
        if worker.session == session:
            self._apply(report)

    # Clients

    def _submit(self) -> None:
        function = self.rng.choice(self.functions)
        name = next(self._names)
        kind = self.rng.choice((CallKind.SINGLE, CallKind.MAP))
        call = Call(f"fc-{name}", function.function_id, kind, self.now, True, True)
        stored = self.store[call.call_id] = StoredCall(call)
        stored.closed = kind is CallKind.SINGLE or self.rng.random() < 0.5
        count = 1 if kind is CallKind.SINGLE else self.rng.randint(0, 60)
        inputs = _new_inputs(stored, count)
        self._apply(CallSubmitted(call, inputs, stored.closed))
        if not stored.state:  # a caller that repeats an ended call is answered from the store
            self._apply(CallSubmitted(call, inputs, stored.closed))
        if not stored.closed:
            self.after(self.rng.uniform(0, 20), lambda: self._add(stored))
        if self.rng.random() < 0.15:
            self.after(self.rng.uniform(0, 20), lambda: self._cancel(stored))

    def _add(self, stored: StoredCall) -> None:
        if stored.closed or stored.state:
            return
        again = tuple(NewInput(i, index) for i, index in list(stored.inputs.items())[-3:])
        stored.closed = self.is_calm or self.rng.random() < 0.5
        inputs = (*again, *_new_inputs(stored, self.rng.randint(0, 20)))
        self._apply(InputsAdded(stored.call.call_id, inputs, stored.closed))
        if not stored.closed:
            self.after(self.rng.uniform(0, 20), lambda: self._add(stored))

    def _cancel(self, stored: StoredCall) -> None:
        stored.closed = True
        self._apply(CallCancelled(stored.call.call_id, "cancelled by the script"))

    # Workers and what happens to them

    def _add_worker(self) -> None:
        worker_id = f"wk-{next(self._names)}"
        worker = SimulatedWorker(self, worker_id, self.rng.choice((1000, 2000, 4000)))
        self.workers[worker_id] = worker
        self._join(worker)

    def _join(self, worker: SimulatedWorker) -> None:
        if worker.is_dead or worker.session:
            return
        worker.session = next(self._sessions)
        joined, report = worker.joined(remembers=self.is_calm or self.rng.random() < 0.8)
        self._apply(joined)
        self.tell_server(worker, report)

    def _come_back(self, worker: SimulatedWorker) -> None:
        seconds = self.rng.choice((0.01, 1.0, 5.0, 20.0)) * self.rng.random()
        self.after(seconds, lambda: self._join(worker))

    def _strike(self) -> None:
        self.rng.choice(
            (self._crash, self._disconnect, self._disconnect, self._leave, self._drain,
             self._restart_server, self._add_worker)
        )()  # fmt: skip

    def _victim(self) -> SimulatedWorker | None:
        connected = [worker for worker in self.workers.values() if worker.session]
        return self.rng.choice(connected) if connected else None

    def _crash(self) -> None:
        worker = self._victim()
        if worker is not None:
            worker.is_dead = True
            self._break(worker)
            self.after(self.rng.uniform(0, 10), self._add_worker)

    def _disconnect(self) -> None:
        worker = self._victim()
        if worker is not None:
            self._break(worker)
            self._come_back(worker)

    def _break(self, worker: SimulatedWorker) -> None:
        worker.session = 0
        self._apply(WorkerDisconnected(worker.info.worker_id))

    def _leave(self) -> None:
        worker = self._victim()
        if worker is not None:
            self._say_goodbye(worker)

    def _drain(self) -> None:
        worker = self._victim()
        if worker is not None:
            self._apply(WorkerDraining(worker.info.worker_id))
            self.after(self.rng.uniform(0, 30), lambda: self._say_goodbye(worker))

    def _say_goodbye(self, worker: SimulatedWorker) -> None:
        worker.is_dead = True
        worker.session = 0
        self._apply(WorkerLeft(worker.info.worker_id))

    def _calm_down(self) -> None:
        self.is_calm = True
        self._add_worker()
        for stored in self.store.values():
            self._add(stored)

    def _function(self, number: int) -> Function:
        rng = self.rng
        return Function(
            f"fn-{number}", "ap-1", "sim", f"f{number}", rng.choice((250, 500, 1000)), 128, 60.0,
            rng.choice((3.0, 30.0)), RetryPolicy(rng.randint(0, 3), 0.5), rng.choice((0, 0, 1)),
            rng.choice((0, 0, 2)), rng.choice((0.0, 2.0, 60.0)), "", "", rng.random() < 0.2,
        )  # fmt: skip


def _new_inputs(stored: StoredCall, count: int) -> tuple[NewInput, ...]:
    first = len(stored.inputs)
    new = [NewInput(f"in-{stored.call.call_id[3:]}-{i}", i) for i in range(first, first + count)]
    stored.inputs.update((one.input_id, one.index) for one in new)
    return tuple(new)


def _restored(stored: StoredCall) -> CallRestored:
    inputs = [
        RestoredInput(input_id, index, 0)
        for input_id, index in stored.inputs.items()
        if input_id not in stored.outcomes
    ]
    counts: dict[str, int] = {}
    for outcome in stored.outcomes.values():
        counts[outcome.state] = counts.get(outcome.state, 0) + 1
    total = len(stored.inputs) if stored.closed else 0
    return CallRestored(
        stored.call, tuple(inputs), stored.closed, total, len(stored.outcomes), counts
    )
