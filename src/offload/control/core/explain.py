"""Why something waits, in plain words. Nothing waits without a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.feasibility import (
    count_gpus,
    is_feasible,
    is_offered,
    missing_abilities,
    runtime_for,
)
from offload.control.core.model import ContainerState
from offload.control.core.scaling import count_containers
from offload.control.core.workers import WorkerState
from offload.wire.abilities import ALLOW_LIST, BLOCK_NETWORK, CPU_LIMIT, EPHEMERAL_DISK

if TYPE_CHECKING:
    from offload.control.core.calls import CallRecord, InputRecord
    from offload.control.core.model import Needs
    from offload.control.core.records import Pool, WorkerRecord
    from offload.control.core.state import State


# As the user wrote what a runtime must be able to do.
_ABILITIES = {
    CPU_LIMIT: "limit of cpu=(request, limit)",
    EPHEMERAL_DISK: "ephemeral_disk=",
    BLOCK_NETWORK: "block_network=True",
    ALLOW_LIST: "outbound allow-list",
}


def why_input_waits(
    state: State, pool: Pool, record: InputRecord | None, before: int | None = None
) -> str:
    """Say why a ready input is not assigned; `record` is None for one that was never handed out.

    `before` is how many of its function come first, where known.
    """
    if record is not None and record.retry_at:
        retries = pool.function.retries.max_retries
        left = max(0.0, record.retry_at - state.now)
        return f"retry {record.failures} of {retries} in {left:.3g} s"
    reason = _why_none_serves(state, pool)
    if reason:
        return reason
    others = pool.queue.size - 1
    more = _why_no_more(state, pool)
    if before == 0 or not others:
        return f"waiting for its turn: it is the next of this function{more}"
    if before is None:
        return f"waiting for its turn: {_count(others, 'other input')} of this function {_wait(others)} too{more}"
    return f"waiting for its turn: {_count(before, 'input')} of this function {_are(before)} before it{more}"


def why_call_waits(state: State, call: CallRecord) -> str:
    """Say which calls or what time the call waits for; empty where it waits for none."""
    if call.is_early:
        left = max(0.0, call.call.not_before - state.now)
        return f"not to begin before its time, in {left:.3g} s"
    if not call.blocked_on:
        return ""
    first = next(iter(call.blocked_on))
    others = len(call.blocked_on) - 1
    also = f" and {_count(others, 'other call')}" if others else ""
    return f"blocked until {first}{also} ended"


def why_pool_waits(state: State, pool: Pool) -> str:
    """Say why the pool's backlog is not assigned; empty where there is none."""
    if not pool.queue.size:
        return ""
    reason = _why_none_serves(state, pool)
    if reason:
        return reason
    if pool.queue.first() is None:
        next_retry = min(pool.queue.delayed(), key=lambda record: record.retry_at)
        return why_input_waits(state, pool, next_retry)
    ready = count_containers(pool, ContainerState.READY)
    inputs, containers = _count(pool.queue.size, "input"), _count(ready, "container")
    return f"waiting for its turn: {inputs} for {containers}{_why_no_more(state, pool)}"


def why_none_is_ready(state: State, pool: Pool) -> str:
    """Say why the pool has no container that is ready; empty where it has one."""
    return _why_none_serves(state, pool)


def why_worker_waits(state: State, worker: WorkerRecord) -> str:
    """Say why the worker takes nothing new; empty while it does."""
    match worker.state:
        case WorkerState.QUARANTINED:
            left = max(0.0, worker.quarantined_until - state.now)
            return f"containers could not start on it: {worker.strike_reason}; trying again in {left:.3g} s"
        case WorkerState.DRAINING:
            return worker.drain_reason or "it is draining"
        case WorkerState.OFFLINE:
            left = max(0.0, worker.lost_at - state.now)
            return f"it lost the connection; given up in {left:.3g} s"
        case _:
            return ""


