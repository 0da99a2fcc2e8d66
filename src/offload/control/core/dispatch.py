"""The dispatcher: one state machine that decides everything about calls, inputs, containers and workers."""

from __future__ import annotations

from dataclasses import dataclass

from offload.control.core.events import Event
from offload.control.core.inputs import InputState
from offload.control.core.instructions import Instruction
from offload.control.core.model import Capacity, Function, WorkerInfo


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers the dispatcher decides by. All guessed from use on small machines, all settable."""

    recovery_seconds: float = 2.0  # after a restart, how long workers may take to say what they hold
    worker_lost_seconds: float = 10.0  # how long a disconnected worker keeps its inputs
    max_losses: int = 3  # lost workers an input survives before it is `lost`
    max_start_failures: int = 3  # container starts in a row before waiting inputs fail
    stop_grace_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class PoolView:
    """A function's containers and backlog, for people."""

    function: Function
    starting: int
    ready: int
    pending: int
    running: int  # assigned or running
    waiting_reason: str  # empty when nothing waits


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker, for people. `state` is "online", "draining" or "offline"."""

    worker: WorkerInfo
    state: str
    used: Capacity
    since: float


@dataclass(frozen=True, slots=True)
class ContainerView:
    """A container, for people."""

    container_id: str
    worker_id: str
    function: Function
    state: str
    started_at: float
    inputs_in_hand: int


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


class Dispatcher:
    """Holds every unfinished call in memory; told events, it answers with instructions.

    Deterministic: the same events at the same times give the same instructions. `incarnation` makes container ids
    unique over restarts.
    """

    def __init__(self, policy: Policy, incarnation: str, now: float) -> None: ...

    def apply(self, event: Event, now: float) -> list[Instruction]:
        """Take in one event and return what is to be done, in order. Raises `DomainError` for a refused event."""

    def next_wakeup(self) -> float | None:
        """When to `apply(Tick())` at the latest, in Unix seconds; None while nothing waits for time."""

    def knows_call(self, call_id: str) -> bool:
        """Whether the call is unfinished here."""

    def function(self, function_id: str) -> Function | None:
        """Return a registered function."""

    def pools(self, app_id: str = "") -> list[PoolView]:
        """List functions with containers or backlog, of one app or all."""

    def workers(self) -> list[WorkerView]: ...

    def containers(self) -> list[ContainerView]: ...

    def pending(self, limit: int) -> list[InputView]:
        """List inputs that wait for a container, oldest first, each with its reason."""

    def pending_total(self) -> int: ...

    def running_total(self) -> int: ...

    def inputs(self, call_id: str, limit: int) -> list[InputView]:
        """List a call's unfinished inputs in the order of their index."""

    def is_idle(self) -> bool:
        """Whether no call is open and no container lives."""
