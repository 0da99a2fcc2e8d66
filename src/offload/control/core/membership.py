"""Workers that come, go and vanish."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core import promises
from offload.control.core.attempts import give_back_all, lose
from offload.control.core.events import (
    WorkerDisconnected,
    WorkerDraining,
    WorkerJoined,
    WorkerLeft,
)
from offload.control.core.ids import split_input_id
from offload.control.core.inputs import InputState
from offload.control.core.instructions import ForgetWorker, StopContainer
from offload.control.core.ledger import find
from offload.control.core.model import ContainerState
from offload.control.core.reports import take_container_report
from offload.control.core.workers import WorkerEvent, WorkerState

if TYPE_CHECKING:
    from offload.control.core.calls import InputRecord
    from offload.control.core.events import HeldInput
    from offload.control.core.model import ContainerReport
    from offload.control.core.records import Slot, WorkerRecord
    from offload.control.core.state import State

_ENDED_MEANWHILE = "its outcome is recorded already"


def take(
    state: State, event: WorkerJoined | WorkerDisconnected | WorkerDraining | WorkerLeft
) -> None:
    """Take in that a worker came or went; what is said of an unknown one is void."""
    if isinstance(event, WorkerJoined):
        join(state, event)
        return
    worker = state.workers.get(event.worker_id)
    if worker is None:
        return
    match event:
        case WorkerDisconnected():
            disconnect(state, worker)
        case WorkerDraining():
            worker.is_to_drain = True
            worker.drain_reason = event.reason or worker.drain_reason
            state.move_worker(worker, WorkerEvent.DRAINED)
            promises.drop_all(state, worker)
        case WorkerLeft():
            if event.turned_away:
                state.turned_away = f"{worker.info.name} was turned away: {event.turned_away}"
            leave(state, worker)


def join(state: State, event: WorkerJoined) -> None:
    """Welcome a worker, and take what it says it holds for the truth."""
    info = event.worker
    state.turned_away = ""
    worker = state.workers.get(info.worker_id)
    if worker is None:
        worker = state.add_worker(info)
    else:
        state.change_worker(worker, info)
        state.move_worker(worker, WorkerEvent.JOINED)
        if worker.is_to_drain:
            state.move_worker(worker, WorkerEvent.DRAINED)
        elif worker.quarantined_until > state.now and worker.is_online:
            state.move_worker(worker, WorkerEvent.QUARANTINED)
    if not worker.is_online:
        promises.drop_all(state, worker)
    for slot in worker.slots.values():
        slot.window = 0
        state.touch(slot)
    _match_containers(state, worker, event.containers)
    _match_inputs(state, worker, event.held)
    _stop_expecting(state, info.worker_id)


def disconnect(state: State, worker: WorkerRecord) -> None:
    """Give the worker time to come back."""
    if worker.state is WorkerState.OFFLINE:
        return
    state.move_worker(worker, WorkerEvent.DISCONNECTED)
    promises.drop_all(state, worker)
    worker.lost_at = state.now + state.policy.worker_lost_seconds
    state.wake(worker.lost_at, worker)


def leave(state: State, worker: WorkerRecord) -> None:
    """Forget a worker that said goodbye; what it held is given back."""
    for slot in worker.slots.values():
        give_back_all(state, slot.held.values())
    _forget(state, worker)


def lose_if_due(state: State, worker: WorkerRecord) -> None:
    """Forget a worker that did not come back in time; what it held is given back, or lost once too often."""
    worker_id = worker.info.worker_id
    if (
        worker.state is not WorkerState.OFFLINE
        or worker.lost_at > state.now
        or state.workers.get(worker_id) is not worker
    ):
        return
    for slot in worker.slots.values():
        for record in reversed(list(slot.held.values())):
            lose(state, record, worker.info.name)
    _forget(state, worker)


def take_back_stranded(state: State, slot: Slot) -> None:
    """Give back inputs that reached a worker just after the function's last container there had ended."""
    worker = slot.worker
    worker_id = worker.info.worker_id
    is_known = slot.pool.slots.get(worker_id) is slot
    if slot.containers or not is_known or worker.state is WorkerState.OFFLINE:
        return
    for record in slot.held.values():
        state.out.cancel(worker_id, record.input_id, "no container of its function is left here")
    give_back_all(state, slot.held.values())


