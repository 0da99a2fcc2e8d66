"""From an exception of user code to what the caller sees of it."""

from __future__ import annotations

import os
import resource
import sys

from offload.runner.bodies import Outgoing
from offload.sdk import chains, serialize
from offload.wire.guest import Body, Fault, TraceLine
from offload.wire.limits import INLINE_PAYLOAD_BYTES

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from types import TracebackType

    from offload.runner.outbox import Outbox

_MAX_SHOWN_FRAMES = 200
_MAX_TEXT_CHARS = 1000
_OWN_CODE = (os.path.dirname(__file__) + os.sep, serialize.__file__, chains.__file__)  # noqa: PTH120 - pathlib is slow to import


def describe(error: BaseException, outbox: Outbox) -> Fault:
    """Return the fault for an exception; its pickle, where large, goes ahead through the outbox."""
    if isinstance(error, ImportError):
        _note_unreadable_folders(error)
    if isinstance(error, MemoryError):
        _name_the_limit(error)
    pickled = chains.dump_exception(error, _trace)
    exception = None
    if pickled is not None and len(pickled) <= INLINE_PAYLOAD_BYTES:
        exception = Body(serialize.ENCODING, pickled)
    elif pickled is not None:
        outgoing = Outgoing()
        outgoing.write(pickled)
        exception = outgoing.send(outbox)
    return Fault(
        chains.type_name_of(error),
        chains.message_of(error),
        _trace(error.__traceback__),
        exception,
    )


def _note_unreadable_folders(error: ImportError) -> None:
    """Say which of the caller's import folders this container cannot read: they may hold what was not found."""
    closed = [path for path in sys.path if not os.access(path, os.R_OK | os.X_OK)]
    if closed:
        note = (
            f"the container cannot read {', '.join(closed)}: a folder that is closed to other users, or a home "
            "directory itself, is not shown; `chmod o+rx` it, or import from a folder below it"
        )
        error.__notes__ = [
            *getattr(error, "__notes__", ()),
            note,
        ]  # add_note came with CPython 3.11


def _name_the_limit(error: MemoryError) -> None:
    """Say how much a process of this container may take, where that is limited: Python itself says nothing at all."""
    data = resource.getrlimit(resource.RLIMIT_DATA)[0]
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if any(map(str, error.args)):
        return
    if data != resource.RLIM_INFINITY:
        limit = f"its memory limit of {data >> 20} MiB"
    elif space != resource.RLIM_INFINITY:
        limit = f"its limit of {space >> 20} MiB of address space"
    else:
        return
    error.args = (f"passed {limit}{_peak()}; ask for more with memory=, in MiB",)


def _peak() -> str:
    """Say how much this process has used at most; nothing where the kernel does not tell."""
    try:
        with open("/proc/self/status") as status:  # noqa: PTH123 - pathlib is slow to import
            for line in status:
                if line.startswith("VmHWM:"):
                    return f" (peak {int(line.split()[1]) >> 10} MiB)"
    except OSError:
        pass
    return ""


def _trace(traceback: TracebackType | None) -> tuple[TraceLine, ...]:
    import linecache  # noqa: PLC0415 - needed only where something fails

    linecache.checkcache()
    frames: list[TracebackType] = []
    at = traceback
    while at is not None:
        file_name = at.tb_frame.f_code.co_filename
        # Ours anywhere, and in front what stands between us and an async function.
        is_plumbing = not frames and f"{os.sep}asyncio{os.sep}" in file_name
        if not (is_plumbing or file_name.startswith(_OWN_CODE)):
            frames.append(at)
        at = at.tb_next
    left_out = len(frames) - _MAX_SHOWN_FRAMES
    lines = []
    for index, frame in enumerate(frames):
        if left_out > 0 and _MAX_SHOWN_FRAMES // 2 <= index < _MAX_SHOWN_FRAMES // 2 + left_out:
            continue
        code = frame.tb_frame.f_code
        text = linecache.getline(code.co_filename, frame.tb_lineno, frame.tb_frame.f_globals)
        shown = text.strip()[:_MAX_TEXT_CHARS]
        lines.append(TraceLine(code.co_filename, frame.tb_lineno or 0, code.co_name, shown))
    if left_out > 0:
        note = TraceLine("...", 0, "...", f"({left_out} frames left out)")
        lines.insert(_MAX_SHOWN_FRAMES // 2, note)
    return tuple(lines)
