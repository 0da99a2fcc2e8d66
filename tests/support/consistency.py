"""Counts everything the dispatcher counts as it goes once more from scratch, and says where the two differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.inputs import InputState
from offload.control.core.model import ContainerState
from offload.control.core.workers import WorkerState

if TYPE_CHECKING:
    from offload.control.core.calls import CallRecord, InputRecord
    from offload.control.core.dispatch import Dispatcher
    from offload.control.core.model import Call
    from offload.control.core.records import Pool, Slot, WorkerRecord, Workspace
    from offload.control.core.state import State

HELD = {InputState.ASSIGNED, InputState.RUNNING}


def check(core: Dispatcher) -> None:
    """Raise `AssertionError` where the dispatcher's memory contradicts itself."""
    state = core._state
    calls = list(state.calls.all())
    in_line = {call.call.call_id for pool in state.pools.values() for call in pool.queue.in_line()}
    for call in calls:
        _check_call(state, call, in_line)
    _same("calls", len(state.calls), len(calls))
    blocked = (len(call.waiting) for call in calls if call.is_blocked)
    due = state.timers.next()
    # An event that is refused leaves what is due to the next one.
    is_due = due is not None and due <= state.now
    overdue = [call.call.call_id for call in calls if 0 < call.call.deadline <= state.now]
    overdue = [] if is_due else overdue
    _same("calls past their deadline", overdue, [])
    _same("blocked_total", state.blocked_total, sum(blocked))
    for pool in state.pools.values():
        _check_pool(state, pool)
    for worker in state.workers.values():
        _check_worker(state, worker)
    for workspace in state.workspaces.values():
        _check_workspace(state, workspace)
    online = [worker.info.capacity for worker in state.workers.values() if worker.is_online]
    _same("total_cpu", state.total_cpu, sum(one.cpu_milli for one in online))
    _same("total_memory", state.total_memory, sum(one.memory_mib for one in online))
    _same("total_gpus", state.total_gpus, sum(len(one.gpus) for one in online))
    held = {c for pool in state.pools.values() for s in pool.slots.values() for c in s.containers}
    _same("containers", set(state.containers), held)
    lends = {
        name: state.waits.get(name, 0) >= max(1, one.running)
        for name, one in state.containers.items()
    }
    _same("lends", {name: one.lends for name, one in state.containers.items()}, lends)
    edges = {(other, call.call.call_id) for call in calls for other in call.blocked_on}
    known = {(other, one) for other, calls in state.dependants.items() for one in calls}
    _same("dependants", known, edges)
    _same("inputs", [i for i, r in state.inputs.items() if r.call.open.get(r.index) is not r], [])
    assert state.is_recovering or not state.dirty, "pools were left undecided"
    assert not state.touched, "slots were left undecided"


def spent(core: Dispatcher) -> dict[tuple[str, int], tuple[int, int, int]]:
    """Return the retries, losses and kills of every unfinished input that has any, by call and index."""
    return {
        (record.call.call.call_id, record.index): (record.failures, record.losses, record.kills)
        for record in core._state.inputs.values()
        if record.failures or record.losses or record.kills
    }


def is_early(core: Dispatcher, call: Call) -> bool:
    """Whether the call's time has not come, by the clock of the dispatcher, which never goes back."""
    return call.not_before > core._state.now


def is_overfull(core: Dispatcher, worker_id: str, function_id: str) -> bool:
    """Whether a worker was given more inputs of a function than it is willing to hold."""
    slot = core._state.pools[function_id].slots[worker_id]
    return len(slot.held) > slot.window


def _check_call(state: State, call: CallRecord, in_line: set[str]) -> None:
    name = call.call.call_id
    assert state.pools.get(call.pool.function.function_id) is call.pool, f"{name}'s pool is gone"
    assert len(call.waiting) + len(call.open) > 0 or not call.closed or call.is_blocked, (
        f"{name} is over"
    )
    assert not call.is_blocked or call.blocked_on or call.is_early, f"{name} is blocked on nothing"
    assert call.seq == sum(call.counts.values()), f"{name} counts its outcomes wrongly"
    assert call.seq + len(call.waiting) + len(call.open) == len(call.known), f"{name} lost inputs"
    for index, record in call.open.items():
        is_held = record.slot is not None and record.slot.held.get(record.input_id) is record
        is_ready = call.front.get(index) is record or record.ticket > 0
        assert (record.state in HELD) == is_held, f"{record.input_id} is {record.state}, not held"
        assert (record.state is InputState.READY) == is_ready, f"{record.input_id} is in no line"
        assert index not in call.waiting, f"{record.input_id} waits twice"
    _same(f"{name}: in line", name in in_line, call.has_ready)


def _check_pool(state: State, pool: Pool) -> None:
    name = pool.function.function_id
    calls = [call for call in state.calls.all() if call.pool is pool]
    resting = [call for call in calls if state.calls.is_resting(call.call.call_id)]
    records = [record for call in calls for record in call.open.values()]
    waiting = sum(len(call.waiting) for call in calls if not call.is_blocked)
    slots = list(pool.slots.values())
    online = [slot for slot in slots if slot.worker.is_online]
    late = sum(record.ticket > 0 for record in records)
    ready = sum(record.state is InputState.READY for record in records)
    _same(f"{name}: size", pool.queue.size, waiting + ready)
    _same(f"{name}: resting", pool.queue.resting, len(resting))
    places = [(call.order, call.number) for call in pool.queue.in_line()]
    _same(f"{name}: line", places, sorted(places))
    _same(f"{name}: late", pool.queue.late, late)
    _same(f"{name}: held", pool.held, sum(record.state in HELD for record in records))
    _same(f"{name}: held by slot", pool.held, sum(len(slot.held) for slot in slots))
    _same(f"{name}: loners", pool.loners, sum(record.alone for record in records))
    _same(f"{name}: away", pool.away, pool.held - sum(len(slot.held) for slot in online))
    if not state.is_recovering:
        _same(f"{name}: wanted", pool.wanted, _wanted(pool, records, online))
    _same(f"{name}: live", pool.live, sum(slot.live for slot in online))
    _same(f"{name}: staffed", name in state.staffed, pool.live > 0)
    _same(f"{name}: calls", pool.open_calls, len(calls))
    attached = [call.call.call_id for call in calls if call.call.attached]
    _same(f"{name}: attached", sorted(pool.attached), sorted(attached))
    _same(f"{name}: roomy", len(pool.roomy), sum(slot.room_bits > 0 for slot in slots))
    for slot in slots:
        _check_slot(slot)


