"""What users catch. Each class says what to do about it; all but `InputCancellation` are `OffloadError`.

Valid on CPython 3.9, because the runner raises and restores some of these in users' environments.
"""

from __future__ import annotations


class OffloadError(Exception):
    """Something about running a function went wrong that is not an exception of the function itself."""


class InvalidError(OffloadError):
    """The API was used in a way that cannot work. The message shows what was wrong and what is right."""


class AppNotRunningError(InvalidError):
    """A function was called remotely outside of a running app: wrap the call in `with app.run():`."""


class NotFoundError(OffloadError):
    """The server does not know this call, app or function. Check the id, and that it is the same server."""


class OutputExpiredError(NotFoundError):
    """The call ended so long ago that the server no longer keeps its results. Fetch them sooner, or call again."""


class AuthError(OffloadError):
    """The server does not accept the token. Set `OFFLOAD_TOKEN` to the content of the server's `token` file."""


class VersionError(OffloadError):
    """Client and server cannot talk to each other. Install the same release of offload on both sides."""


class ConnectionLostError(OffloadError):
    """The server could not be reached for too long. Calls it had accepted go on; find them with `offload calls`."""


class LimitError(OffloadError):
    """The server has no room for this now (disk, quota, size). The message says which and how to make room."""


class ServerError(OffloadError):
    """The server failed to do what it should. Its log says why; please report it."""


class CorruptedError(OffloadError):
    """What was kept or sent is not what it was: checksums differ. The message says what to bring again."""


class FunctionError(OffloadError):
    """An input ended without a result for a reason other than an exception that could be brought back."""


class RemoteError(FunctionError):
    """The function raised an exception whose type is missing here or that cannot be pickled.

    `type_name` and `message` are the exception's own; `remote_traceback` is the text of its traceback.
    """

    def __init__(self, type_name: str, message: str, remote_traceback: str = "") -> None:
        super().__init__(type_name, message, remote_traceback)
        self.type_name = type_name
        self.message = message
        self.remote_traceback = remote_traceback

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}" if self.message else self.type_name


class FunctionTimeoutError(FunctionError, TimeoutError):
    """An input ran longer than its function's `timeout`, or its call as a whole took longer than `call_timeout`.

    The message says which: raise that one, or split the work.
    """


class OutOfMemoryError(FunctionError, MemoryError):
    """An input needed more than its function's `memory`: raise it, or work in smaller pieces."""


class ContainerExitError(FunctionError):
    """The function ended its process: `exit_code` is what it exited with, or `signal` what killed it."""

    def __init__(
        self, message: str, exit_code: int | None = None, signal: int | None = None
    ) -> None:
        super().__init__(message, exit_code, signal)
        self.exit_code = exit_code
        self.signal = signal

    def __str__(self) -> str:
        return str(self.args[0])


class ContainerStartError(FunctionError):
    """The function's container could not start or load it. The message and the traceback say why.

    `last_lines` is what the container printed last, oldest first.
    """

    def __init__(self, message: str, last_lines: tuple[str, ...] = ()) -> None:
        super().__init__(message, last_lines)
        self.last_lines = last_lines

    def __str__(self) -> str:
        return str(self.args[0])


class InputLostError(FunctionError):
    """The workers or containers of an input went away too often. Look for the cause in `offload dlq`, then replay it."""


class DependencyError(FunctionError):
    """A call that this one was to come `after` did not succeed. The message names it: see to that one first."""


class InputCancelledError(FunctionError):
    """The input was cancelled, by a person or because its app ended. The message says by whom."""


class InputCancellation(BaseException):
    """Raised inside a function whose input was cancelled or ran out of time. Clean up and let it pass.

    Not an `Exception`, so that a function which survives its own errors does not survive this.
    """
