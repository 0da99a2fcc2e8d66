"""The nouns of the control plane. Plain values: no I/O, no clock, no randomness.

Times are Unix seconds as given by the caller. `body` fields are encoded messages of `proto/offload/v1` that the core
carries without reading.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NamedTuple


class CallKind(enum.StrEnum):
    """What a call is to its caller."""

    SINGLE = "single"
    MAP = "map"
    GENERATOR = "generator"


class FailureKind(enum.StrEnum):
    """Why an input did not succeed."""

    EXCEPTION = "exception"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    SIGNAL = "signal"
    EXIT = "exit"
    START = "start"
    WORKER_LOST = "worker_lost"
    CANCELLED = "cancelled"
    DEPENDENCY = "dependency"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon a failed input is tried again."""

    max_retries: int = 0
    initial_delay_seconds: float = 1.0
    backoff_coefficient: float = 2.0
    max_delay_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Scaling:
    """How many containers a function may and should have."""

    min_containers: int = 0
    max_containers: int = 0  # 0: as many as fit
    buffer_containers: int = 0  # idle ones beyond what is needed, while inputs come
    scaledown_window_seconds: float = 60.0  # how long a container that is not needed stays


@dataclass(frozen=True, slots=True)
class Needs:
    """What each container of a function takes of its worker, and what the worker must be."""

    cpu_milli: int
    memory_mib: int  # its scratch included
    gpus: int = 0  # whole devices
    gpu_kind: str = ""  # part of the device's name, any case; empty: any
    runtime: str = ""  # empty: the worker's default
    host_id: str = ""  # empty: any machine
    labels: tuple[tuple[str, str], ...] = ()  # the worker must have all of these
    disk_mib: int = (
        0  # how much of its memory is for scratch that it asked for: scratch is kept in memory
    )
    abilities: tuple[str, ...] = ()  # what the worker's runtime must be able to hold it to


# Ids of functions that are registered when they are first asked for, and go when they are idle, begin with it.
ON_DEMAND_PREFIX = "fo-"

DEFAULT_WORKSPACE = "default"
DEFAULT_ENVIRONMENT = "main"


class DeploymentKey(NamedTuple):
    """What an app's name means: it is looked up in one environment of one workspace."""

    workspace: str
    environment: str
    name: str

    def __str__(self) -> str:
        return f"{self.name!r} in environment {self.environment!r}"


@dataclass(frozen=True, slots=True)
class Function:
    """What the dispatcher needs to know of a function; `body` is its whole FunctionDefinition for the workers."""

    function_id: str
    app_id: str
    app_name: str
    name: str
    needs: Needs
    timeout_seconds: float
    startup_timeout_seconds: float
    retries: RetryPolicy = RetryPolicy()
    scaling: Scaling = Scaling()
    is_generator: bool = False
    workspace: str = DEFAULT_WORKSPACE
    environment: str = DEFAULT_ENVIRONMENT
    max_inputs: int = 1  # that one of its containers runs at the same time
    target_inputs: int = 1  # for how many of those another container is wanted
    body: bytes = b""
    blob: str = ""  # SHA-256 of the code where it is a blob
    image_blobs: tuple[str, ...] = ()  # SHA-256 of those that its image takes along

    @property
    def is_on_demand(self) -> bool:
        """Whether it goes when nothing is left to run and no container is left, and comes back with the next call."""
        return self.function_id.startswith(ON_DEMAND_PREFIX)


@dataclass(frozen=True, slots=True)
class Call:
    """What a caller holds: one input, a map of many, or a generator."""

    call_id: str
    function_id: str
    kind: CallKind
    created_at: float
    attached: bool  # ends with its app's caller
    durable: bool  # acknowledged and answered only after it is on disk
    priority: int = 0  # higher goes first
    deadline: float = 0.0  # when what is left of it times out, in Unix seconds; 0: never
    after: tuple[str, ...] = ()  # calls that must have ended first
    run_anyway: bool = False  # although some of those did not succeed
    not_before: float = 0.0  # when it may begin, in Unix seconds; 0: at once
    transient: bool = False  # nothing of it is kept, and what may have begun is never run again


@dataclass(frozen=True, slots=True)
class Gpu:
    """A device of a worker."""

    index: int
    kind: str  # its name


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a worker has, or what its containers take."""

    cpu_milli: int
    memory_mib: int
    gpus: tuple[Gpu, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker said of itself when it joined."""

    worker_id: str
    name: str
    version: str
    host_id: str
    capacity: Capacity
    labels: dict[str, str] = field(default_factory=dict)
    runtimes: tuple[str, ...] = ()  # the default first
    abilities: dict[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # what each can hold containers to
    notes: tuple[str, ...] = ()  # for whoever runs it


class ContainerState(enum.StrEnum):
    """Where a container is in its life, as its worker reports it."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"  # could not start
    DIED = "died"  # ended unasked after it was ready


@dataclass(frozen=True, slots=True)
class ContainerReport:
    """What a worker says of one container. `reason` is one line; `body` its encoded Failure, if any."""

    container_id: str
    function_id: str
    state: ContainerState
    inputs_in_hand: int = 0
    reason: str = ""
    body: bytes = b""
    gpu_indices: tuple[int, ...] = ()
    blames_function: bool = False  # it came so far as to load the function, and that raised
    is_hopeless: bool = False  # it failed, and another try would fail the same way
    progress: str = ""  # while it starts: what has to be done first