def _why_none_serves(state: State, pool: Pool) -> str:
    """Say why no container serves the pool; empty where one does."""
    if state.is_recovering:
        return _why_recovering(state)
    if count_containers(pool, ContainerState.READY):
        return ""
    impossible = why_impossible(state, pool.function.needs)
    if impossible:
        return impossible
    if not pool.breaker.is_closed:
        return _why_not_started(state, pool)
    starting = count_containers(pool, ContainerState.STARTING)
    if not starting:
        return _why_no_room(state, pool)
    return _what_is_prepared(pool) or f"waiting for a container: {starting} starting"


def _what_is_prepared(pool: Pool) -> str:
    """Say what the pool's containers need before they can start, as the one says that is likely the furthest."""
    for slot in pool.slots.values():
        for container in slot.containers.values():
            if container.progress:
                return container.progress
    return ""


def _why_no_more(state: State, pool: Pool) -> str:
    """Say why a pool that containers serve gets no further one; empty where it needs none."""
    starting = count_containers(pool, ContainerState.STARTING)
    if starting:
        return f"; {_count(starting, 'more container')} starting"
    if pool.scaling.max_containers and pool.live >= pool.scaling.max_containers:
        return f"; max_containers is {pool.scaling.max_containers}"
    if pool.wanted <= pool.live or why_impossible(state, pool.function.needs):
        return ""
    if not pool.breaker.is_closed:
        return f"; no further container yet: {_why_not_started(state, pool)}"
    return f"; no further container: {_why_no_room(state, pool).removeprefix('waiting for room: ')}"


def _why_recovering(state: State) -> str:
    left = max(0.0, state.recover_until - state.now)
    names = list(state.expected.values())
    who = names[0] if len(names) == 1 else f"{len(names)} workers" if names else "workers"
    return f"the server has just started: waiting {left:.3g} s for {who} to come back"


def why_impossible(state: State, needs: Needs) -> str:
    """Say why no worker that is here could ever run such containers; empty where one could."""
    online = [worker for worker in state.workers.values() if worker.is_online]
    if not online:
        return _why_no_worker(state)
    on_host = [w for w in online if not needs.host_id or w.info.host_id == needs.host_id]
    if not on_host:
        return f"no worker on the caller's machine (host {_short(needs.host_id)})"
    offered = [w for w in on_host if is_offered(w, needs)]
    if not offered:
        return _why_not_offered(on_host, needs)
    if any(is_feasible(w, needs) for w in offered):
        return ""
    return "no worker can ever run it: " + _what_is_too_large(offered, needs)


def _why_no_worker(state: State) -> str:
    states = [worker.state for worker in state.workers.values()]
    if not states:
        return "no worker is connected" + (f": {state.turned_away}" if state.turned_away else "")
    words = {
        WorkerState.DRAINING: "draining",
        WorkerState.QUARANTINED: "in quarantine",
        WorkerState.OFFLINE: "lost the connection",
    }
    parts = [f"{states.count(s)} {word}" for s, word in words.items() if s in states]
    if states.count(WorkerState.OFFLINE) == len(states):
        return f"no worker is connected: {_count(len(states), 'worker')} lost the connection"
    return f"no worker takes new work: {', '.join(parts)}"


def _why_not_offered(workers: list[WorkerRecord], needs: Needs) -> str:
    if needs.runtime and not any(needs.runtime in w.info.runtimes for w in workers):
        return f"no worker offers runtime {needs.runtime}"
    with_runtime = [w for w in workers if not needs.runtime or needs.runtime in w.info.runtimes]
    missing = [missing_abilities(w, needs) for w in with_runtime]
    if all(missing):
        runtimes = ", ".join(dict.fromkeys(runtime_for(w, needs) for w in with_runtime))
        return (
            f"no worker's runtime ({runtimes}) can hold containers to their {_abilities(missing[0])}; "
            "`offload worker doctor` on the worker's machine says what is missing"
        )
    labels = ", ".join(f"{key}={value}" for key, value in needs.labels)
    also = f" with runtime {needs.runtime}" if needs.runtime else ""
    return f"no worker{also} has the labels {labels}"