def end_recovery(state: State) -> None:
    """Decide about everything again: the workers have had their time to say what they hold."""
    if state.is_recovering:
        state.is_recovering = False
        for worker_id in state.expected:
            state.out.order(
                ForgetWorker(worker_id)
            )  # it did not come back: the next restart need not wait for it
        state.expected.clear()
        state.restored_endings.clear()
        for pool in state.pools.values():
            state.touch_pool(pool)


def _stop_expecting(state: State, worker_id: str) -> None:
    # With the last of those that took part before there is nothing to wait for any more.
    if state.expected.pop(worker_id, None) is not None and not state.expected:
        end_recovery(state)


def _forget(state: State, worker: WorkerRecord) -> None:
    worker_id = worker.info.worker_id
    for function_id, slot in worker.slots.items():
        for container in list(slot.containers.values()):
            state.remove_container(container)
        state.touched.pop((function_id, worker_id), None)
        state.touch_pool(slot.pool)
        slot.pool.roomy.put(slot, 0)
        slot.pool.suspects.pop(worker_id, None)
        del slot.pool.slots[worker_id]
    promises.drop_all(state, worker)
    state.remove_worker(worker)
    state.out.order(ForgetWorker(worker_id))


def _match_containers(
    state: State, worker: WorkerRecord, reports: tuple[ContainerReport, ...]
) -> None:
    told = {report.container_id for report in reports}
    for stranger in [one for one in worker.strangers if one not in told]:
        state.note_stranger(worker, stranger, is_there=False)
    for slot in worker.slots.values():
        for missing in sorted(slot.containers.keys() - told):
            state.remove_container(slot.containers[missing])
    for report in reports:
        container = state.containers.get(report.container_id)
        is_up = report.state in {ContainerState.STARTING, ContainerState.READY}
        takes_room = is_up or report.state is ContainerState.STOPPING
        if container is None and takes_room:
            _adopt(state, worker, report)
        elif container is not None and not container.is_live and is_up:
            # The order to stop it may have been lost with the session.
            state.out.order(
                StopContainer(
                    worker.info.worker_id, report.container_id, state.policy.stop_grace_seconds
                )
            )
        take_container_report(state, worker, report)


def _adopt(state: State, worker: WorkerRecord, report: ContainerReport) -> None:
    pool = state.pools.get(report.function_id)
    if pool is None:
        return
    slot = state.slot(pool, worker)
    container = state.add_container(
        report.container_id, slot, ContainerState.STARTING, report.gpu_indices
    )
    state.wake(state.now + 2 * pool.function.startup_timeout_seconds, container)


def _match_inputs(state: State, worker: WorkerRecord, held: tuple[HeldInput, ...]) -> None:
    attempts = {one.input_id: one.attempt for one in held}
    for slot in worker.slots.values():
        gone = [r for r in slot.held.values() if attempts.get(r.input_id) != r.attempts]
        give_back_all(state, gone)
    for one in held:
        record = _find(state, one.input_id)
        if record is not None and record.slot is not None and record.slot.worker is worker:
            continue
        is_waiting = record is not None and record.state is InputState.READY
        is_old = record is not None and (
            one.attempt < record.attempts or one.attempt <= record.over
        )
        if record is None or not is_waiting or is_old:
            state.out.cancel(worker.info.worker_id, one.input_id, _ENDED_MEANWHILE)
            continue
        record.pool.queue.remove(record)
        slot = state.slot(record.pool, worker)
        state.attach(record, slot, one.attempt)
        state.touch(slot)
    for slot in worker.slots.values():
        state.watch(slot)


def _find(state: State, input_id: str) -> InputRecord | None:
    record = state.inputs.get(input_id)
    if record is not None:
        return record
    try:
        call_id, index = split_input_id(input_id)
    except ValueError:
        return None
    call = state.calls.get(call_id)
    return find(state, call, index) if call is not None else None
