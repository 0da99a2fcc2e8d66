"""What one plan has promised of room that is not free yet: to which pool, and on which worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.feasibility import has_room, is_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from offload.control.core.model import Needs
    from offload.control.core.records import ContainerRecord, Pool, WorkerRecord, Workspace
    from offload.control.core.state import State


class _Promised:
    """Room, of a worker or to a workspace."""

    __slots__ = ("containers", "cpu", "gpus", "memory", "taken_gpus")

    def __init__(self) -> None:
        self.containers = 0
        self.cpu = 0
        self.memory = 0
        self.gpus = 0
        self.taken_gpus: dict[int, None] = {}  # which of the worker's

    def add(self, needs: Needs) -> None:
        self.containers += 1
        self.cpu += needs.cpu_milli
        self.memory += needs.memory_mib
        self.gpus += needs.gpus


class Books:
    """What is free, and who has how much, if every promise is counted as kept."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._workers: dict[str, _Promised] = {}
        self._workspaces: dict[str, _Promised] = {}
        self._pools: dict[str, int] = {}

    def live(self, pool: Pool) -> int:
        """Return how many containers the pool has or was promised."""
        return pool.live + self._pools.get(pool.function.function_id, 0)

    def containers(self, workspace: Workspace) -> int:
        """Return how many containers the workspace has or was promised."""
        promised = self._workspaces.get(workspace.name)
        return workspace.containers + (promised.containers if promised is not None else 0)

    def is_full(self, workspace: Workspace) -> bool:
        """Whether the workspace has, or was promised, all the containers it may have."""
        return 0 < workspace.max_containers <= self.containers(workspace)

    def share(
        self, workspace: Workspace, plus: Iterable[Needs] = (), minus: Iterable[Needs] = ()
    ) -> float:
        """Return the workspace's share, with containers of such needs more or less."""
        cpu, memory, gpus = workspace.cpu, workspace.memory, workspace.gpus
        promised = self._workspaces.get(workspace.name)
        if promised is not None:
            cpu, memory, gpus = cpu + promised.cpu, memory + promised.memory, gpus + promised.gpus
        for needs in plus:
            cpu, memory, gpus = cpu + needs.cpu_milli, memory + needs.memory_mib, gpus + needs.gpus
        for needs in minus:
            cpu, memory, gpus = cpu - needs.cpu_milli, memory - needs.memory_mib, gpus - needs.gpus
        return self._state.share_of(workspace, cpu, memory, gpus)

    def has_room(self, worker: WorkerRecord, needs: Needs) -> bool:
        """Whether enough of the worker is free now, beyond what was promised and will not be covered by what ends."""
        promised = self._workers.get(worker.info.worker_id)
        if promised is None:
            return has_room(worker, needs)
        cpu = worker.free_cpu - max(0, promised.cpu - worker.coming_cpu)
        memory = worker.free_memory - max(0, promised.memory - worker.coming_memory)
        is_enough = cpu >= needs.cpu_milli and memory >= needs.memory_mib and worker.is_online
        return is_enough and len(self.free_gpus(worker, needs)) == needs.gpus

    def free_gpus(self, worker: WorkerRecord, needs: Needs) -> tuple[int, ...]:
        """Return the devices that a container would get, fewer where there are not enough."""
        if not needs.gpus:
            return ()
        return self._pick(worker, needs, worker.free_gpus.items())

    def will_fit(
        self, worker: WorkerRecord, needs: Needs, given: Sequence[ContainerRecord] = ()
    ) -> bool:
        """Whether there is room once what is stopping has ended, and `given` as well."""
        cpu = worker.free_cpu + worker.coming_cpu + sum(c.needs.cpu_milli for c in given)
        memory = worker.free_memory + worker.coming_memory + sum(c.needs.memory_mib for c in given)
        promised = self._workers.get(worker.info.worker_id)
        if promised is not None:
            cpu -= promised.cpu
            memory -= promised.memory
        if cpu < needs.cpu_milli or memory < needs.memory_mib:
            return False
        return not needs.gpus or len(self._coming_gpus(worker, needs, given)) == needs.gpus

    def promise(self, pool: Pool, worker: WorkerRecord) -> None:
        """Promise the pool room for one container, which there will be."""
        needs, workspace = pool.function.needs, pool.workspace
        of_worker = self._workers.setdefault(worker.info.worker_id, _Promised())
        if needs.gpus:
            of_worker.taken_gpus.update(
                dict.fromkeys(self._coming_gpus(worker, needs, worker.stopping.values()))
            )
        of_worker.add(needs)
        self._workspaces.setdefault(workspace.name, _Promised()).add(needs)
        function_id = pool.function.function_id
        self._pools[function_id] = self._pools.get(function_id, 0) + 1

    def _coming_gpus(
        self, worker: WorkerRecord, needs: Needs, given: Iterable[ContainerRecord]
    ) -> tuple[int, ...]:
        kinds = {gpu.index: gpu.kind for gpu in worker.info.capacity.gpus}
        ending = [index for c in (*worker.stopping.values(), *given) for index in c.gpus]
        # What is free already stays for those who can start at once.
        coming = {index: kinds[index] for index in ending if index in kinds}
        return self._pick(worker, needs, (coming | worker.free_gpus).items())

    def _pick(
        self, worker: WorkerRecord, needs: Needs, gpus: Iterable[tuple[int, str]]
    ) -> tuple[int, ...]:
        promised = self._workers.get(worker.info.worker_id)
        taken = promised.taken_gpus if promised is not None else {}
        fitting = [index for index, kind in gpus if index not in taken and is_kind(kind, needs)]
        return tuple(fitting[: needs.gpus])
