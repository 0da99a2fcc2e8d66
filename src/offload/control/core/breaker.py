"""The life of a function's ability to start containers: one literal table, and how long to wait between tries.

A function whose containers cannot start must neither keep a machine busy with starting them nor keep its inputs waiting
for ever. So after a failure one container at a time is tried, after a delay that doubles; when that has failed often
enough the inputs that wait fail with the start-up error, and so do later ones with every further try that fails. The
first container that starts makes all well again.
"""

from __future__ import annotations

import enum

from offload.control.core.errors import IllegalMoveError

MAX_DELAY_SECONDS = 60.0


class BreakerState(enum.StrEnum):
    """Whether containers of a function can start."""

    CLOSED = "closed"  # as far as anyone knows they can
    TRYING = "trying"  # the last one could not; one at a time, with growing pauses
    OPEN = "open"  # so many could not that inputs fail with each further one


class BreakerEvent(enum.StrEnum):
    """What becomes of a container that was to start."""

    FAILED = "failed"
    GAVE_UP = "gave_up"  # it failed, and has done so often enough
    STARTED = "started"
    FORGIVEN = "forgiven"  # the worker was to blame


BREAKER_TRANSITIONS: dict[BreakerState, dict[BreakerEvent, BreakerState]] = {
    BreakerState.CLOSED: {
        BreakerEvent.FAILED: BreakerState.TRYING,
        BreakerEvent.GAVE_UP: BreakerState.OPEN,
        BreakerEvent.STARTED: BreakerState.CLOSED,
        BreakerEvent.FORGIVEN: BreakerState.CLOSED,
    },
    BreakerState.TRYING: {
        BreakerEvent.FAILED: BreakerState.TRYING,
        BreakerEvent.GAVE_UP: BreakerState.OPEN,
        BreakerEvent.STARTED: BreakerState.CLOSED,
        BreakerEvent.FORGIVEN: BreakerState.CLOSED,
    },
    BreakerState.OPEN: {
        BreakerEvent.GAVE_UP: BreakerState.OPEN,
        BreakerEvent.STARTED: BreakerState.CLOSED,
        BreakerEvent.FORGIVEN: BreakerState.CLOSED,
    },
}


class Breaker:
    """One function's breaker."""

    __slots__ = ("blames_function", "body", "failed_at", "failures", "reason", "retry_at", "state")

    def __init__(self) -> None:
        self.state = BreakerState.CLOSED
        self.failures = 0  # in a row
        self.failed_at = 0.0
        self.retry_at = 0.0  # no container before then
        self.reason = ""
        self.body = b""  # encoded Outcome of inputs that fail with it
        self.blames_function = False  # the last one came so far as to load the function

    @property
    def is_closed(self) -> bool:
        """Whether containers may start freely."""
        return self.state is BreakerState.CLOSED

    @property
    def gave_up(self) -> bool:
        """Whether so many could not start that another try is no hope."""
        return self.state is BreakerState.OPEN

    def fail(self, now: float, limit: int, reason: str, body: bytes) -> bool:
        """Count one failure; return whether waiting inputs are to fail with it."""
        self.failures += 1
        self.failed_at = now
        self.retry_at = now + delay_seconds(self.failures)
        self.reason = reason or "no reason was given"
        self.body = body
        gives_up = self.failures >= limit
        self._move(BreakerEvent.GAVE_UP if gives_up else BreakerEvent.FAILED)
        return gives_up

    def close(self, event: BreakerEvent) -> None:
        """Let containers start freely again."""
        self._move(event)
        self.failures = 0
        self.retry_at = 0.0
        self.blames_function = False

    def _move(self, event: BreakerEvent) -> None:
        try:
            self.state = BREAKER_TRANSITIONS[self.state][event]
        except KeyError:
            raise IllegalMoveError(self.state, event) from None


def delay_seconds(failures_in_a_row: int) -> float:
    """Return how long to wait after the n-th failed start in a row: 1 s, 2 s, 4 s, at most a minute."""
    return float(min(MAX_DELAY_SECONDS, 2.0 ** min(failures_in_a_row - 1, 6)))
