"""Where the output of functions goes when nobody else wants it: to the caller's own streams, as it comes."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from offload.sdk.values import LogLine, PoolProgress


class StreamOutput:
    """Prints each line to stdout or stderr with the function's name and the number of its input before it."""

    def line(self, line: LogLine) -> None:
        """See `Output`."""
        stream = sys.stdout if line.stream == "stdout" else sys.stderr
        label = attribution(line)
        if stream.isatty():
            label = f"\x1b[2m{label}\x1b[0m"
        # A reader that has gone away must not end the connection: the program meets it when it prints itself.
        with contextlib.suppress(OSError, ValueError):
            stream.write(f"{label} {line.text}\n")
            stream.flush()

    def progress(self, pools: list[PoolProgress]) -> None:
        """See `Output`."""


class NoOutput:
    """Shows nothing."""

    def line(self, line: LogLine) -> None:
        """See `Output`."""

    def progress(self, pools: list[PoolProgress]) -> None:
        """See `Output`."""


def attribution(line: LogLine) -> str:
    """Say in brackets who printed a line: the function, and which input of its call."""
    name = line.function_name or "offload"
    _, _, index = line.input_id.rpartition("-")
    return f"[{name} #{index}]" if line.input_id else f"[{name}]"
