"""From what a request failed with to what users catch."""

from __future__ import annotations

from offload.errors import (
    AuthError,
    ConnectionLostError,
    CorruptedError,
    InputCancelledError,
    InvalidError,
    LimitError,
    NotFoundError,
    OffloadError,
    OutputExpiredError,
    ServerError,
    VersionError,
)
from offload.wire.status import Status, WireError


class SupersededError(InvalidError):
    """Another version of a deployed app serves. Who looked the function up by name does that again."""


_BY_STATUS: dict[Status, type[OffloadError]] = {
    Status.CANCELLED: InputCancelledError,
    Status.INVALID_ARGUMENT: InvalidError,
    Status.OUT_OF_RANGE: OutputExpiredError,
    Status.ALREADY_EXISTS: InvalidError,
    Status.ABORTED: SupersededError,
    Status.FAILED_PRECONDITION: InvalidError,
    Status.DATA_LOSS: CorruptedError,
    Status.NOT_FOUND: NotFoundError,
    Status.PERMISSION_DENIED: AuthError,
    Status.UNAUTHENTICATED: AuthError,
    Status.UNIMPLEMENTED: VersionError,
    Status.RESOURCE_EXHAUSTED: LimitError,
    Status.UNAVAILABLE: ConnectionLostError,
    Status.DEADLINE_EXCEEDED: ConnectionLostError,
}


def from_wire(error: WireError) -> OffloadError:
    """Translate what a request failed with."""
    return _BY_STATUS.get(error.status, ServerError)(error.message)
