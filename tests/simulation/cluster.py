"""A seeded cluster on a virtual clock: clients, workers, broken sessions, restarts of the server and jumps of its clock.

It ends with a calm phase in which everything accepted must come to its one outcome. The same seed gives the same run.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from typing import TYPE_CHECKING

from tests.simulation.clients import Clients
from tests.simulation.faults import Faults
from tests.simulation.setup import draw_function, draw_policy
from tests.simulation.store import Store
from tests.support.consistency import check, is_early, is_overfull, is_overstaffed, spent

from offload.control.core.dispatch import Dispatcher
from offload.control.core.errors import DomainError
from offload.control.core.events import Event, FunctionRegistered, Tick, WorkerReported
from offload.control.core.ids import split_input_id
from offload.control.core.instructions import (
    Assign,
    CallCompleted,
    ForgetWorker,
    Instruction,
    RecordHistory,
    RecordOutcomes,
    RecordRuns,
    StartContainer,
)
from offload.control.core.model import ContainerState

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.workers import SimulatedWorker

    from offload.control.core.model import Function

CHAOS_SECONDS = 60.0
CALM_SECONDS = 2000.0
SETTLE_SECONDS = 20.0
STARVED_SECONDS = 400.0
MAX_STEPS = 60_000
STEPS_PER_CHECK = 12


class SimulationError(AssertionError):
    """A promise was broken; the message names the seed that replays it."""


class Simulation:
    """One run of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)  # noqa: S311 a seeded run is the point
        self.now = 1000.0
        self.skew = 0.0  # of the server's clock
        self.is_calm = False
        self.steps = 0
        self.boots = 0
        self.store = Store(self.fail)
        self.workers: dict[str, SimulatedWorker] = {}
        self.policy = draw_policy(self.rng)
        self.functions = [
            draw_function(self.rng, number) for number in range(self.rng.randint(1, 4))
        ]
        self.stopped_apps: set[str] = set()
        self.endings: dict[str, str] = {}  # of calls, recorded or not
        self._expected: dict[str, None] = {}  # workers that the server knew last
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._arrivals: dict[int, float] = {}
        self._pending: list[Instruction] = []  # not on disk yet
        self._last_run: dict[str, float] = {}
        self.faults = Faults(self)
        self.clients = Clients(self)
        self.boot()

    def run(self) -> int:
        """Play it to its end; return how many inputs came to their outcome."""
        self.faults.plan(CHAOS_SECONDS)
        self.clients.plan(CHAOS_SECONDS)
        self.after(CHAOS_SECONDS, self._calm_down)
        deadline = self.now + CHAOS_SECONDS + CALM_SECONDS
        while not self._is_over():
            self._step(deadline)
        self._settle()
        # What is on its way at one time is not at the next.
        disagreements = {self._disagreement(), self._disagreement(), self._disagreement()}
        if "" not in disagreements:
            self.fail(disagreements.pop())
        self._check()
        return sum(len(stored.outcomes) for stored in self.store.calls.values())

    @property
    def server_now(self) -> float:
        """What the server's clock shows."""
        return self.now + self.skew

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """See `World`."""
        heapq.heappush(self._agenda, (self.now + seconds, next(self._numbers), action))

    def function(self, function_id: str) -> Function:
        """See `World`."""
        return next(one for one in self.functions if one.function_id == function_id)

    def note_run(self, function_id: str) -> None:
        """See `World`."""
        self._last_run[function_id] = self.now

    def fail(self, what: str) -> None:
        """See `World`."""
        waiting = "\n".join(str(view) for view in self.server.pending(5))
        raise SimulationError(
            f"{what}\n{waiting}\nreplay: python -m tests.simulation --seed {self.seed}"
        )

    def tell_server(self, worker: SimulatedWorker, report: WorkerReported) -> None:
        """See `World`. Messages of one session arrive in order, some of them twice, and none after it broke."""
        session = worker.session
        if not session:
            return
        self._deliver(session, lambda: self._receive(worker, session, report))
        if self.rng.random() < 0.05:
            self._deliver(session, lambda: self._receive(worker, session, report))

    def _is_over(self) -> bool:
        return self.is_calm and not self._pending and not any(self.store.open_calls())

    def _step(self, deadline: float) -> None:
        self.steps += 1
        due = self.server.next_wakeup()
        wakeup = due - self.skew + self._late if due is not None else None
        if self._agenda and (wakeup is None or self._agenda[0][0] <= wakeup):
            at, _, action = heapq.heappop(self._agenda)
            self.now = max(self.now, at)
            action()
        elif due is not None and wakeup is not None:
            self.now = max(self.now, wakeup)
            while self.server_now < due:  # by a rounding error
                self.now = math.nextafter(self.now, math.inf)
            self._late = self.rng.choice((0.0, 0.0, 0.3, 2.0))
            self.apply(Tick())
        else:
            self.fail("nothing will ever happen again, but calls are unfinished")
        if self.steps % STEPS_PER_CHECK == 0:
            self._check()
        if self.now > deadline or self.steps > MAX_STEPS:
            self.fail(f"not over after {self.steps} steps at {self.now}")

    def _check(self) -> None:
        try:
            check(self.server)
        except AssertionError as error:
            self.fail(str(error))
        if not self._pending and self.store.spent(set(spent(self.server))) != spent(self.server):
            self.fail("what inputs have spent is not what was recorded")
        if any(not view.reason for view in self.server.pending(3)):
            self.fail("an input waits without a reason")
        pools = self.server.pools()
        waiting = {pool.function.function_id for pool in pools if pool.pending}
        for function in self.functions:
            if function.function_id not in waiting:
                self.note_run(function.function_id)  # also of calls that wait for others
        for pool in pools:
            function_id = pool.function.function_id
            waits = self.now - max(self._last_run.get(function_id, 0.0), self._calm_since)
            if self.is_calm and pool.pending and waits > STARVED_SECONDS:
                self.fail(f"{function_id} starves: {pool.waiting_reason}")

    def _settle(self) -> None:
        end = self.now + SETTLE_SECONDS
        self.after(SETTLE_SECONDS, lambda: None)
        while self.now < end:
            self._step(math.inf)

    def _disagreement(self) -> str:
        """Say what containers server and workers do not both know of, or which is to stop and was never told."""
        self._settle()
        for worker in self.workers.values():
            known = {
                view.container_id: view.state
                for view in self.server.containers()
                if view.worker_id == worker.info.worker_id
            }
            if worker.session and known.keys() != worker.boxes.keys():
                return f"{worker.info.worker_id} has {worker.boxes}, the server knows {known}"
            for container_id, state in known.items() if worker.session else ():
                box = worker.boxes[container_id]
                if state == "stopping" and box.state is not ContainerState.STOPPING:
                    return f"{container_id} is to stop, but was never told"
        return ""

    # The server

    def boot(self) -> None:
        """Start a server on what the store knows; what was not written yet is lost."""
        self.boots += 1
        self._pending.clear()
        self.skew += self.rng.choice((0.0, 0.0, 10.0))  # while nobody served
        for worker in self.workers.values():
            if worker.session:
                worker.session = 0
                self.faults.come_back(worker)
        expected = [(worker_id, worker_id) for worker_id in self._expected]
        self.server = Dispatcher(self.policy, f"boot{self.boots}", self.server_now, expected)
        for function in self.functions:
            is_stopped = function.app_id in self.stopped_apps
            self.apply(FunctionRegistered(function, is_stopped))
        stored = list(self.store.open_calls())
        self.endings = {i: call.state for i, call in self.store.calls.items() if call.state}
        for one in stored:
            self.apply(one.restored(self.store.endings(one.call)))

    def apply(self, event: Event) -> bool:
        """Tell the server; return whether it took it."""
        try:
            instructions = self.server.apply(event, self.server_now)
        except DomainError:
            return False
        for instruction in instructions:
            self._do(instruction)
        return True

    def _do(self, instruction: Instruction) -> None:
        match instruction:
            case RecordOutcomes() | RecordRuns() | RecordHistory() | CallCompleted():
                if not self._pending:
                    delay, boot = self.rng.choice((0.0, 0.0, 0.05)), self.boots
                    self.after(delay, lambda: self._commit(boot))
                self._pending.append(instruction)
                if isinstance(instruction, CallCompleted):
                    self.endings[instruction.call_id] = instruction.state
            case Assign():
                self._check_order(instruction)
                self._send(instruction)
            case StartContainer():
                if is_overstaffed(self.server, instruction.function_id):
                    self.fail(f"{instruction.function_id} has more containers than it needs")
                self._send(instruction)
            case ForgetWorker():
                self._expected.pop(instruction.worker_id, None)
            case _:
                self._send(instruction)

    def _check_order(self, order: Assign) -> None:
        if is_overfull(self.server, order.worker_id, order.function_id):
            self.fail(f"{order.worker_id} was given more than its window")
        for task in order.tasks:
            call_id, _ = split_input_id(task.input_id)
            if is_early(self.server, self.store.calls[call_id].call):
                self.fail(f"{call_id} began before its time")

    def _commit(self, boot: int) -> None:
        if boot != self.boots:
            return
        pending, self._pending = self._pending, []
        for instruction in pending:
            match instruction:
                case RecordOutcomes():
                    for outcome in instruction.outcomes:
                        self.store.record(outcome)
                        for worker in self.workers.values():
                            worker.acknowledge(outcome.input_id, outcome.attempts)
                case RecordRuns():
                    for run in instruction.runs:
                        self.store.record_run(run)
                case RecordHistory():
                    self.store.remember(instruction.call_id, instruction.history)
                case CallCompleted():
                    self.store.complete(instruction)
                case _:
                    pass
        self.store.check_seqs()

    def _send(self, instruction: Instruction) -> None:
        worker = self.workers.get(getattr(instruction, "worker_id", ""))
        if worker is None or not worker.session:
            return
        session = worker.session
        times = 2 if self.rng.random() < 0.05 else 1

        def arrive() -> None:
            for _ in range(times):
                if worker.session == session and not worker.is_dead:
                    worker.obey(instruction)

        self._deliver(-session, arrive)

    def _deliver(self, stream: int, action: Callable[[], None]) -> None:
        at = max(self.now + self.rng.choice((0.0, 0.001, 0.2)), self._arrivals.get(stream, 0.0))
        self._arrivals[stream] = at
        heapq.heappush(self._agenda, (at, next(self._numbers), action))

    def _receive(self, worker: SimulatedWorker, session: int, report: WorkerReported) -> None:
        if worker.session == session:
            if not self.is_calm and self.rng.random() < 0.06:
                self.now += self.rng.uniform(0.0, 5.0)  # the server stood still
            self.apply(report)

    def expect(self, worker_id: str) -> None:
        """Take note that the server knows the worker."""
        self._expected[worker_id] = None

    def _calm_down(self) -> None:
        self.is_calm = True
        self._calm_since = self.now
        self.faults.end()
        self.clients.end()

    _calm_since = 0.0
    _late = 0.0  # a busy server looks at its timers when it gets to it
