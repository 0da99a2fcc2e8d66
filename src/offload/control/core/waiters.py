"""What the dispatcher looks at again when its time has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from offload.control.core.calls import CallRecord
from offload.control.core.records import ContainerRecord, Pool, Slot, WorkerRecord

if TYPE_CHECKING:
    from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Early:
    """A call that is not to begin before its time."""

    call: CallRecord


@dataclass(frozen=True, slots=True)
class Stranded:
    """Inputs with a worker that may have no container for them any more."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class Overdue:
    """Inputs that a worker runs, one of which may be past its timeout. Void unless the slot still waits for `at`."""

    slot: Slot
    at: float


@dataclass(frozen=True, slots=True)
class Recovery:
    """The time in which workers may say what they hold, after a restart."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Containers that had no turn yet, for which others wait."""


# A pool looks at its delays and bounds, a worker at whether it is lost or may leave its quarantine, a container at
# whether it has started, a call at its deadline.
Waiter: TypeAlias = (
    Pool
    | WorkerRecord
    | ContainerRecord
    | CallRecord
    | Early
    | Stranded
    | Overdue
    | Recovery
    | Turn
)
