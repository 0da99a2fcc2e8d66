"""What the dispatcher wants done. Each says what its reader must do; doing one twice must be harmless."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from offload.control.core.events import History
from offload.control.core.inputs import InputState
from offload.control.core.model import Call, FailureKind


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Tell the worker to start a container of the function."""

    worker_id: str
    container_id: str
    function_id: str
    gpu_indices: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class StopContainer:
    """Tell the worker to end the container; what it has not begun comes back as `Returned`."""

    worker_id: str
    container_id: str
    grace_seconds: float


class Task(NamedTuple):
    """One attempt of an input to hand over."""

    input_id: str
    attempt: int  # 1 for the first
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Assign:
    """Send these attempts with their payloads to the worker."""

    worker_id: str
    function_id: str
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class CancelInputs:
    """Tell the worker to end these inputs; their outcome is recorded already and any later result is ignored."""

    worker_id: str
    input_ids: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The final outcome of one input; `seq` counts the outcomes of its call from 1.

    `body` is the worker's encoded Outcome, or empty where the core ended the input itself: then the reader makes one
    from `state`, `failure` and `reason`.
    """

    input_id: str
    call_id: str
    index: int
    seq: int
    attempts: int
    state: InputState
    failure: FailureKind | None
    reason: str
    body: bytes
    blob: str = ""  # SHA-256 of the blob that the body names


@dataclass(frozen=True, slots=True)
class RecordOutcomes:
    """Write these to the store and tell whoever waits for them: once durable for a durable call, at once otherwise."""

    outcomes: tuple[Finished, ...]


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """The same outcome of a run of a call's inputs that never began: with index `first + n` goes seq `first_seq + n`."""

    call_id: str
    first: int
    count: int
    first_seq: int
    state: InputState
    failure: FailureKind
    reason: str
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class RecordRuns:
    """As `RecordOutcomes`, for inputs that end in their thousands at once."""

    runs: tuple[FinishedRun, ...]


@dataclass(frozen=True, slots=True)
class RecordHistory:
    """Write what has happened to this unfinished input, so that a server after this one knows it."""

    call_id: str
    history: History


@dataclass(frozen=True, slots=True)
class CallCompleted:
    """Every input of the closed call has its outcome. Comes after the last of its `RecordOutcomes`."""

    call: Call
    state: str  # "succeeded", "failed" or "cancelled"

    @property
    def call_id(self) -> str:
        """Whose end it is."""
        return self.call.call_id


@dataclass(frozen=True, slots=True)
class AttemptStarting:
    """A new attempt of a generator input begins: items of the attempt before are void unless already delivered."""

    input_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class ForgetFunction:
    """Its app is stopped and nothing of it is left: the worker may drop what it keeps for the function."""

    worker_id: str
    function_id: str


@dataclass(frozen=True, slots=True)
class ForgetWorker:
    """It left, or was given up: a server after this one need not wait for it."""

    worker_id: str


Instruction = (
    StartContainer
    | StopContainer
    | Assign
    | CancelInputs
    | RecordOutcomes
    | RecordRuns
    | RecordHistory
    | CallCompleted
    | AttemptStarting
    | ForgetFunction
    | ForgetWorker
)
