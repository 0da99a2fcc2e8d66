"""Where the output of functions goes when nobody else wants it: to the caller's own streams, as it comes."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from offload.sdk.values import LogLine, Output, PoolProgress

_log = logging.getLogger(__name__)


class StreamOutput:
    """Prints each line to stdout or stderr with the function's name and the number of its input before it."""

    def line(self, line: LogLine) -> None:
        """See `Output`."""
        stream = sys.stdout if line.stream == "stdout" else sys.stderr
        if stream is None:  # as for `print`: a program without streams shows nothing
            return
        label = attribution(line)
        # Programs put objects of their own in place of the streams, often with no more than `write`.
        if getattr(stream, "isatty", _no)():
            label = f"\x1b[2m{label}\x1b[0m"
        # A reader that has gone away must not end the connection: the program meets it when it prints itself.
        with contextlib.suppress(OSError, ValueError):
            stream.write(f"{label} {line.text}\n")
            getattr(stream, "flush", _no)()

    def progress(self, pools: list[PoolProgress]) -> None:
        """See `Output`."""


class ToughOutput:
    """Passes everything on and survives what the output raises: it must not end the app whose news it shows."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._has_failed = False

    def line(self, line: LogLine) -> None:
        """See `Output`."""
        try:
            self._output.line(line)
        except Exception as error:  # noqa: BLE001  # a user's stream or output may raise anything
            self._report(error)

    def progress(self, pools: list[PoolProgress]) -> None:
        """See `Output`."""
        try:
            self._output.progress(pools)
        except Exception as error:  # noqa: BLE001  # as above
            self._report(error)

    def _report(self, error: Exception) -> None:
        # Once: what fails for one line mostly fails for all.
        if not self._has_failed:
            self._has_failed = True
            _log.error(
                "What the app's functions print cannot be shown; the app goes on.", exc_info=error
            )


class NoOutput:
    """Shows nothing."""

    def line(self, line: LogLine) -> None:
        """See `Output`."""

    def progress(self, pools: list[PoolProgress]) -> None:
        """See `Output`."""


def _no() -> bool:
    return False


def attribution(line: LogLine) -> str:
    """Say in brackets who printed a line: the function, and which input of its call."""
    name = line.function_name or "offload"
    _, _, index = line.input_id.rpartition("-")
    return f"[{name} #{index}]" if line.input_id else f"[{name}]"
