"""The numbers the dispatcher decides by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class WorkspaceLimits:
    """What a workspace is entitled to."""

    weight: float = (
        1.0  # its share of the machines, relative to the other workspaces that want some
    )
    max_containers: int = 0  # at once; 0: as many as fit


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers the dispatcher decides by. All guessed from use on small machines, all settable."""

    recovery_seconds: float = (
        2.0  # after a restart, how long workers may take to say what they hold
    )
    worker_lost_seconds: float = 10.0  # how long a disconnected worker keeps its inputs
    max_losses: int = 3  # workers that vanish while they run an input before it is `lost`
    max_near_losses: int = 10  # the same for workers of which nobody knows whether they ran it
    max_kills: int = 3  # containers an input may kill before it is `lost`
    max_start_failures: int = 3  # container starts in a row before waiting inputs fail
    stop_grace_seconds: float = 5.0
    turn_seconds: float = (
        2.0  # how long a function's last container is left to it while others wait
    )
    overdue_seconds: float = 15.0  # how long past an input's timeout its worker may take to say so
    ageing_seconds: float = 300.0  # waiting for this long is worth one step of priority
    quarantine_strikes: int = (
        3  # containers in a row that a worker could not start before it is quarantined
    )
    quarantine_seconds: float = 10.0  # for how long at first; doubles each time, to ten minutes
    resting_beyond: int = 1000  # inputs in a function's line beyond which calls of one input rest
    packs: bool = False  # place containers where least is left, instead of where most is
    workspaces: Mapping[str, WorkspaceLimits] = field(
        default_factory=dict
    )  # others have the default
