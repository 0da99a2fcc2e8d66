"""What the worker's parts tell one another, as values."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from offload.worker.core.content import Content

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offload.worker.core.images import Image
    from offload.worker.core.network import AllowList

__all__ = [
    "ContainerState", "Content", "Failure", "FailureKind", "Function", "Gpu", "Held", "Line", "Orders", "OutcomeState",
    "Report", "Start", "Task", "VolumeMount", "WorkerFacts",
]  # fmt: skip


class FailureKind(enum.IntEnum):
    """Why an input did not succeed; the numbers are the schema's."""

    EXCEPTION = 1
    TIMEOUT = 2
    OUT_OF_MEMORY = 3
    SIGNAL = 4
    EXIT = 5
    START = 6
    CANCELLED = 8


class OutcomeState(enum.IntEnum):
    """How an input ended; the numbers are the schema's."""

    SUCCEEDED = 5
    FAILED = 6
    TIMED_OUT = 7
    CANCELLED = 8


class ContainerState(enum.IntEnum):
    """Where a container is in its life; the numbers are the schema's."""

    STARTING = 1
    READY = 2
    STOPPED = 3
    FAILED = 4
    DIED = 5
    STOPPING = 6


@dataclass(frozen=True, slots=True, order=True)
class Gpu:
    """One whole device."""

    index: int  # its number on the machine: /dev/nvidia<index>
    kind: str  # the product's name, e.g. "NVIDIA H100 80GB HBM3"
    uuid: str = ""  # as the driver knows it; empty where nobody has told


class Failure(NamedTuple):
    """Why something ended badly, in one line for a person."""

    kind: FailureKind
    reason: str
    exit_code: int = 0
    signal: int = 0
    last_lines: tuple[str, ...] = ()  # of a container that could not start: what it printed last
    type_name: str = ""  # set where the function is to blame, and no other worker would do better
    is_hopeless: bool = False  # another try would fail the same way


class Task(NamedTuple):
    """One attempt of an input."""

    input_id: str
    attempt: int
    args: Content
    alone: bool = False  # nothing else may be in its container's hand


class Report(NamedTuple):
    """What became of a container."""

    container_id: str
    function_id: str
    state: ContainerState
    failure: Failure | None = None
    inputs_in_hand: int = 0
    gpu_indices: tuple[int, ...] = ()
    progress: str = ""  # while it starts: what has to be done first


class Line(NamedTuple):
    """One line of output; `input_id` is empty outside any input."""

    app_id: str
    function_name: str
    container_id: str
    input_id: str
    stream: str  # "stdout", "stderr" or "system"
    text: str


class Held(NamedTuple):
    """An attempt that this worker still has, or whose result the server has not recorded."""

    input_id: str
    attempt: int
    function_id: str


class VolumeMount(NamedTuple):
    """A volume that containers of a function find at a path of their own."""

    volume_id: str
    path: str  # absolute, in the container
    is_read_only: bool = False
    sub_path: str = ""  # the folder of the volume that is shown; empty: all of it


@dataclass(frozen=True, slots=True)
class Function:
    """A function as the worker needs it."""

    function_id: str
    app_id: str
    name: str
    code: Content
    is_generator: bool = False
    cpu_milli: int = 1000
    cpu_limit_milli: int = 0  # 0: none
    memory_mib: int = 512  # at most
    ephemeral_disk_mib: int = 0  # beside the memory; 0: part of it
    timeout_seconds: float = 300.0  # 0: none
    startup_timeout_seconds: float = 60.0
    runtime: str = ""  # empty: the worker's default
    block_network: bool = False
    allowed: AllowList | None = None  # all that it reaches; None: everything
    host_id: str = ""
    python: str = ""
    sys_path: tuple[str, ...] = ()
    read_only_paths: tuple[str, ...] = ()
    working_dir: str = "/"
    env: tuple[tuple[str, str], ...] = ()
    image: Image | None = None  # None: the caller's own environment, by the paths above
    volumes: tuple[VolumeMount, ...] = ()
    image_elsewhere: Image | None = None  # in its place on other machines than `host_id`
    max_calls: int = 1  # of the function that a container runs at the same time
    batch_size: int = 1  # inputs that one call may be for
    batch_wait_seconds: float = 0.0  # how long the first input of a batch waits for others
    is_batched: bool = False  # it is called with lists
    is_single_use: bool = False  # each container runs one input and ends
    restrict_platform_access: bool = False  # its code may ask the platform nothing
    secrets: tuple[str, ...] = ()  # ids of those whose values its containers get
    parameters: tuple[tuple[str, str, str], ...] = ()  # of a class; see `guest.Load`

    @property
    def max_inputs(self) -> int:
        """How many inputs a container runs at the same time."""
        return self.max_calls * self.batch_size

    def on(self, host_id: str) -> Function:
        """Return the function as a worker of that machine runs it."""
        if self.image_elsewhere is None or self.host_id == host_id:
            return self
        return replace(self, image=self.image_elsewhere)


class Start(NamedTuple):
    """A container to start."""

    container_id: str
    function_id: str
    gpu_indices: tuple[int, ...] = ()  # the devices it gets; it sees no others


@dataclass(frozen=True, slots=True)
class Orders:
    """One message of the server, in the order in which its parts are to be obeyed."""

    functions: tuple[Function, ...] = ()
    start: tuple[Start, ...] = ()
    stop: tuple[tuple[str, float], ...] = ()  # container, seconds of grace
    assignments: tuple[tuple[str, list[Task]], ...] = ()  # function, tasks
    cancels: tuple[tuple[str, str], ...] = ()  # input, reason
    forget: tuple[str, ...] = ()
    consoles: tuple[tuple[str, str], ...] = ()  # session, container
    shut_down: bool = False
    drain: bool = False
    bring: tuple[str, ...] = ()  # SHA-256s of blobs that the server has lost


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """What the worker says of itself when it joins."""

    worker_id: str
    name: str
    host_id: str
    cpu_milli: int
    memory_mib: int
    runtimes: Mapping[str, tuple[str, ...]]  # default first; what each can hold containers to
    labels: dict[str, str] = field(default_factory=dict)
    gpus: tuple[Gpu, ...] = ()
    notes: tuple[str, ...] = ()  # what whoever runs it should know
