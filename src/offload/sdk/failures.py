"""From what a container reported to the exception the caller sees."""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING

from offload import errors
from offload.sdk import chains, serialize
from offload.sdk.traces import remote_traceback, render
from offload.sdk.values import TraceLine

_MISSING = re.compile(r"No module named '([A-Za-z0-9_]+)")

if TYPE_CHECKING:
    from collections.abc import Callable

    from offload.sdk.values import Failure


def to_exception(failure: Failure, where: str) -> BaseException:
    """Return the exception for a failure, with the remote traceback as its own. `where` names the input."""
    make = _BY_KIND.get(failure.kind)
    error = make(failure) if make is not None else _raised(failure)
    error.add_note(f"raised in {where}")
    missing = _MISSING.match(failure.message) if failure.kind == "EXCEPTION" else None
    if missing is not None:
        error.add_note(
            f'the function cannot import {missing[1]!r} where it runs: add .pip_install("{missing[1]}") to its image, or '
            f"install it here where it has none"
        )
    return error.with_traceback(remote_traceback(failure.frames))


def _raised(failure: Failure) -> BaseException:
    if failure.exception is not None:
        # Whatever loading a user's exception runs into, its type, message and traceback are still worth showing.
        try:
            error = _load(failure.exception)
        except Exception:  # noqa: BLE001
            error = None
        if isinstance(error, BaseException):
            if isinstance(error, errors.RemoteError) and not error.remote_traceback:
                error.remote_traceback = render(failure.frames)
            _put_frames_back(error)
            return error
    return errors.RemoteError(
        failure.type_name, failure.message or failure.reason, render(failure.frames)
    )


def _load(data: bytes | IO[bytes]) -> object:
    if isinstance(data, bytes):
        return serialize.loads(data)
    with data as file:
        return serialize.load_from(file)


def _exited(failure: Failure) -> BaseException:
    signal = failure.signal or None
    return errors.ContainerExitError(
        failure.reason, None if signal is not None else failure.exit_code, signal
    )


def _not_started(failure: Failure) -> BaseException:
    detail = f"{failure.type_name}: {failure.message}" if failure.message else ""
    text = ": ".join(part for part in (failure.reason, detail) if part)
    error = errors.ContainerStartError(text, failure.last_lines)
    if failure.last_lines:
        error.add_note("\n  ".join(("the container printed last:", *failure.last_lines)))
    return error


_BY_KIND: dict[str, Callable[[Failure], BaseException]] = {
    "TIMEOUT": lambda failure: errors.FunctionTimeoutError(failure.reason),
    "OUT_OF_MEMORY": lambda failure: errors.OutOfMemoryError(failure.reason),
    "SIGNAL": _exited,
    "EXIT": _exited,
    "START": _not_started,
    "LOST": lambda failure: errors.InputLostError(failure.reason),
    "DEPENDENCY": lambda failure: errors.DependencyError(failure.reason),
    "CANCELLED": lambda failure: errors.InputCancelledError(failure.reason),
}


def _put_frames_back(error: BaseException) -> None:
    """Give the exceptions that led to this one the tracebacks that came with them."""
    chain = [error]
    for each in chain:  # grows while it is walked
        frames = tuple(TraceLine(*frame) for frame in chains.take_frames(each))
        if frames:
            each.__traceback__ = remote_traceback(frames)
        if isinstance(each, errors.RemoteError) and not each.remote_traceback:
            each.remote_traceback = render(frames)
        for other in (each.__cause__, each.__context__):
            if other is not None and not any(other is known for known in chain):
                chain.append(other)