def is_overstaffed(core: Dispatcher, function_id: str) -> bool:
    """Whether a function has more containers than its inputs need."""
    pool = core._state.pools[function_id]
    return pool.live > pool.wanted


def _wanted(pool: Pool, records: list[InputRecord], online: list[Slot]) -> int:
    """Count how many containers the pool should have: one for each input that must be alone, the others share theirs."""
    scaling, each = pool.scaling, pool.function.target_inputs
    inputs = pool.queue.size - pool.queue.late + sum(len(slot.held) for slot in online)
    lonely = min(inputs, sum(record.alone for record in records))
    containers = lonely
    while (containers - lonely) * each < inputs - lonely:
        containers += 1
    least = 0 if pool.is_stopped else scaling.min_containers
    spare = scaling.buffer_containers if inputs and not pool.is_stopped else 0
    containers = max(least, containers + spare)
    return min(containers, scaling.max_containers) if scaling.max_containers else containers


def _check_slot(slot: Slot) -> None:
    name = f"{slot.pool.function.function_id} on {slot.worker.info.worker_id}"
    assert slot.worker.slots.get(slot.pool.function.function_id) is slot, f"{name} is one-sided"
    _same(f"{name}: live", slot.live, sum(c.is_live for c in slot.containers.values()))
    _same(f"{name}: room", slot.room_bits, max(0, slot.room).bit_length())
    for container in slot.containers.values():
        running = sum(record.container is container for record in slot.held.values())
        _same(f"{container.container_id}: running", container.running, running)
        most = slot.pool.function.max_inputs
        assert running <= most, f"{container.container_id} runs {running}, at most {most} at once"


def _check_worker(state: State, worker: WorkerRecord) -> None:
    name, capacity = worker.info.worker_id, worker.info.capacity
    containers = [c for slot in worker.slots.values() for c in slot.containers.values()]
    stopping = [c for c in containers if c.state is ContainerState.STOPPING]
    gpus = [index for c in containers for index in c.gpus]
    cpu = sum(c.taken_cpu for c in containers)
    _same(f"{name}: cpu", worker.free_cpu, capacity.cpu_milli - cpu)
    memory = sum(c.needs.memory_mib for c in containers)
    _same(f"{name}: memory", worker.free_memory, capacity.memory_mib - memory)
    _same(f"{name}: gpus given twice", len(gpus), len(set(gpus)))
    free = [gpu.index for gpu in capacity.gpus if gpu.index not in gpus]
    _same(f"{name}: free gpus", list(worker.free_gpus), free)
    _same(f"{name}: stopping", list(worker.stopping.values()), stopping, in_order=False)
    _same(f"{name}: coming", worker.coming_cpu, sum(c.taken_cpu for c in stopping))
    needs = [promise.pool.function.needs for promise in worker.promises]
    _same(f"{name}: promised", worker.promised_cpu, sum(n.cpu_milli for n in needs))
    _same(f"{name}: promised memory", worker.promised_memory, sum(n.memory_mib for n in needs))
    promised = sorted(index for promise in worker.promises for index in promise.gpus)
    _same(f"{name}: promised gpus", sorted(worker.promised_gpus), promised)
    assert not worker.promises or worker.is_online, f"{name} promises room but is {worker.state}"
    due = state.timers.next() or state.now + 1.0
    is_overdue = worker.quarantined_until <= state.now < due
    is_overdue = is_overdue and worker.state is WorkerState.QUARANTINED
    assert not is_overdue, f"{name} should be out of quarantine"
    assert state.workers.get(name) is worker, f"{name} is forgotten"


def _check_workspace(state: State, workspace: Workspace) -> None:
    pools = [pool for pool in state.pools.values() if pool.workspace is workspace]
    live = [
        container.needs
        for pool in pools
        for slot in pool.slots.values()
        for container in slot.containers.values()
        if container.is_live
    ]
    promised = [pool.function.needs for pool in pools for _ in pool.promises]
    name = workspace.name
    _same(f"{name}: pools", workspace.pools, len(pools))
    _same(f"{name}: containers", workspace.containers, len(live))
    _same(f"{name}: promised", workspace.promised, len(promised))
    _same(f"{name}: cpu", workspace.cpu, sum(n.cpu_milli for n in live + promised))
    _same(f"{name}: memory", workspace.memory, sum(n.memory_mib for n in live + promised))
    _same(f"{name}: gpus", workspace.gpus, sum(n.gpus for n in live + promised))


def _same(what: str, kept: object, counted: object, *, in_order: bool = True) -> None:
    if not in_order and isinstance(kept, list) and isinstance(counted, list):
        kept, counted = {id(one) for one in kept}, {id(one) for one in counted}
    assert kept == counted, f"{what}: kept {kept}, counted {counted}"
