"""Room on a worker that is not free yet, but promised to a pool: containers are on their way out there.

A promise counts as what the pool and its workspace have, so that nobody has more containers stopped for the same need. Nobody
else gets the room: free room on the worker covers what was promised beyond what is still to end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.feasibility import has_room, is_kind
from offload.control.core.records import Promise

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from offload.control.core.model import Needs
    from offload.control.core.records import ContainerRecord, Pool, WorkerRecord
    from offload.control.core.state import State


def has_room_to_give(worker: WorkerRecord, needs: Needs) -> bool:
    """Whether enough is free that is promised to nobody."""
    if not worker.promises:
        return has_room(worker, needs)
    cpu = worker.free_cpu - max(0, worker.promised_cpu - worker.coming_cpu)
    memory = worker.free_memory - max(0, worker.promised_memory - worker.coming_memory)
    is_enough = cpu >= needs.cpu_milli and memory >= needs.memory_mib and has_room(worker, needs)
    return is_enough and len(free_gpus(worker, needs)) == needs.gpus


def free_gpus(worker: WorkerRecord, needs: Needs) -> tuple[int, ...]:
    """Return the free devices that a container would get, fewer where there are not enough."""
    return _pick(worker, needs, worker.free_gpus.items()) if needs.gpus else ()


def is_due(promise: Promise) -> bool:
    """Whether what was promised is free."""
    worker, needs = promise.worker, promise.pool.function.needs
    return (
        not worker.strangers
        and worker.free_cpu >= needs.cpu_milli
        and worker.free_memory >= needs.memory_mib
        and all(index in worker.free_gpus for index in promise.gpus)
    )


def will_fit(worker: WorkerRecord, needs: Needs, given: Sequence[ContainerRecord] = ()) -> bool:
    """Whether there is room beyond all promises once what is stopping has ended, and `given` as well."""
    cpu = worker.free_cpu + worker.coming_cpu - worker.promised_cpu
    memory = worker.free_memory + worker.coming_memory - worker.promised_memory
    cpu += sum(c.taken_cpu for c in given)
    memory += sum(c.needs.memory_mib for c in given)
    if cpu < needs.cpu_milli or memory < needs.memory_mib or worker.strangers:
        return False
    return not needs.gpus or len(_coming_gpus(worker, needs, given)) == needs.gpus


def make(state: State, pool: Pool, worker: WorkerRecord) -> None:
    """Promise the pool the room for one container that there will be on the worker."""
    needs = pool.function.needs
    promise = Promise(pool, worker, _coming_gpus(worker, needs, ()) if needs.gpus else ())
    pool.promises[promise] = None
    worker.promises[promise] = None
    _count(state, promise, 1)


def drop(state: State, promise: Promise) -> None:
    """Forget a promise: it is kept, or of no use any more."""
    del promise.pool.promises[promise]
    del promise.worker.promises[promise]
    _count(state, promise, -1)


def drop_spare(state: State, pool: Pool, needed: int) -> None:
    """Forget the latest of the pool's promises beyond those it needs."""
    while len(pool.promises) > max(0, needed):
        drop(state, next(reversed(pool.promises)))
        state.replan = True


def drop_all(state: State, worker: WorkerRecord) -> None:
    """Forget what was promised on a worker that takes nothing new."""
    for promise in list(worker.promises):
        drop(state, promise)
        state.touch_pool(promise.pool)


def _count(state: State, promise: Promise, sign: int) -> None:
    pool, worker = promise.pool, promise.worker
    needs, workspace = pool.function.needs, pool.workspace
    worker.promised_cpu += sign * needs.cpu_milli
    worker.promised_memory += sign * needs.memory_mib
    for index in promise.gpus:
        if sign > 0:
            worker.promised_gpus[index] = None
        else:
            del worker.promised_gpus[index]
    workspace.promised += sign
    workspace.cpu += sign * needs.cpu_milli
    workspace.memory += sign * needs.memory_mib
    workspace.gpus += sign * needs.gpus
    state.note_coming(worker)
    state.candidates.note(worker)


def _coming_gpus(
    worker: WorkerRecord, needs: Needs, given: Iterable[ContainerRecord]
) -> tuple[int, ...]:
    kinds = {gpu.index: gpu.kind for gpu in worker.info.capacity.gpus}
    ending = [index for c in (*worker.stopping.values(), *given) for index in c.gpus]
    # What is free already stays for those who can start at once.
    coming = {index: kinds[index] for index in ending if index in kinds}
    return _pick(worker, needs, (coming | worker.free_gpus).items())


def _pick(worker: WorkerRecord, needs: Needs, gpus: Iterable[tuple[int, str]]) -> tuple[int, ...]:
    promised = worker.promised_gpus
    fitting = [index for index, kind in gpus if index not in promised and is_kind(kind, needs)]
    return tuple(fitting[: needs.gpus])
