"""Which workers can run a container: in principle, and now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from offload.control.core.model import Needs
    from offload.control.core.records import WorkerRecord


def is_feasible(worker: WorkerRecord, needs: Needs) -> bool:
    """Whether the worker could ever run such containers."""
    capacity = worker.info.capacity
    return (
        worker.is_online
        and capacity.cpu_milli >= needs.cpu_milli
        and capacity.memory_mib >= needs.memory_mib
        and is_offered(worker, needs)
        and (not needs.gpus or count_gpus(worker, needs) >= needs.gpus)
    )


def has_room(worker: WorkerRecord, needs: Needs) -> bool:
    """Whether enough of a worker is free now."""
    return (
        worker.is_online
        and not worker.strangers
        and worker.free_cpu >= needs.cpu_milli
        and worker.free_memory >= needs.memory_mib
        and (
            not needs.gpus
            or needs.gpus <= sum(is_kind(kind, needs) for kind in worker.free_gpus.values())
        )
    )


def is_offered(worker: WorkerRecord, needs: Needs) -> bool:
    """Whether it is the right machine, labelled as wanted, and has the right runtime."""
    info = worker.info
    return (
        (not needs.host_id or info.host_id == needs.host_id)
        and (not needs.runtime or needs.runtime in info.runtimes)
        and not missing_abilities(worker, needs)
        and all(info.labels.get(key) == value for key, value in needs.labels)
    )


def missing_abilities(worker: WorkerRecord, needs: Needs) -> list[str]:
    """List what the worker's runtime for such containers cannot hold them to."""
    if not needs.abilities:
        return []
    info = worker.info
    there = info.abilities.get(runtime_for(worker, needs), ())
    return [ability for ability in needs.abilities if ability not in there]


def runtime_for(worker: WorkerRecord, needs: Needs) -> str:
    """Return the runtime that such containers have on the worker; empty where it has none."""
    return needs.runtime or next(iter(worker.info.runtimes), "")


def count_gpus(worker: WorkerRecord, needs: Needs) -> int:
    """Count the worker's devices of the wanted kind."""
    return sum(is_kind(gpu.kind, needs) for gpu in worker.info.capacity.gpus)


def is_kind(kind: str, needs: Needs) -> bool:
    """Whether a device of this name is of the wanted kind."""
    return needs.gpu_kind.lower() in kind.lower()
