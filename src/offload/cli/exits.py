"""How the command ends: the exit codes that scripts can use, and the error that carries one."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """Why the command ended. `docs/reference/exit-codes.md` explains each for people."""

    OK = 0
    PROGRAM_FAILED = 1
    USAGE = 2
    SERVER = 3
    NOT_FOUND = 4
    NO_SANDBOX = 5
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class CliError(Exception):
    """The command cannot do what it was asked; `message` says why and what to do next."""

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class ProgramError(CliError):
    """The user's program failed; `report` is its own traceback, without our frames."""

    def __init__(self, message: str, report: str) -> None:
        super().__init__(message, Exit.PROGRAM_FAILED)
        self.report = report
