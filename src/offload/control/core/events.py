"""What the dispatcher is told. Every event carries lists, because every hop does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from offload.control.core.inputs import InputState
from offload.control.core.model import (
    Call,
    ContainerReport,
    FailureKind,
    Function,
    Scaling,
    WorkerInfo,
)


@dataclass(frozen=True, slots=True)
class FunctionRegistered:
    """A function may be called from now on, also again after `AppStopped`. Repeats are harmless.

    `is_stopped` says of one that was not known that its app is, as `AppStopped`.
    """

    function: Function
    is_stopped: bool = False


@dataclass(frozen=True, slots=True)
class AppStopped:
    """The app's caller is gone: attached calls are cancelled; with `cancel`, all. Its pools close when idle.

    With `keeps_attached` nothing is cancelled: another version serves, and this one ends what it began.
    """

    app_id: str
    cancel: bool
    reason: str
    keeps_attached: bool = False


@dataclass(frozen=True, slots=True)
class ScalingChanged:
    """How many containers a function may have changes. Ignored for an unknown function."""

    function_id: str
    scaling: Scaling


@dataclass(frozen=True, slots=True)
class CallSubmitted:
    """A new call with its first inputs. `ended` are the final states of those calls it comes after that are over."""

    call: Call
    inputs: tuple[range, ...]  # indices
    closed: bool
    ended: tuple[tuple[str, str], ...] = ()  # (call id, "succeeded", "failed" or "cancelled")
    although_stopped: bool = False  # run it even if its app is stopped: it was accepted before


@dataclass(frozen=True, slots=True)
class InputsAdded:
    """More inputs of an open call; known indices are ignored."""

    call_id: str
    inputs: tuple[range, ...]  # indices
    close: bool


@dataclass(frozen=True, slots=True)
class CallCancelled:
    """Somebody wants the call to end."""

    call_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class History:
    """What has happened to an unfinished input so far, where that was more than waiting."""

    index: int
    attempts: int  # the last one's number
    failures: int = 0  # retries spent
    losses: int = 0  # workers that vanished with it
    kills: int = 0  # containers that died of it
    alone: bool = False  # it must be by itself in its container
    retry_at: float = 0.0  # not to be tried before then


@dataclass(frozen=True, slots=True)
class CallRestored:
    """An unfinished call read back from the store at start.

    `known` are the indices of all its inputs, `unfinished` of those without an outcome, `tried` what has happened to
    some of the latter. `counts` are its outcomes by state; `ended` as in `CallSubmitted`.
    """

    call: Call
    known: tuple[range, ...]
    unfinished: tuple[range, ...]
    closed: bool
    tried: tuple[History, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    ended: tuple[tuple[str, str], ...] = ()


class HeldInput(NamedTuple):
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
    """A worker takes nothing new: it said so, or a person did."""

    worker_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WorkerLeft:
    """A worker said goodbye, or was turned away for a reason: nothing of what it held will come back."""

    worker_id: str
    turned_away: str = ""


class Window(NamedTuple):
    """How many inputs of a function a worker may hold at once."""

    function_id: str
    inputs: int


class Started(NamedTuple):
    """An attempt's user code began."""

    input_id: str
    attempt: int
    container_id: str


class Result(NamedTuple):
    """An attempt ended. `body` is its encoded Outcome."""

    input_id: str
    attempt: int
    state: InputState  # succeeded, failed, timed_out or cancelled
    failure: FailureKind | None = None
    reason: str = ""
    body: bytes = b""
    blob: str = ""  # SHA-256 of the blob that the body names


class Returned(NamedTuple):
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


class ContainerWaits(NamedTuple):
    """A container waits for so many calls that the inputs in it have made. It may be told before the container is known."""

    container_id: str
    calls: int


class ContainerUnwanted(NamedTuple):
    """A person has a container end: once what it has in hand is done, or `now`. Refused where there is none."""

    container_id: str
    now: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


Happened = (
    FunctionRegistered
    | AppStopped
    | ScalingChanged
    | CallSubmitted
    | InputsAdded
    | CallCancelled
    | CallRestored
    | WorkerJoined
    | WorkerDisconnected
    | WorkerDraining
    | WorkerLeft
    | WorkerReported
    | ContainerWaits
    | ContainerUnwanted
)
Event = Happened | Tick
