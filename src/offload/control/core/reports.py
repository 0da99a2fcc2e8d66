"""What workers say while they work."""

from __future__ import annotations

from offload.control.core.autoscale import start_delay_seconds
from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import Returned, Started, Window, WorkerReported
from offload.control.core.inputs import InputEvent, InputState
from offload.control.core.instructions import StopContainer
from offload.control.core.ledger import fail_waiting, give_back, lose, take_result
from offload.control.core.model import ContainerReport, ContainerState
from offload.control.core.records import ContainerRecord, InputRecord, Pool, WorkerRecord
from offload.control.core.scaling import count_containers
from offload.control.core.state import State

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
        if report.state not in _ENDED and report.state is not ContainerState.STOPPING:
            # It was given up, or its function is gone: nothing would ever be sent to it.
            state.out.order(
                StopContainer(
                    worker.info.worker_id, report.container_id, state.policy.stop_grace_seconds
                )
            )
        return
    pool = container.slot.pool
    state.replan = True
    state.touch(container.slot)
    if report.state in _ENDED:
        was_starting = container.state is ContainerState.STARTING
        state.remove_container(container)
        if report.state is ContainerState.FAILED or (
            was_starting and report.state is ContainerState.DIED
        ):
            _count_failed_start(state, pool, container, report.reason, report.body)
    elif report.state is ContainerState.STOPPING:
        if container.is_live:
            state.mark_stopping(container)
    elif report.state is ContainerState.READY and container.is_live:
        container.state = ContainerState.READY
        pool.start_failures = 0


def give_up_starting(state: State, container: ContainerRecord) -> None:
    """Take a container that never said a word for gone."""
    if (
        container.state is not ContainerState.STARTING
        or state.containers.get(container.container_id) is not container
    ):
        return
    pool = container.slot.pool
    limit_seconds = pool.function.startup_timeout_seconds
    state.stop_container(container, state.policy.stop_grace_seconds)
    state.remove_container(container)
    reason = f"the worker did not say within {2 * limit_seconds:g} s that the container was ready"
    _count_failed_start(state, pool, container, reason, b"")


def _count_failed_start(
    state: State, pool: Pool, container: ContainerRecord, reason: str, body: bytes
) -> None:
    state.touch_pool(pool)
    if pool.start_failures and container.started_at < pool.start_failed_at:
        return  # started side by side with one that failed before: the same failure seen twice
    pool.start_failures += 1
    pool.start_failed_at = state.now
    pool.retry_start_at = state.now + start_delay_seconds(pool.start_failures)
    pool.start_reason = reason or "no reason was given"
    pool.start_body = body
    is_hopeless = pool.start_failures >= state.policy.max_start_failures
    if is_hopeless and not count_containers(pool, ContainerState.READY) and pool.queue.size:
        fail_waiting(state, pool, pool.start_reason, body)
        pool.start_failures = 0
        pool.retry_start_at = 0.0


def _take_window(state: State, worker: WorkerRecord, window: Window) -> None:
    pool = state.pools.get(window.function_id)
    if pool is not None:
        slot = state.slot(pool, worker)
        slot.window = window.inputs
        state.touch(slot)


def _take_started(state: State, worker: WorkerRecord, started: Started) -> None:
    record = _current(state, worker, started.input_id, started.attempt)
    if record is None or record.state is not InputState.ASSIGNED:
        return
    record.move(InputEvent.STARTED)
    record.since = state.now
    record.container = state.containers.get(started.container_id)
    if record.container is not None:
        record.container.running += 1


def _take_back(state: State, record: InputRecord, returned: Returned) -> None:
    if returned.retry_alone and record.alone:
        # It was alone with its container and still nobody can say how that one died: it must not go on for ever.
        lose(state, record, f"its container died with it again and again: {returned.reason}")
        return
    record.alone = record.alone or returned.retry_alone
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
