"""The closed set of ways a request can fail, the same on every carrier."""

from __future__ import annotations

import enum


class Status(enum.IntEnum):
    """Why a request failed. Numbers are gRPC's, so that both carriers agree without a table."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class WireError(Exception):
    """A request failed; `message` is meant for the person who made it."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class LinkClosedError(WireError):
    """The connection broke while a request was under way; whether it took effect is unknown."""

    def __init__(self, message: str) -> None:
        super().__init__(Status.UNAVAILABLE, message)


class UntrustedServerError(LinkClosedError):
    """The server's certificate does not verify: dialling again mends nothing until somebody changes a setting."""
