"""How many containers each pool has: more at once when it is short, fewer once they were idle for long enough."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from offload.control.core import promises
from offload.control.core.autoscale import wanted_containers
from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import ScalingChanged
from offload.control.core.instructions import ForgetFunction, StopContainer
from offload.control.core.model import ContainerState
from offload.control.core.records import NEVER
from offload.control.core.workers import WorkerState

if TYPE_CHECKING:
    from offload.control.core.events import ContainerUnwanted
    from offload.control.core.records import ContainerRecord, Pool, Slot
    from offload.control.core.state import State


def wanted(pool: Pool) -> int:
    """Return how many containers the pool should have on online workers."""
    scaling = pool.scaling
    if pool.is_stopped:
        scaling = replace(scaling, min_containers=0, buffer_containers=0)
    inputs = pool.queue.size - pool.queue.late + pool.held - pool.away
    each = pool.function.target_inputs
    return wanted_containers(inputs, scaling, each, min(pool.loners, inputs))


def surplus(pool: Pool) -> int:
    """Return how many containers the pool has beyond what it wants right now."""
    return pool.live - pool.wanted


def shortage(state: State, pool: Pool) -> int:
    """Return how many containers to start now; after a failed start one at a time, and not before its delay is over."""
    short = pool.wanted - pool.live
    breaker = pool.breaker
    if short <= 0 or breaker.is_closed:
        return short
    if state.now < breaker.retry_at or count_containers(pool, ContainerState.STARTING):
        return 0
    return 1


def count_containers(pool: Pool, container_state: ContainerState) -> int:
    """Count the pool's containers in that state on online workers."""
    return sum(
        container.state is container_state
        for slot in pool.slots.values()
        if slot.worker.is_online
        for container in slot.containers.values()
    )


def resize(state: State, pool: Pool) -> None:
    """Note whether the pool is short of containers; stop those it has not needed for its scaledown window."""
    function_id = pool.function.function_id
    want = pool.wanted = wanted(pool)
    peak = pool.peak.see(min(want, pool.live), state.now)
    spare_before, pool.spare = pool.spare, max(0, pool.live - want)
    if want > pool.live:
        _seek(state, pool)
        return
    pool.waits_since = NEVER
    state.starving.pop(function_id, None)
    promises.drop_spare(state, pool, 0)
    if pool.live > peak:
        _stop_quiet(state, pool, pool.live - peak)
    if pool.live > want:
        falls_at = pool.peak.falls_at()
        if falls_at is not None and falls_at > state.now:
            state.wake(falls_at, pool)
        if pool.spare > spare_before and state.starving:
            state.look_for_givers()


def _seek(state: State, pool: Pool) -> None:
    """Have containers sought for a pool that has too few, unless it must not try to start one now."""
    pool.waits_since = min(pool.waits_since, state.now)
    function_id = pool.function.function_id
    short = shortage(state, pool)
    promises.drop_spare(state, pool, short)
    if short <= 0:
        state.starving.pop(function_id, None)
        if pool.breaker.retry_at > state.now:
            state.wake(pool.breaker.retry_at, pool)
        return
    first = pool.queue.first()
    priority = first.call.priority if first is not None else 0
    if function_id not in state.starving or priority > pool.sought_priority:
        pool.sought_priority = priority
        state.starving[function_id] = pool
        state.look_for_givers()


def take(state: State, event: ScalingChanged | ContainerUnwanted) -> None:
    """Take in what a person wants of a function's containers."""
    if isinstance(event, ScalingChanged):
        change(state, event)
    else:
        end(state, event)


def change(state: State, event: ScalingChanged) -> None:
    """Give a function other bounds."""
    pool = state.pools.get(event.function_id)
    if pool is not None:
        pool.scaling = event.scaling
        pool.peak.resize(event.scaling.scaledown_window_seconds)
        state.touch_pool(pool)


def retire(state: State, slot: Slot) -> None:
    """Stop what a worker that takes nothing new has idle."""
    if slot.worker.state is WorkerState.DRAINING and not slot.held:
        _stop_all(state, slot)


def close_if_over(state: State, pool: Pool) -> None:
    """End the pool of a stopped app once nothing of it is left to run, and one on demand once it has no containers either."""
    if pool.open_calls or not (pool.is_stopped or pool.function.is_on_demand):
        return
    if state.now < pool.kept_until:
        state.wake(pool.kept_until, pool)
        return
    promises.drop_spare(state, pool, 0)
    for slot in pool.slots.values() if pool.is_stopped else ():
        _stop_all(state, slot)
    if any(slot.containers for slot in pool.slots.values()):
        return
    function_id = pool.function.function_id
    for worker_id, slot in pool.slots.items():
        del slot.worker.slots[function_id]
        state.touched.pop((function_id, worker_id), None)
        state.out.order(ForgetFunction(worker_id, function_id))
    pool.slots.clear()
    state.remove_pool(pool)


def _stop_quiet(state: State, pool: Pool, count: int) -> None:
    # A container of many inputs may never be idle, however few come: it takes no more and ends with those it has.
    drains = pool.function.max_inputs > 1
    quiet = [
        container
        for slot in pool.slots.values()
        if slot.worker.is_online
        for container in slot.containers.values()
        if container.is_live and (drains or container.running == 0)
    ]
    quiet.sort(key=lambda c: (c.running, len(c.slot.held), -c.started_at))
    for container in quiet[:count]:
        stop(state, container)


def stop(state: State, container: ContainerRecord) -> None:
    """Have a container end; where it may have an input in hand, that gets all the time it may take."""
    is_idle = not container.slot.held
    timeout_seconds = container.slot.pool.function.timeout_seconds
    state.stop_container(container, state.policy.stop_grace_seconds if is_idle else timeout_seconds)


def end(state: State, event: ContainerUnwanted) -> None:
    """Have one container end because a person wants that; what it leaves to do others do."""
    container = state.containers.get(event.container_id)
    if container is None:
        raise DomainError(ErrorCode.NOT_FOUND, f"There is no container {event.container_id!r}.")
    if container.is_live:
        if event.now:
            state.stop_container(container, 0.0)
        else:
            stop(state, container)
        state.touch_pool(container.slot.pool)
    elif event.now:
        worker_id = container.slot.worker.info.worker_id
        state.out.order(StopContainer(worker_id, container.container_id, 0.0))


def _stop_all(state: State, slot: Slot) -> None:
    for container in list(slot.containers.values()):
        if container.is_live:
            stop(state, container)
