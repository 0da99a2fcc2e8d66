"""What happens to the simulated cluster: crashes, partitions, drains, restarts, jumps of the clock, changes of mind."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from tests.simulation.setup import able_worker, draw_worker
from tests.simulation.workers import SimulatedWorker

from offload.control.core.events import (
    ContainerWaits,
    ScalingChanged,
    WorkerDisconnected,
    WorkerDraining,
    WorkerLeft,
)
from offload.control.core.model import Scaling

if TYPE_CHECKING:
    from tests.simulation.cluster import Simulation

    from offload.control.core.model import WorkerInfo


class Faults:
    """Adds workers to one simulation, and does to them what happens to machines."""

    def __init__(self, world: Simulation) -> None:
        self._world = world
        self._names = itertools.count()
        self._sessions = itertools.count(1)

    def plan(self, seconds: float) -> None:
        """Spread what happens over the time of faults."""
        world = self._world
        for _ in range(world.rng.randint(1, 3)):
            self._add_worker()
        for _ in range(world.rng.randint(0, 12)):
            world.after(world.rng.uniform(0, seconds), self._strike)

    def end(self) -> None:
        """Add a worker that can run everything, and do no more harm."""
        self._introduce(able_worker(f"wk-{next(self._names)}"), breaks=0.0)

    def come_back(self, worker: SimulatedWorker) -> None:
        """Let a worker whose session broke join again, some after they were given up."""
        rng = self._world.rng
        seconds = rng.choice((0.01, 1.0, 5.0, 20.0, 60.0)) * rng.random()
        self._world.after(seconds, lambda: self._join(worker))

    def _strike(self) -> None:
        world = self._world
        happenings = (
            self._crash, self._disconnect, self._disconnect, self._leave, self._drain, self._add_worker,
            self._rescale, self._jump, self._outage, self._part, self._part, world.boot, world.boot, world.clients.submit, world.clients.submit,
            world.clients.stop_app, self._wait_for_calls, self._wait_for_calls,
        )  # fmt: skip
        world.rng.choice(happenings)()

    def _add_worker(self) -> None:
        rng = self._world.rng
        breaks = rng.choice((0.05, 0.05, 0.9))
        self._introduce(draw_worker(rng, f"wk-{next(self._names)}"), breaks)

    def _introduce(self, info: WorkerInfo, breaks: float) -> None:
        worker = SimulatedWorker(self._world, info, breaks)
        self._world.workers[info.worker_id] = worker
        self._join(worker)

    def _join(self, worker: SimulatedWorker) -> None:
        if worker.is_dead or worker.session:
            return
        world = self._world
        worker.session = next(self._sessions)
        joined, report = worker.joined(remembers=world.is_calm or world.rng.random() < 0.8)
        world.apply(joined)
        world.expect(worker.info.worker_id)
        world.tell_server(worker, report)

    def _victim(self) -> SimulatedWorker | None:
        connected = [worker for worker in self._world.workers.values() if worker.session]
        return self._world.rng.choice(connected) if connected else None

    def _crash(self) -> None:
        worker = self._victim()
        if worker is not None:
            worker.is_dead = True
            self._break(worker)
            self._world.after(self._world.rng.uniform(0, 10), self._add_worker)

    def _disconnect(self) -> None:
        worker = self._victim()
        if worker is not None:
            self._break(worker)
            self.come_back(worker)

    def _break(self, worker: SimulatedWorker) -> None:
        worker.session = 0
        self._world.apply(WorkerDisconnected(worker.info.worker_id))

    def _leave(self) -> None:
        worker = self._victim()
        if worker is not None:
            self._say_goodbye(worker)

    def _drain(self) -> None:
        worker = self._victim()
        if worker is not None:
            self._world.apply(WorkerDraining(worker.info.worker_id))
            seconds = self._world.rng.uniform(0, 30)
            self._world.after(seconds, lambda: self._say_goodbye(worker))

    def _say_goodbye(self, worker: SimulatedWorker) -> None:
        worker.is_dead = True
        worker.session = 0
        self._world.apply(WorkerLeft(worker.info.worker_id))

    def _rescale(self) -> None:
        rng = self._world.rng
        function = rng.choice(self._world.functions)
        scaling = Scaling(rng.choice((0, 2)), rng.choice((0, 1, 3)), 0, rng.choice((0.0, 20.0)))
        self._world.apply(ScalingChanged(function.function_id, scaling))

    def _outage(self) -> None:
        self._world.skew += 30.0
        self._world.boot()

    def _part(self) -> None:
        """Let an app stop while a worker with containers of it is away."""
        worker = self._victim()
        if worker is not None:
            self._break(worker)
            self._world.clients.stop_app(cancel=True)
            for _ in range(3):
                self._world.after(11.0, self._world.clients.submit)
            self._world.after(12.0, lambda: self._join(worker))

    def _wait_for_calls(self) -> None:
        """Let inputs in some container wait for calls of their own for a while."""
        worker = self._victim()
        if worker is None or not worker.boxes:
            return
        world = self._world
        container_id = world.rng.choice(list(worker.boxes))
        worker.boxes[container_id].lent = True
        world.apply(ContainerWaits(container_id, world.rng.randint(1, 3)))
        seconds = world.rng.uniform(0.0, 40.0)
        world.after(seconds, lambda: self._end_wait(container_id))

    def _end_wait(self, container_id: str) -> None:
        self._world.apply(ContainerWaits(container_id, 0))

    def _jump(self) -> None:
        self._world.skew += self._world.rng.uniform(-20.0, 20.0)
