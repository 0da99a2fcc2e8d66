"""What the dispatcher is told. Every event carries lists, because every hop does."""

from __future__ import annotations

from dataclasses import dataclass, field

from offload.control.core.inputs import InputState
from offload.control.core.model import (
    Call,
    ContainerReport,
    FailureKind,
    Function,
    NewInput,
    WorkerInfo,
)


@dataclass(frozen=True, slots=True)
class FunctionRegistered:
    """A function may be called from now on. Repeats are harmless."""

    function: Function


@dataclass(frozen=True, slots=True)
class AppStopped:
    """The app's caller is gone: attached calls are cancelled; with `cancel`, all. Its pools close when idle."""

    app_id: str
    cancel: bool
    reason: str


@dataclass(frozen=True, slots=True)
class CallSubmitted:
    """A new call with its first inputs."""

    call: Call
    inputs: tuple[NewInput, ...]
    closed: bool


@dataclass(frozen=True, slots=True)
class InputsAdded:
    """More inputs of an open call; known indices are ignored."""

    call_id: str
    inputs: tuple[NewInput, ...]
    close: bool


@dataclass(frozen=True, slots=True)
class CallCancelled:
    """Somebody wants the call to end."""

    call_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class RestoredInput:
    """An unfinished input read back from the store."""

    input_id: str
    index: int
    attempts: int


@dataclass(frozen=True, slots=True)
class CallRestored:
    """An unfinished call read back from the store at start. `outcome_count` of its inputs are final already."""

    call: Call
    inputs: tuple[RestoredInput, ...]
    closed: bool
    total: int
    outcome_count: int
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HeldInput:
    """An input a (re)joining worker still has in hand."""

    input_id: str
    attempt: int
    function_id: str


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker opened a session, for the first time or again, and says what it still has."""

    worker: WorkerInfo
    held: tuple[HeldInput, ...] = ()
    containers: tuple[ContainerReport, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerDisconnected:
    """A worker's session broke. What it holds stays with it until `Policy.worker_lost_seconds` have passed."""

    worker_id: str


@dataclass(frozen=True, slots=True)
class WorkerDraining:
    """A worker takes nothing new."""

    worker_id: str


@dataclass(frozen=True, slots=True)
class WorkerLeft:
    """A worker said goodbye, or was turned away for a reason: nothing of what it held will come back."""

    worker_id: str
    turned_away: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """How many inputs of a function a worker may hold at once."""

    function_id: str
    inputs: int


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt's user code began."""

    input_id: str
    attempt: int
    container_id: str


@dataclass(frozen=True, slots=True)
class Result:
    """An attempt ended. `body` is its encoded Outcome."""

    input_id: str
    attempt: int
    state: InputState  # succeeded, failed, timed_out or cancelled
    failure: FailureKind | None = None
    reason: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Returned:
    """An attempt that will not end: its container died or stopped before it could."""

    input_id: str
    attempt: int
    reason: str
    retry_alone: bool = False


@dataclass(frozen=True, slots=True)
class WorkerReported:
    """Whatever a worker had to say since its last message. Applied in the order of the fields."""

    worker_id: str
    windows: tuple[Window, ...] = ()
    containers: tuple[ContainerReport, ...] = ()
    started: tuple[Started, ...] = ()
    results: tuple[Result, ...] = ()
    returned: tuple[Returned, ...] = ()


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


Event = (
    FunctionRegistered
    | AppStopped
    | CallSubmitted
    | InputsAdded
    | CallCancelled
    | CallRestored
    | WorkerJoined
    | WorkerDisconnected
    | WorkerDraining
    | WorkerLeft
    | WorkerReported
    | Tick
)
