"""The life of an input: one literal table of states, events and moves."""

from __future__ import annotations

import enum

from offload.control.core.errors import IllegalMoveError


class InputState(enum.StrEnum):
    """Where an input is in its life."""

    BLOCKED = "blocked"
    READY = "ready"
    ASSIGNED = "assigned"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def is_final(self) -> bool:
        """Whether nothing can happen to the input any more."""
        return self in FINAL_STATES


class InputEvent(enum.StrEnum):
    """What can happen to an input."""

    UNBLOCKED = "unblocked"
    ASSIGNED = "assigned"
    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # for good
    FAILED_TO_RETRY = "failed_to_retry"  # its function's policy grants another attempt
    TIMED_OUT = "timed_out"
    GIVEN_BACK = (
        "given_back"  # its worker or container could not finish it, through no fault of its own
    )
    CANCELLED = "cancelled"
    LOST = "lost"


FINAL_STATES = frozenset(
    {
        InputState.SUCCEEDED,
        InputState.FAILED,
        InputState.TIMED_OUT,
        InputState.CANCELLED,
        InputState.LOST,
    }
)

TRANSITIONS: dict[InputState, dict[InputEvent, InputState]] = {
    InputState.BLOCKED: {
        InputEvent.UNBLOCKED: InputState.READY,
        InputEvent.FAILED: InputState.FAILED,
        InputEvent.TIMED_OUT: InputState.TIMED_OUT,
        InputEvent.CANCELLED: InputState.CANCELLED,
    },
    InputState.READY: {
        InputEvent.ASSIGNED: InputState.ASSIGNED,
        InputEvent.FAILED: InputState.FAILED,
        InputEvent.TIMED_OUT: InputState.TIMED_OUT,
        InputEvent.CANCELLED: InputState.CANCELLED,
        InputEvent.LOST: InputState.LOST,
    },
    InputState.ASSIGNED: {
        InputEvent.STARTED: InputState.RUNNING,
        InputEvent.SUCCEEDED: InputState.SUCCEEDED,
        InputEvent.FAILED: InputState.FAILED,
        InputEvent.FAILED_TO_RETRY: InputState.READY,
        InputEvent.TIMED_OUT: InputState.TIMED_OUT,
        InputEvent.GIVEN_BACK: InputState.READY,
        InputEvent.CANCELLED: InputState.CANCELLED,
        InputEvent.LOST: InputState.LOST,
    },
    InputState.RUNNING: {
        InputEvent.SUCCEEDED: InputState.SUCCEEDED,
        InputEvent.FAILED: InputState.FAILED,
        InputEvent.FAILED_TO_RETRY: InputState.READY,
        InputEvent.TIMED_OUT: InputState.TIMED_OUT,
        InputEvent.GIVEN_BACK: InputState.READY,
        InputEvent.CANCELLED: InputState.CANCELLED,
        InputEvent.LOST: InputState.LOST,
    },
    InputState.SUCCEEDED: {},
    InputState.FAILED: {},
    InputState.TIMED_OUT: {},
    InputState.CANCELLED: {},
    InputState.LOST: {},
}


def move(state: InputState, event: InputEvent) -> InputState:
    """Return the state after `event`; raise `IllegalMoveError` where the table has no such move."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalMoveError(state, event) from None
