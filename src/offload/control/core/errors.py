"""The one error of the control plane, and the bug that a broken table would be."""

from __future__ import annotations

import enum


class ErrorCode(enum.StrEnum):
    """What kind of refusal it is; the frontends' one table makes it a status."""

    INVALID = "invalid"
    NOT_FOUND = "not_found"
    EXPIRED = "expired"
    ALREADY_EXISTS = "already_exists"
    FAILED_PRECONDITION = "failed_precondition"
    SUPERSEDED = "superseded"
    PERMISSION_DENIED = "permission_denied"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    CORRUPTED = "corrupted"
    UNAVAILABLE = "unavailable"


class DomainError(Exception):
    """A request that cannot be met; `message` names the object, the cause and the next step."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class IllegalMoveError(AssertionError):
    """A state was asked to make a move its table does not have: a bug here, never a user's mistake."""

    def __init__(self, state: object, event: object) -> None:
        super().__init__(f"no move from {state} on {event}")
