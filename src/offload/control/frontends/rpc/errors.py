"""What a refusal of the services is on the wire."""

from __future__ import annotations

from offload.control.core.errors import DomainError, ErrorCode
from offload.wire.status import Status, WireError

STATUS_OF: dict[ErrorCode, Status] = {
    ErrorCode.INVALID: Status.INVALID_ARGUMENT,
    ErrorCode.NOT_FOUND: Status.NOT_FOUND,
    ErrorCode.EXPIRED: Status.OUT_OF_RANGE,  # by what the server still keeps
    ErrorCode.ALREADY_EXISTS: Status.ALREADY_EXISTS,
    ErrorCode.FAILED_PRECONDITION: Status.FAILED_PRECONDITION,
    ErrorCode.SUPERSEDED: Status.ABORTED,  # by a newer version: look the name up again
    ErrorCode.PERMISSION_DENIED: Status.PERMISSION_DENIED,
    ErrorCode.RESOURCE_EXHAUSTED: Status.RESOURCE_EXHAUSTED,
    ErrorCode.CORRUPTED: Status.DATA_LOSS,
    ErrorCode.UNAVAILABLE: Status.UNAVAILABLE,
}


def to_wire(error: DomainError) -> WireError:
    """Translate a refusal."""
    return WireError(STATUS_OF[error.code], error.message)


def invalid(message: str) -> WireError:
    """Refuse a request that cannot be meant."""
    return WireError(Status.INVALID_ARGUMENT, message)
