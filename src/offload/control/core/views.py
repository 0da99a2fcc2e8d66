"""What the dispatcher shows of itself, for people."""

from __future__ import annotations

from dataclasses import dataclass

from offload.control.core.inputs import InputState
from offload.control.core.model import Capacity, Function, WorkerInfo
from offload.control.core.workers import WorkerState


@dataclass(frozen=True, slots=True)
class PoolView:
    """A function's containers and backlog, for people."""

    function: Function
    starting: int
    ready: int
    pending: int
    running: int  # assigned or running
    finished: int  # with whatever outcome
    waiting_reason: str  # empty when nothing waits
    is_impossible: bool  # none of the workers that are there can ever run what waits


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether containers of a function start, for who waits for that."""

    ready: int
    starting: int
    waiting_reason: str  # empty when one is ready
    trouble: str  # why the last one that could not start did not; empty where all did
    is_hopeless: bool  # another try would fail the same way, or enough have


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker, for people. `reason` says why it takes nothing new; empty while it does."""

    worker: WorkerInfo
    state: WorkerState
    used: Capacity
    since: float
    reason: str


@dataclass(frozen=True, slots=True)
class ContainerView:
    """A container, for people."""

    container_id: str
    worker_id: str
    function: Function
    state: str
    started_at: float
    inputs_in_hand: int
    worker_name: str = ""


@dataclass(frozen=True, slots=True)
class InputView:
    """An unfinished input, for people. `reason` says why it waits; empty while it runs."""

    input_id: str
    call_id: str
    index: int
    state: InputState
    attempts: int
    worker_id: str
    container_id: str
    since: float
    reason: str


@dataclass(frozen=True, slots=True)
class WorkspaceView:
    """A workspace, for people. `share` is the largest of its parts of the cluster's cpu, memory and gpus, 0 to 1."""

    name: str
    weight: float
    max_containers: int  # 0: as many as fit
    containers: int
    share: float
    pending: int
