"""Tracebacks as a user should see them: the user's own lines and the remote ones, and none of ours between."""

from __future__ import annotations

import functools
import os
from types import CodeType, FrameType, TracebackType
from typing import TYPE_CHECKING

from offload.errors import OffloadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offload.sdk.values import TraceLine

_OWN = os.path.dirname(os.path.dirname(__file__)) + os.sep  # noqa: PTH120  # compared with file names as text


def hide_own_frames(error: BaseException) -> None:
    """Drop our frames from the front of an error's traceback. For an `except` block that ends with a bare `raise`.

    A bare `raise` adds no entry for its own frame, so the caller's line comes next. An error that has no other frame
    than ours and was not meant for the user is our own fault, and keeps them.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN):
        trace = trace.tb_next
    if trace is not None or _is_the_users(error):
        error.__traceback__ = trace


def _is_the_users(error: BaseException) -> bool:
    import asyncio

    return isinstance(error, OffloadError | KeyboardInterrupt | asyncio.CancelledError)


def remote_traceback(lines: Sequence[TraceLine]) -> TracebackType | None:
    """Return a traceback that prints as the remote one did."""
    trace: TracebackType | None = None
    for line in reversed(lines):
        _remember_source(line)
        frame, instruction = _frame(_code(line.file, max(line.line, 1), line.function), line.file)
        trace = TracebackType(trace, frame, instruction, max(line.line, 1))
    return trace


def render(lines: Sequence[TraceLine]) -> str:
    """Return the text of a remote traceback, without its last line."""
    if not lines:
        return ""
    shown = ["Traceback (most recent call last):"]
    for line in lines:
        shown.append(f'  File "{line.file}", line {line.line}, in {line.function}')
        if line.text:
            shown.append(f"    {line.text.strip()}")
    return "\n".join(shown)


class _Stop(Exception):  # noqa: N818  # nobody sees it
    """Ends the made-up code where its frame is wanted."""


@functools.lru_cache(maxsize=1024)
def _code(file: str, line: int, function: str) -> CodeType:
    import ast

    tree = ast.parse("raise Stop")
    for node in ast.walk(tree):
        # Columns of the made-up statement would put carets under the user's.
        node.__dict__.update(lineno=line, end_lineno=line, col_offset=-1, end_col_offset=-1)
    code = compile(tree, file, "exec")
    return code.replace(co_name=function, co_qualname=function)


def _frame(code: CodeType, file: str) -> tuple[FrameType, int]:
    try:
        exec(code, {"__name__": "", "__file__": file, "Stop": _Stop})  # noqa: S102  # nothing but `raise Stop`
    except _Stop as stopped:
        trace = stopped.__traceback__
        while trace is not None and trace.tb_frame.f_code is not code:
            trace = trace.tb_next
        if trace is not None:
            return trace.tb_frame, trace.tb_lasti
    raise AssertionError("made-up code always stops in its own frame")


def _remember_source(line: TraceLine) -> None:
    """Let tracebacks show a line of a file that only the container has."""
    import linecache

    if line.line < 1 or not line.text or linecache.getline(line.file, line.line).strip():
        return
    known = linecache.cache.get(line.file)
    lines = list(known[2]) if known is not None and len(known) > 2 else []
    lines += ["\n"] * (line.line - len(lines))
    lines[line.line - 1] = line.text + "\n"
    # No modification time: `linecache.checkcache` leaves the entry alone.
    linecache.cache[line.file] = (sum(map(len, lines)), None, lines, line.file)
