"""The service `Workers`: one long session per worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from offload.control.core.errors import DomainError
from offload.control.core.events import (
    HeldInput,
    Result,
    Returned,
    Started,
    Window,
    WorkerJoined,
    WorkerReported,
)
from offload.control.core.inputs import InputState
from offload.control.core.model import Capacity, ContainerReport, Gpu, WorkerInfo
from offload.control.frontends.rpc.errors import invalid
from offload.control.frontends.rpc.values import (
    CONTAINER_STATE_OF,
    FAILURE_OF,
    STATE_OF,
    STATE_TO_WIRE,
)
from offload.control.services.views import ItemRow, LogRow
from offload.control.services.workers import (
    HEARTBEAT_SECONDS,
    Batch,
    Report,
    Workers,
    WorkerSession,
)
from offload.wire.gen import common_pb2, workers_pb2
from offload.wire.status import LinkClosedError, WireError
from offload.wire.version import PACKAGE_VERSION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from google.protobuf.message import Message

    from offload.control.services.assembly import Services
    from offload.wire.rpc import RequestContext, Shortcut

_REPORTED_STATES = frozenset(
    {InputState.SUCCEEDED, InputState.FAILED, InputState.TIMED_OUT, InputState.CANCELLED}
)


class WorkersHandlers:
    """Translates for the services."""

    def __init__(self, services: Services) -> None:
        self._workers = services.workers

    async def session(
        self, requests: AsyncIterator[workers_pb2.WorkerMessage], context: RequestContext
    ) -> AsyncIterator[workers_pb2.ServerMessage]:
        """See `Workers.Session`."""
        first = await anext(aiter(requests), None)
        if first is None or not first.hello.worker_id:
            raise invalid("A worker's first message must be its Hello with a worker_id.")
        session = self._workers.join(_joined(first.hello), context.peer)
        if context.shortcut is not None:
            self._cut_short(session, context.shortcut)
        reading = asyncio.create_task(_read(requests, first, session, self._workers))
        reading.add_done_callback(lambda _: session.close())
        failure = ""
        try:
            yield workers_pb2.ServerMessage(
                welcome=workers_pb2.Welcome(
                    server_version=PACKAGE_VERSION, heartbeat_seconds=HEARTBEAT_SECONDS
                )
            )
            while (batch := await session.next_batch()) is not None:
                yield _message(batch)
            if reading.done():
                reading.result()
        except LinkClosedError:
            raise
        except Exception as error:
            failure = _why_failed(error)
            raise
        finally:
            ended_well = reading.done() and not reading.cancelled() and reading.exception() is None
            reading.cancel()
            self._workers.leave(session, said_goodbye=ended_well, failure=failure)

    def _cut_short(self, session: WorkerSession, shortcut: Shortcut) -> None:
        def take(message: Message) -> bool:
            # Only the task can wait for room, and so hold the worker back.
            if not self._workers.has_room:
                return False
            report = _report(cast("workers_pb2.WorkerMessage", message), session.worker_id)
            self._workers.take(session, report)
            return True

        shortcut.intercept(take)
        session.offer_to(lambda batch: shortcut.offer(_message(batch)))


async def _read(
    requests: AsyncIterator[workers_pb2.WorkerMessage],
    first: workers_pb2.WorkerMessage,
    session: WorkerSession,
    workers: Workers,
) -> None:
    await workers.report(session, _report(first, session.worker_id))
    async for message in requests:
        await workers.report(session, _report(message, session.worker_id))


def _why_failed(error: Exception) -> str:
    if isinstance(error, DomainError | WireError):
        return error.message
    return f"a bug of the server, whose log has the details ({type(error).__name__}: {error})"


def _joined(hello: workers_pb2.Hello) -> WorkerJoined:
    return WorkerJoined(
        WorkerInfo(
            hello.worker_id,
            hello.name,
            hello.version,
            hello.host_id,
            Capacity(
                hello.capacity.cpu_milli,
                hello.capacity.memory_mib,
                tuple(Gpu(gpu.index, gpu.kind) for gpu in hello.capacity.gpus),
            ),
            dict(hello.labels),
            tuple(hello.runtimes),
            {each.runtime: tuple(each.abilities) for each in hello.abilities},
            tuple(hello.notes),
        ),
        tuple(HeldInput(held.input_id, held.attempt, held.function_id) for held in hello.held),
        _containers(hello.containers),
    )


def _report(message: workers_pb2.WorkerMessage, worker_id: str) -> Report:
    results = tuple(map(_result, message.results))
    if results and len(message.ListFields()) == 2:
        # Nearly every message is a number and results.
        return Report(message.seq, WorkerReported(worker_id, (), (), (), results, ()))
    event = WorkerReported(
        worker_id,
        tuple(Window(window.function_id, window.inputs) for window in message.windows),
        _containers(message.containers),
        tuple(Started(s.input_id, s.attempt, s.container_id) for s in message.started),
        results,
        tuple(Returned(r.input_id, r.attempt, r.reason, r.retry_alone) for r in message.returned),
    )
    is_event = event.windows or event.containers or event.started or event.results or event.returned
    return Report(
        message.seq,
        event if is_event else None,
        [(_item_row(item), item.attempt) for item in message.items],
        list(map(_log_row, message.logs)),
        message.draining,
    )


def _item_row(item: workers_pb2.InputItem) -> ItemRow:
    value = item.value
    return ItemRow(item.input_id, item.seq, value.SerializeToString(), value.blob.sha256)


def _result(result: workers_pb2.InputResult) -> Result:
    outcome = result.outcome
    state = STATE_OF.get(outcome.state)
    if state not in _REPORTED_STATES or state is None:
        raise invalid(f"Input {result.input_id} cannot end in state {outcome.state}.")
    body = outcome.SerializeToString()
    if state is InputState.SUCCEEDED:
        blob = outcome.value.blob.sha256
        return Result(result.input_id, result.attempt, state, None, "", body, blob)
    failure = outcome.failure
    kind = FAILURE_OF.get(failure.kind)
    blob = failure.exception.blob.sha256
    return Result(result.input_id, result.attempt, state, kind, failure.reason, body, blob)


def _containers(
    reports: Iterable[workers_pb2.ContainerReport],
) -> tuple[ContainerReport, ...]:
    return tuple(map(_container, reports))


def _container(report: workers_pb2.ContainerReport) -> ContainerReport:
    state = CONTAINER_STATE_OF.get(report.state)
    if state is None:
        raise invalid(f"Container {report.container_id} is reported in no known state.")
    body = b""
    if report.HasField("failure"):
        # Inputs that fail with their container get this as their outcome.
        body = common_pb2.Outcome(
            state=STATE_TO_WIRE[InputState.FAILED], failure=report.failure
        ).SerializeToString()
    return ContainerReport(
        report.container_id,
        report.function_id,
        state,
        report.inputs_in_hand,
        report.failure.reason,
        body,
        tuple(report.gpu_indices),
        bool(report.failure.type_name),
        report.hopeless,
        report.progress,
    )


def _log_row(line: common_pb2.LogLine) -> LogRow:
    return LogRow(
        0,
        line.at,
        line.app_id,
        line.call_id,
        line.input_id,
        line.container_id,
        line.function_name,
        line.stream,
        line.text,
    )


def _message(batch: Batch) -> workers_pb2.ServerMessage:
    message = workers_pb2.ServerMessage(
        recorded_seq=batch.recorded_seq,
        forget_functions=batch.forget,
        shut_down=batch.shut_down,
        drain=batch.drain,
        bring_blobs=batch.bring,
    )
    for body in batch.functions:
        message.functions.add().ParseFromString(body)
    for start in batch.start:
        message.start.add(
            container_id=start.container_id,
            function_id=start.function_id,
            gpu_indices=start.gpu_indices,
        )
    for stop in batch.stop:
        message.stop.add(container_id=stop.container_id, grace_seconds=stop.grace_seconds)
    for assigned in batch.assigned:
        inputs = message.assignments.add(function_id=assigned.function_id).inputs
        for task, payload in assigned.tasks:
            added = inputs.add(input_id=task.input_id, attempt=task.attempt, alone=task.alone)
            added.args.ParseFromString(payload)
    for session_id, container_id in batch.consoles:
        message.consoles.add(session_id=session_id, container_id=container_id)
    for input_id, reason in batch.cancels:
        message.cancels.add(input_id=input_id, reason=reason)
    return message
