"""Containers whose inputs only wait for calls that they made lend their cores to others.

Otherwise a function that calls another one on a full machine would wait for room that only its own end can make. Memory and
devices stay taken, because who waits still holds them. When the wait is over the machine is over-committed until somebody ends:
who computes then gets the share of the cores that its weight says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.model import ContainerState

if TYPE_CHECKING:
    from offload.control.core.events import ContainerWaits
    from offload.control.core.records import ContainerRecord
    from offload.control.core.state import State


def take(state: State, event: ContainerWaits) -> None:
    """Note for how many calls of its own a container waits now; it may be one that has still to come back."""
    if event.calls:
        state.waits[event.container_id] = event.calls
    else:
        state.waits.pop(event.container_id, None)
    state.lenders[event.container_id] = None


def settle(state: State) -> None:
    """Have containers lend their cores while each of their inputs waits, and no longer."""
    while state.lenders:
        container = state.containers.get(state.lenders.popitem()[0])
        if container is not None:
            _settle(state, container)


def _settle(state: State, container: ContainerRecord) -> None:
    calls = state.waits.get(container.container_id, 0)
    lends = calls >= max(1, container.running)
    if lends == container.lends:
        return
    cores = container.needs.cpu_milli if lends else -container.needs.cpu_milli
    container.lends = lends
    worker = container.slot.worker
    worker.free_cpu += cores
    if container.state is ContainerState.STOPPING:
        worker.coming_cpu -= cores
    state.note_coming(worker)
    state.candidates.note(worker)
    if lends:
        if worker.promises:
            state.promised[worker.info.worker_id] = worker
        state.look_for_givers()
