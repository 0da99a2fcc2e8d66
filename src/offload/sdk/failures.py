"""From what a container reported to the exception the caller sees."""

from __future__ import annotations

import linecache
from typing import IO, TYPE_CHECKING, cast

from offload import errors
from offload.sdk import serialize

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from offload.sdk.values import Failure, TraceLine


def to_exception(failure: Failure, where: str) -> BaseException:
    """Return the exception for a failure, with the remote traceback as its own. `where` names the input."""
    make = _BY_KIND.get(failure.kind)
    error = make(failure) if make is not None else _raised(failure)
    error.add_note(f"raised in {where}")
    return error.with_traceback(_traceback(failure.frames))


def _raised(failure: Failure) -> BaseException:
    if failure.exception is not None:
        # Whatever loading a user's exception runs into, its type, message and traceback are still worth showing.
        try:
            error = _load(failure.exception)
        except Exception:  # noqa: BLE001
            error = None
        if isinstance(error, BaseException):
            return error
    return errors.RemoteError(
        failure.type_name, failure.message or failure.reason, _render(failure.frames)
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
    detail = f"{failure.type_name}: {failure.message}" if failure.type_name else ""
    text = ": ".join(part for part in (failure.reason, detail) if part)
    return errors.ContainerStartError(text)


_BY_KIND: dict[str, Callable[[Failure], BaseException]] = {
    "TIMEOUT": lambda failure: errors.FunctionTimeoutError(failure.reason),
    "OUT_OF_MEMORY": lambda failure: errors.OutOfMemoryError(failure.reason),
    "SIGNAL": _exited,
    "EXIT": _exited,
    "START": _not_started,
    "WORKER_LOST": lambda failure: errors.InputLostError(failure.reason),
    "CANCELLED": lambda failure: errors.InputCancelledError(failure.reason),
}


def _traceback(frames: tuple[TraceLine, ...]) -> TracebackType | None:
    if not frames:
        return None
    from tblib import Traceback  # type: ignore[import-untyped]  # ships no types

    described: dict[str, object] | None = None
    for frame in reversed(frames):
        _remember_source(frame)
        described = {
            "tb_frame": {
                "f_globals": {"__name__": "", "__file__": frame.file},
                "f_locals": {},
                "f_code": {"co_filename": frame.file, "co_name": frame.function},
                "f_lineno": frame.line,
            },
            "tb_lineno": frame.line,
            "tb_next": described,
        }
    return cast("TracebackType", Traceback.from_dict(described).as_traceback())


def _remember_source(frame: TraceLine) -> None:
    """Let tracebacks show a line of a file that only the container has."""
    if not frame.text or linecache.getline(frame.file, frame.line).strip():
        return
    known = linecache.cache.get(frame.file)
    lines = list(known[2]) if known is not None and len(known) > 2 else []
    lines += ["\n"] * (frame.line - len(lines))
    lines[frame.line - 1] = frame.text + "\n"
    # No modification time: `linecache.checkcache` leaves the entry alone.
    linecache.cache[frame.file] = (sum(map(len, lines)), None, lines, frame.file)


def _render(frames: tuple[TraceLine, ...]) -> str:
    if not frames:
        return ""
    lines = ["Traceback (most recent call last):"]
    for frame in frames:
        lines.append(f'  File "{frame.file}", line {frame.line}, in {frame.function}')
        if frame.text:
            lines.append(f"    {frame.text.strip()}")
    return "\n".join(lines)
