"""What workers say while they work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.attempts import give_back, give_back_alone, take_result
from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import Result
from offload.control.core.inputs import InputEvent, InputState
from offload.control.core.instructions import StopContainer
from offload.control.core.model import ContainerState
from offload.control.core.starts import take_failed_start, take_start

if TYPE_CHECKING:
    from offload.control.core.calls import InputRecord
    from offload.control.core.events import Returned, Started, Window, WorkerReported
    from offload.control.core.model import ContainerReport
    from offload.control.core.records import ContainerRecord, WorkerRecord
    from offload.control.core.state import State
    from offload.control.core.waiters import Overdue

_ENDED = frozenset({ContainerState.STOPPED, ContainerState.FAILED, ContainerState.DIED})


def take_report(state: State, event: WorkerReported) -> None:
    """Take in one message of a worker."""
    worker = state.workers.get(event.worker_id)
    if worker is None:
        raise DomainError(
            ErrorCode.FAILED_PRECONDITION,
            f"Worker {event.worker_id} is not known here: it must say hello first.",
        )
    for window in event.windows:
        _take_window(state, worker, window)
    for report in event.containers:
        take_container_report(state, worker, report)
    for started in event.started:
        _take_started(state, worker, started)
    for result in event.results:
        record = _current(state, worker, result.input_id, result.attempt)
        if record is not None:
            take_result(state, record, result)
    for returned in reversed(event.returned):
        record = _current(state, worker, returned.input_id, returned.attempt)
        if record is not None:
            _take_back(state, record, returned)


def take_container_report(state: State, worker: WorkerRecord, report: ContainerReport) -> None:
    """Follow one container's life."""
    container = state.containers.get(report.container_id)
    if container is None or container.slot.worker is not worker:
        state.note_stranger(worker, report.container_id, is_there=report.state not in _ENDED)
        if report.state not in _ENDED:
            # It was given up, or its function is gone: nothing would ever be sent to it.
            state.out.order(
                StopContainer(
                    worker.info.worker_id, report.container_id, state.policy.stop_grace_seconds
                )
            )
        return
    state.touch(container.slot)
    if report.state in _ENDED:
        _take_end(state, container, report)
    elif report.state is ContainerState.STOPPING:
        if container.is_live:
            state.mark_stopping(container)
            state.replan = True
    elif report.state is ContainerState.STARTING:
        if container.progress or report.progress:
            container.prepared_at = state.now
        container.progress = report.progress
    elif report.state is ContainerState.READY and container.is_live:
        if container.state is not ContainerState.READY:
            container.state = ContainerState.READY
            container.ready_at = state.now
        take_start(state, container)


def end_overdue(state: State, waiter: Overdue) -> None:
    """End attempts that are past their timeout by more than their worker may take to say so."""
    slot = waiter.slot
    if slot.overdue_at != waiter.at:
        return
    slot.overdue_at = None
    timeout_seconds = slot.pool.function.timeout_seconds
    patience = timeout_seconds + state.policy.overdue_seconds
    running = [record for record in slot.held.values() if record.state is InputState.RUNNING]
    for record in running:
        if record.since + patience > state.now:
            state.watch_timeouts(slot, record.since + patience)
            continue
        reason = (
            f"ran longer than its timeout of {timeout_seconds:g} s, and its worker did not end it"
        )
        state.out.cancel(slot.worker.info.worker_id, record.input_id, reason)
        container = record.container
        take_result(
            state,
            record,
            Result(record.input_id, record.attempts, InputState.TIMED_OUT, reason=reason),
        )
        if container is not None and container.is_live:
            state.stop_container(container, 0.0)


def _take_end(state: State, container: ContainerRecord, report: ContainerReport) -> None:
    # What was told to stop has not failed, however it ended.
    was_starting = container.state is ContainerState.STARTING
    was_live = container.is_live
    state.remove_container(container)
    has_failed = was_live and report.state is ContainerState.FAILED
    if has_failed or (was_starting and report.state is ContainerState.DIED):
        take_failed_start(state, container, report)


def _take_window(state: State, worker: WorkerRecord, window: Window) -> None:
    pool = state.pools.get(window.function_id)
    if pool is not None:
        slot = state.slot(pool, worker)
        slot.window = window.inputs
        state.touch(slot)


def _take_started(state: State, worker: WorkerRecord, started: Started) -> None:
    record = _current(state, worker, started.input_id, started.attempt)
    if record is None or record.state is not InputState.ASSIGNED or record.slot is None:
        return
    record.move(InputEvent.STARTED)
    record.since = state.now
    record.container = record.slot.containers.get(started.container_id)
    if record.container is not None:
        state.count_running(record.container, 1)
    patience = record.pool.function.timeout_seconds + state.policy.overdue_seconds
    state.watch_timeouts(record.slot, state.now + patience)


def _take_back(state: State, record: InputRecord, returned: Returned) -> None:
    if returned.retry_alone:
        give_back_alone(state, record, returned.reason)
    else:
        give_back(state, record)


def _current(state: State, worker: WorkerRecord, input_id: str, attempt: int) -> InputRecord | None:
    """Return the input if it is this worker's at this attempt; whatever else is said of it came too late."""
    record = state.inputs.get(input_id)
    if (
        record is None
        or record.attempts != attempt
        or record.slot is None
        or record.slot.worker is not worker
    ):
        return None
    return record
