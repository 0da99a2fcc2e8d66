"""Containers that could not start: whose fault it is, when to try again, and which worker to leave alone for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core import promises
from offload.control.core.breaker import BreakerEvent
from offload.control.core.calls import Ended
from offload.control.core.feasibility import is_feasible
from offload.control.core.inputs import InputEvent
from offload.control.core.ledger import fail_ready
from offload.control.core.model import ContainerReport, ContainerState, FailureKind
from offload.control.core.scaling import count_containers
from offload.control.core.workers import WorkerEvent, WorkerState

if TYPE_CHECKING:
    from offload.control.core.records import ContainerRecord, Pool, WorkerRecord
    from offload.control.core.state import State

MAX_QUARANTINE_SECONDS = 600.0


def take_start(state: State, container: ContainerRecord) -> None:
    """Take note that a container started: its function and its worker are well."""
    slot = container.slot
    if not slot.pool.breaker.is_closed:
        slot.pool.breaker.close(BreakerEvent.STARTED)
        state.touch_pool(slot.pool)
    slot.pool.suspects.pop(slot.worker.info.worker_id, None)
    slot.worker.strikes.clear()
    slot.worker.quarantines = 0


def take_failed_start(state: State, container: ContainerRecord, report: ContainerReport) -> None:
    """Take note that a container could not start."""
    slot = container.slot
    pool, worker = slot.pool, slot.worker
    state.touch_pool(pool)
    pool.suspects[worker.info.worker_id] = None
    if not report.blames_function and _strike(state, worker, pool, report.reason):
        return
    breaker = pool.breaker
    if not breaker.is_closed and container.started_at <= breaker.failed_at:
        return  # started side by side with one that failed before: the same failure seen twice
    limit = 1 if report.is_hopeless else state.policy.max_start_failures
    gives_up = breaker.fail(state.now, limit, report.reason, report.body)
    breaker.blames_function = report.blames_function
    if gives_up and not count_containers(pool, ContainerState.READY) and pool.queue.size:
        ended = Ended(InputEvent.FAILED, FailureKind.START, breaker.reason, breaker.body)
        fail_ready(state, pool, ended)


def give_up_starting(state: State, container: ContainerRecord) -> None:
    """Take a container that never said a word for failed; its room is free once its worker says that it ended."""
    if container.state is not ContainerState.STARTING:
        return  # its worker was given up in the same moment
    function = container.slot.pool.function
    # What is done before the start, as building an image, may take as long as it does.
    patience = 2 * function.startup_timeout_seconds
    since = state.now if container.progress else container.prepared_at
    if since + patience > state.now:
        state.wake(since + patience, container)
        return
    state.stop_container(container, state.policy.stop_grace_seconds)
    reason = f"the worker did not say within {patience:g} s that the container was ready"
    report = ContainerReport(
        container.container_id, function.function_id, ContainerState.FAILED, reason=reason
    )
    take_failed_start(state, container, report)


def release_if_due(state: State, worker: WorkerRecord) -> None:
    """Let a quarantined worker try again once its time is over: the next failed start sends it back for longer."""
    if worker.state is WorkerState.QUARANTINED and worker.quarantined_until <= state.now:
        state.move_worker(worker, WorkerEvent.RELEASED)


def _strike(state: State, worker: WorkerRecord, pool: Pool, reason: str) -> bool:
    """Count a failed start against the worker; return whether that sends it into quarantine.

    One function alone says nothing about a worker, unless it starts elsewhere.
    """
    strikes = worker.strikes
    function_id = pool.function.function_id
    strikes[function_id] = strikes.get(function_id, 0) + 1
    worker.strike_reason = reason
    is_on_probation = worker.quarantines > 0
    is_well_elsewhere = any(
        container.state is ContainerState.READY
        for slot in pool.slots.values()
        if slot.worker is not worker
        for container in slot.containers.values()
    )
    is_suspect = len(strikes) > 1 or is_well_elsewhere or is_on_probation
    is_enough = is_on_probation or sum(strikes.values()) >= state.policy.quarantine_strikes
    if not (is_suspect and is_enough) or not worker.is_online:
        return False
    _quarantine(state, worker)
    return True


def _quarantine(state: State, worker: WorkerRecord) -> None:
    policy = state.policy
    seconds = min(MAX_QUARANTINE_SECONDS, policy.quarantine_seconds * 2.0**worker.quarantines)
    worker.quarantines = min(worker.quarantines + 1, 16)
    worker.quarantined_until = state.now + seconds
    state.wake(worker.quarantined_until, worker)
    state.move_worker(worker, WorkerEvent.QUARANTINED)
    promises.drop_all(state, worker)
    # What failed here was not its functions' fault: they may start elsewhere at once.
    for function_id in worker.strikes:
        pool = state.pools.get(function_id)
        if pool is None:
            continue
        if any(is_feasible(other, pool.function.needs) for other in state.workers.values()):
            pool.breaker.close(BreakerEvent.FORGIVEN)
        state.touch_pool(pool)
    worker.strikes.clear()
