"""The life of a worker: one literal table of states, events and moves."""

from __future__ import annotations

import enum

from offload.control.core.errors import IllegalMoveError


class WorkerState(enum.StrEnum):
    """Whether a worker takes work."""

    ONLINE = "online"
    QUARANTINED = "quarantined"  # too many containers could not start on it
    DRAINING = "draining"
    OFFLINE = "offline"  # its session broke; it is expected back


class WorkerEvent(enum.StrEnum):
    """What can happen to a worker that is known."""

    JOINED = "joined"
    DRAINED = "drained"  # it, or a person, wants it to take nothing new
    QUARANTINED = "quarantined"
    RELEASED = "released"  # it may try again
    DISCONNECTED = "disconnected"


WORKER_TRANSITIONS: dict[WorkerState, dict[WorkerEvent, WorkerState]] = {
    WorkerState.ONLINE: {
        WorkerEvent.JOINED: WorkerState.ONLINE,
        WorkerEvent.DRAINED: WorkerState.DRAINING,
        WorkerEvent.QUARANTINED: WorkerState.QUARANTINED,
        WorkerEvent.DISCONNECTED: WorkerState.OFFLINE,
    },
    WorkerState.QUARANTINED: {
        WorkerEvent.JOINED: WorkerState.QUARANTINED,
        WorkerEvent.DRAINED: WorkerState.DRAINING,
        WorkerEvent.RELEASED: WorkerState.ONLINE,
        WorkerEvent.DISCONNECTED: WorkerState.OFFLINE,
    },
    WorkerState.DRAINING: {
        WorkerEvent.JOINED: WorkerState.DRAINING,
        WorkerEvent.DRAINED: WorkerState.DRAINING,
        WorkerEvent.DISCONNECTED: WorkerState.OFFLINE,
    },
    WorkerState.OFFLINE: {
        WorkerEvent.JOINED: WorkerState.ONLINE,
        WorkerEvent.DRAINED: WorkerState.OFFLINE,
        WorkerEvent.RELEASED: WorkerState.OFFLINE,
        WorkerEvent.DISCONNECTED: WorkerState.OFFLINE,
    },
}


def move_worker(state: WorkerState, event: WorkerEvent) -> WorkerState:
    """Return the state after `event`; raise `IllegalMoveError` where the table has no such move."""
    try:
        return WORKER_TRANSITIONS[state][event]
    except KeyError:
        raise IllegalMoveError(state, event) from None