def _what_is_too_large(workers: list[WorkerRecord], needs: Needs) -> str:
    most_cpu = max(worker.info.capacity.cpu_milli for worker in workers)
    most_memory = max(worker.info.capacity.memory_mib for worker in workers)
    most_gpus = max(count_gpus(worker, needs) for worker in workers)
    if needs.cpu_milli > most_cpu:
        return f"needs {_cpus(needs.cpu_milli)}, the largest worker has {most_cpu / 1000:g}"
    if needs.memory_mib > most_memory:
        return f"needs {_memory(needs)}, the largest worker has {most_memory}"
    if needs.gpus > most_gpus:
        kind = f" {needs.gpu_kind}" if needs.gpu_kind else ""
        have = f"no worker has more than {most_gpus}" if most_gpus else "no worker has one"
        return f"needs {needs.gpus}{kind} gpu{'s' if needs.gpus > 1 else ''}, {have}"
    return f"needs {_needs(needs)}, no one worker has all of it"


def _why_not_started(state: State, pool: Pool) -> str:
    breaker = pool.breaker
    left = breaker.retry_at - state.now
    again = f"trying again in {left:.3g} s" if left > 0 else "trying again now"
    return f"container start failed {_count(breaker.failures, 'time')}, {again}: {breaker.reason}"


def _why_no_room(state: State, pool: Pool) -> str:
    if pool.workspace.is_full:
        limit = _count(pool.workspace.max_containers, "container")
        return f"workspace {pool.workspace.name!r} has all of its {limit} in use"
    needs = pool.function.needs
    workers = [w for w in state.workers.values() if is_feasible(w, needs)]
    of = f"of {_count(len(workers), 'worker')}"
    stopping = any(worker.coming_cpu or worker.coming_memory for worker in workers)
    tail = "; a container is stopping to make room" if stopping else ""
    if not stopping and len(state.workspaces) > 1:
        tail = _why_others_keep(state, pool)
    if all(worker.free_cpu < needs.cpu_milli for worker in workers):
        total = sum(worker.info.capacity.cpu_milli for worker in workers)
        free = max(worker.free_cpu for worker in workers)
        if free <= 0:
            return f"waiting for room: all {_cpus(total)} {of} are in use{tail}"
        need = _cpus(needs.cpu_milli)
        return f"waiting for room: needs {need}, at most {free / 1000:g} {of} are free{tail}"
    if needs.gpus and all(len(worker.free_gpus) < needs.gpus for worker in workers):
        return f"waiting for room: needs {_count(needs.gpus, 'gpu')}, all fitting ones {of} are in use{tail}"
    free = max(worker.free_memory for worker in workers)
    return (
        f"waiting for room: needs {_needs(needs)} together, at most {free} MiB {of} are free{tail}"
    )


def _why_others_keep(state: State, pool: Pool) -> str:
    mine = state.share(pool.workspace)
    return (
        f"; workspace {pool.workspace.name!r} has {mine:.0%} of the cluster for its weight, others that want some have less"
        if any(state.share(other) < mine for other in state.workspaces.values() if other.containers)
        else ""
    )


def _needs(needs: Needs) -> str:
    gpus = f", {_count(needs.gpus, 'gpu')}" if needs.gpus else ""
    return f"{_cpus(needs.cpu_milli)}{gpus} and {_memory(needs)}"


def _memory(needs: Needs) -> str:
    disk = f" ({needs.disk_mib} of them ephemeral_disk)" if needs.disk_mib else ""
    return f"{needs.memory_mib} MiB of memory{disk}"


def _abilities(missing: list[str]) -> str:
    return " and ".join(_ABILITIES.get(ability, ability) for ability in missing)


def _cpus(milli: int) -> str:
    return f"{milli / 1000:g} cpu" if milli == 1000 else f"{milli / 1000:g} cpus"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _wait(number: int) -> str:
    return "waits" if number == 1 else "wait"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _short(host_id: str) -> str:
    return host_id if len(host_id) <= 5 else f"{host_id[:4]}…"
