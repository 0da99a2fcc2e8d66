"""The services of one server in memory, and a worker without a link."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.support.control_fakes import KnobStore, SettableClock, outside
from tests.support.dispatching import function

from offload.control.core.events import Result, Window, WorkerJoined, WorkerReported
from offload.control.core.inputs import InputState
from offload.control.core.model import (
    CallKind,
    Capacity,
    ContainerReport,
    ContainerState,
    FailureKind,
    WorkerInfo,
)
from offload.control.services.assembly import Services, start
from offload.control.services.submission import NO_OPTIONS, CallOptions, NewCall
from offload.control.services.workers import Report
from offload.wire.gen import apps_pb2

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from offload.control.core.instructions import Task
    from offload.control.core.model import Function
    from offload.control.services.sessions import Batch


BODY = apps_pb2.FunctionDefinition(name="square").SerializeToString()


def a_function(app_id: str = "ap-1", function_id: str = "fu-1", **changes: object) -> Function:
    """Return a small function with changes of its own or of its parts."""
    usual = {"cpu_milli": 100, "memory_mib": 64, "max_containers": 1, "name": "square"}
    return function(
        function_id, **{**usual, "app_id": app_id, "app_name": "", "body": BODY, **changes}
    )


def a_map(call_id: str = "fc-1", **changes: object) -> NewCall:
    """Return a durable map that is complete with its first inputs."""
    options = CallOptions(**changes) if changes else NO_OPTIONS  # type: ignore[arg-type]
    return NewCall(
        call_id,
        "fu-1",
        CallKind.MAP,
        attached=True,
        durable=True,
        closed=True,
        options=options,
    )


def play(scenario: Callable[[Services, KnobStore], Awaitable[None]]) -> None:
    """Run a scenario on the services of a server with one app and one function."""

    async def run() -> None:
        store = KnobStore()
        services = await start(outside(store, SettableClock()))
        try:
            await services.apps.create("app", "ap-1")
            await services.apps.register("ap-1", [a_function()])
            await scenario(services, store)
        finally:
            store.refusal = ""
            store.gate.set()
            await services.close()

    asyncio.run(run())


class Worker:
    """Joins, starts what it is told to, and ends whatever it is given the same way."""

    def __init__(self, services: Services, worker_id: str = "wk-1") -> None:
        self.workers = services.workers
        self.worker_id = worker_id
        self.session = services.workers.join(
            WorkerJoined(WorkerInfo(worker_id, "w", "0", "", Capacity(4000, 4000), {}, ("fake",)))
        )
        self.seq = 0
        self.is_killed_by_inputs = False
        self.given: list[str] = []

    async def report(self, **fields: object) -> None:
        """Send one message."""
        self.seq += 1
        await self.workers.report(
            self.session,
            Report(self.seq, WorkerReported(self.worker_id, **fields)),  # type: ignore[arg-type]
        )

    async def work(self) -> None:
        """Obey until the session ends."""
        while (batch := await self.session.next_batch()) is not None:
            await self.obey(batch)

    async def obey(self, batch: Batch) -> None:
        """Do what one message of the server says."""
        for order in batch.start:
            ready = ContainerReport(order.container_id, order.function_id, ContainerState.READY)
            await self.report(containers=(ready,), windows=(Window(order.function_id, 100),))
        for assigned in batch.assigned:
            self.given += [task.input_id for task, _ in assigned.tasks]
            await self.report(
                results=tuple(self._result(task, payload) for task, payload in assigned.tasks)
            )

    def _result(self, task: Task, payload: bytes) -> Result:
        if self.is_killed_by_inputs:
            return Result(
                task.input_id, task.attempt, InputState.FAILED, FailureKind.SIGNAL, "signal 9"
            )
        return Result(task.input_id, task.attempt, InputState.SUCCEEDED, body=payload)
