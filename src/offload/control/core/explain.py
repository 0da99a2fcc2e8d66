"""Why something waits, in plain words. Nothing waits without a reason."""

from __future__ import annotations

from offload.control.core.model import ContainerState, Function
from offload.control.core.placement import is_feasible, is_offered
from offload.control.core.records import InputRecord, Pool, WorkerRecord, WorkerState
from offload.control.core.scaling import count_containers
from offload.control.core.state import State


def why_input_waits(state: State, record: InputRecord, before: int | None = None) -> str:
    """Say why a ready input is not assigned; `before` is how many of its function come first, where known."""
    pool = record.pool
    if record.retry_at:
        retries = pool.function.retries.max_retries
        left = max(0.0, record.retry_at - state.now)
        return f"retry {record.failures} of {retries} in {left:.3g} s"
    reason = _why_none_serves(state, pool)
    if reason:
        return reason
    if before is None:
        others = pool.queue.size - 1
        return f"waiting for its turn: {_count(others, 'other input')} of this function {_wait(others)} too"
    if before == 0:
        return "waiting for its turn: it is the next of this function"
    return (
        f"waiting for its turn: {_count(before, 'input')} of this function {_are(before)} before it"
    )


def why_pool_waits(state: State, pool: Pool) -> str:
    """Say why the pool's backlog is not assigned; empty where there is none."""
    if not pool.queue.size:
        return ""
    reason = _why_none_serves(state, pool)
    if reason:
        return reason
    first = next(pool.queue.in_line(), None)
    if first is None:
        next_retry = min(pool.queue.delayed(), key=lambda record: record.retry_at)
        return why_input_waits(state, next_retry)
    ready = count_containers(pool, ContainerState.READY)
    return (
        f"waiting for its turn: {_count(pool.queue.size, 'input')} for {_count(ready, 'container')}"
    )


def _why_none_serves(state: State, pool: Pool) -> str:
    """Say why no container serves the pool; empty where one does."""
    if state.is_recovering:
        left = max(0.0, state.recover_until - state.now)
        return (
            f"the server has just started: waiting {left:.3g} s for workers to say what they hold"
        )
    if count_containers(pool, ContainerState.READY):
        return ""
    impossible = _why_impossible(state, pool.function)
    if impossible:
        return impossible
    if pool.start_failures:
        return _why_not_started(state, pool)
    starting = count_containers(pool, ContainerState.STARTING)
    if starting:
        return f"waiting for a container: {starting} starting"
    return _why_no_room(state, pool.function)


def _why_impossible(state: State, function: Function) -> str:
    online = [worker for worker in state.workers.values() if worker.is_online]
    if not online:
        return _why_no_worker(state)
    on_host = [w for w in online if not function.host_id or w.info.host_id == function.host_id]
    if not on_host:
        return f"no worker on the caller's machine (host {_short(function.host_id)})"
    offered = [w for w in on_host if is_offered(w, function)]
    if not offered:
        return f"no worker offers runtime {function.runtime}"
    if any(is_feasible(w, function) for w in offered):
        return ""
    return "no worker can ever run it: " + _what_is_too_large(offered, function)


def _why_no_worker(state: State) -> str:
    states = [worker.state for worker in state.workers.values()]
    if not states:
        return "no worker is connected" + (f": {state.turned_away}" if state.turned_away else "")
    draining = states.count(WorkerState.DRAINING)
    if draining == 0:
        return f"no worker is connected: {_count(len(states), 'worker')} lost the connection"
    offline = len(states) - draining
    also = f", {offline} lost the connection" if offline else ""
    return f"no worker takes new work: {draining} draining{also}"


def _what_is_too_large(workers: list[WorkerRecord], function: Function) -> str:
    most_cpu = max(worker.info.capacity.cpu_milli for worker in workers)
    most_memory = max(worker.info.capacity.memory_mib for worker in workers)
    if function.cpu_milli > most_cpu:
        return f"needs {_cpus(function.cpu_milli)}, the largest worker has {most_cpu / 1000:g}"
    if function.memory_mib > most_memory:
        return f"needs {function.memory_mib} MiB of memory, the largest worker has {most_memory}"
    return f"needs {_cpus(function.cpu_milli)} and {function.memory_mib} MiB of memory, no one worker has both"


def _why_not_started(state: State, pool: Pool) -> str:
    times = _count(pool.start_failures, "time")
    left = pool.retry_start_at - state.now
    again = f"trying again in {left:.3g} s" if left > 0 else "trying again now"
    return f"container start failed {times}, {again}: {pool.start_reason}"


def _why_no_room(state: State, function: Function) -> str:
    workers = [w for w in state.workers.values() if is_feasible(w, function)]
    of = f"of {_count(len(workers), 'worker')}"
    stopping = any(worker.coming_cpu or worker.coming_memory for worker in workers)
    tail = "; a container is stopping to make room" if stopping else ""
    if all(worker.free_cpu < function.cpu_milli for worker in workers):
        total = sum(worker.info.capacity.cpu_milli for worker in workers)
        free = max(worker.free_cpu for worker in workers)
        if free <= 0:
            return f"waiting for room: all {_cpus(total)} {of} are in use{tail}"
        need = _cpus(function.cpu_milli)
        return f"waiting for room: needs {need}, at most {free / 1000:g} {of} are free{tail}"
    free = max(worker.free_memory for worker in workers)
    need = f"needs {_cpus(function.cpu_milli)} and {function.memory_mib} MiB of memory together"
    return f"waiting for room: {need}, at most {free} MiB {of} are free{tail}"


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
