"""The numbers the dispatcher decides by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers the dispatcher decides by. All guessed from use on small machines, all settable."""

    recovery_seconds: float = (
        2.0  # after a restart, how long workers may take to say what they hold
    )
    worker_lost_seconds: float = 10.0  # how long a disconnected worker keeps its inputs
    max_losses: int = 3  # lost workers an input survives before it is `lost`
    max_start_failures: int = 3  # container starts in a row before waiting inputs fail
    stop_grace_seconds: float = 5.0
    turn_seconds: float = (
        2.0  # how long a function's last container is left to it while others wait
    )
