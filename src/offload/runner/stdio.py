"""`sys.stdout` and `sys.stderr` of user code: lines, attributed to the input that runs.

The objects in `sys` stay the same for the container's life, because logging handlers and others keep them; what is
behind them is renewed when an input has closed it.
"""

from __future__ import annotations

import io
import os
import sys
import time
from _thread import RLock

from offload.wire.guest import Output

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from offload.runner.cancellation import Interrupts
    from offload.runner.outbox import Outbox

# How long a line that is to be out now waits for a thread that writes already. Without it the line was lost where the
# process was killed right after, and that thread had no processor to go on with.
_PATIENCE_SECONDS = 0.1
_MAX_LINE_BYTES = 64 * 1024
_PROGRESS_SECONDS = 1.0


class Draft:
    """What was written of a line that is not complete, and whose line it is."""

    __slots__ = ("input_id", "partial", "progress_at")

    def __init__(self, input_id: str) -> None:
        self.input_id = input_id
        self.partial = bytearray()
        self.progress_at = 0.0


class Lines:
    """Cuts what is written into lines and sends them.

    `draft` is what is being written; where several inputs run, `find_draft` tells whose it is that writes now.
    """

    def __init__(
        self, name: str, descriptor: int, outbox: Outbox, shield: AbstractContextManager[None]
    ) -> None:
        self.name = name
        self._descriptor = descriptor
        self._outbox = outbox
        self.shield = shield
        self._is_urgent = descriptor == 2  # as in any process: last words must not wait
        self._lock = RLock()  # a destructor may print while this thread prints
        self.draft = Draft("")
        self.find_draft: Callable[[str], Draft] | None = None
        os.register_at_fork(after_in_child=self._become_child)

    @property
    def current(self) -> Draft:
        """What is being written by whoever asks."""
        return self.draft if self.find_draft is None else self.find_draft(self.name)

    def write(self, data: bytes) -> None:
        """Take bytes; send the lines they complete."""
        if self._outbox.is_child:
            os.write(self._descriptor, data)
            return
        with self.shield, self._lock:
            draft = self.current
            draft.partial += data
            if b"\n" in data:
                *lines, rest = draft.partial.split(b"\n")
                draft.partial = rest
                for line in lines:
                    self._send(draft, line)
            if b"\r" in draft.partial:
                self._overwrite(draft)
            while len(draft.partial) > _MAX_LINE_BYTES:
                self._send_first_part(draft)
            if self._is_urgent:
                self._outbox.flush(wait=False, patience_seconds=_PATIENCE_SECONDS)

    def flush(self) -> None:
        """Send the lines that are complete: whatever ends this process now, they have been said."""
        if not self._outbox.is_child:
            with self.shield, self._lock:
                self._outbox.flush(wait=False, patience_seconds=_PATIENCE_SECONDS)

    def finish_line(self) -> None:
        """Send what was written of an unfinished line."""
        draft = self.current
        if draft.partial and not self._outbox.is_child:
            with self.shield, self._lock:
                line, draft.partial = draft.partial, bytearray()
                self._send(draft, line)

    def _overwrite(self, draft: Draft) -> None:
        """Keep what a terminal would show after carriage returns; show it as a line now and then."""
        start = draft.partial.rfind(b"\r", 0, len(draft.partial) - 1)
        if start <= 0:
            return
        shown = draft.partial[:start]
        del draft.partial[:start]
        now = time.monotonic()
        if now - draft.progress_at >= _PROGRESS_SECONDS:
            draft.progress_at = now
            self._send(draft, shown)

    def _send_first_part(self, draft: Draft) -> None:
        end = _MAX_LINE_BYTES
        # Not inside a character.
        while draft.partial[end] & 0xC0 == 0x80 and end > _MAX_LINE_BYTES - 4:
            end -= 1
        part = draft.partial[:end]
        del draft.partial[:end]
        self._send(draft, part)

    def _send(self, draft: Draft, line: bytearray) -> None:
        shown = line.rstrip(b"\r")
        text = shown[shown.rfind(b"\r") + 1 :].decode("utf-8", "replace")
        for at in range(0, max(len(text), 1), _MAX_LINE_BYTES):
            part = text[at : at + _MAX_LINE_BYTES]
            self._outbox.add(Output(draft.input_id, self.name, part), len(part) + 64)

    def _become_child(self) -> None:
        self._lock = RLock()
        self.draft.partial.clear()


class _Bytes(io.BufferedIOBase):
    """The `buffer` of a standard stream."""

    def __init__(self, lines: Lines, descriptor: int) -> None:
        self._lines = lines
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: object) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        taken = bytes(memoryview(data).cast("B"))  # type: ignore[arg-type]  # any buffer, or TypeError
        self._lines.write(taken)
        return len(taken)


class StandardStream(io.TextIOBase):
    """A stable stand-in for a standard stream."""

    def __init__(self, lines: Lines, name: str, descriptor: int) -> None:
        self._lines = lines
        self._descriptor = descriptor
        self.name = f"<{name}>"
        self.mode = "w"
        self._bytes, self._inner = self._open()

    def _open(self) -> tuple[_Bytes, io.TextIOWrapper]:
        below = _Bytes(self._lines, self._descriptor)
        return below, io.TextIOWrapper(
            below,  # type: ignore[arg-type]  # its name is never asked for
            encoding="utf-8",
            errors="backslashreplace",
            newline="\n",
            write_through=True,
        )

    def renew(self) -> None:
        """Open again what an input closed."""
        if self._inner.closed:
            self._bytes, self._inner = self._open()

    def write(self, text: str) -> int:
        """See `io.TextIOBase.write`."""
        if self._inner.closed:
            raise ValueError(
                f"I/O operation on closed file: this input closed sys.{self.name[1:-1]}"
            )
        return self._inner.write(text)

    def flush(self) -> None:
        """See `io.IOBase.flush`."""
        if self._inner.closed:
            raise ValueError(
                f"I/O operation on closed file: this input closed sys.{self.name[1:-1]}"
            )
        self._lines.flush()

    def close(self) -> None:
        """Close the stream for the input that runs."""
        self._inner.close()

    @property
    def closed(self) -> bool:
        """See `io.IOBase.closed`."""
        return self._inner.closed

    @property
    def buffer(self) -> io.BufferedIOBase:
        """The stream of bytes below."""
        return self._bytes

    @property
    def encoding(self) -> str:  # type: ignore[override]  # read-only here, as in TextIOWrapper
        """See `io.TextIOBase.encoding`."""
        return self._inner.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]  # see `encoding`
        """See `io.TextIOBase.errors`."""
        return self._inner.errors

    @property
    def line_buffering(self) -> bool:
        """See `io.TextIOWrapper.line_buffering`."""
        return self._inner.line_buffering

    def reconfigure(self, **options: object) -> None:
        """See `io.TextIOWrapper.reconfigure`; holds until the stream is closed."""
        self._inner.reconfigure(**options)  # type: ignore[arg-type]  # what it takes differs by version

    def writable(self) -> bool:
        """Return True: that is what it is for."""
        return True

    def isatty(self) -> bool:
        """Return False: nobody types here."""
        return False

    def fileno(self) -> int:
        """Return the descriptor that subprocesses write to; the worker reads it too."""
        return self._descriptor


class StandardStreams:
    """Both streams, told which input runs."""

    def __init__(self, outbox: Outbox, interrupts: Interrupts) -> None:
        self.lines = (
            Lines("stdout", 1, outbox, interrupts),
            Lines("stderr", 2, outbox, interrupts),
        )
        self._out = StandardStream(self.lines[0], "stdout", 1)
        self._err = StandardStream(self.lines[1], "stderr", 2)
        self.put_in_place()

    @property
    def current_input(self) -> str:
        """The input whose code asks; empty outside of any."""
        return self.lines[0].current.input_id

    def begin(self, input_id: str) -> None:
        """Attribute what is written from here on to an input, whatever the one before did to `sys`."""
        if sys.stdout is not self._out or sys.stderr is not self._err:
            self.put_in_place()
        self._out.renew()
        self._err.renew()
        for lines in self.lines:
            lines.draft.input_id = input_id

    def end(self) -> None:
        """Finish the input's last lines; what is written from here on belongs to nobody."""
        for lines in self.lines:
            draft = lines.draft
            if draft.partial:
                lines.finish_line()
            draft.input_id = ""

    def finish_lines(self) -> None:
        """Send what whoever asks has written of unfinished lines."""
        for lines in self.lines:
            lines.finish_line()

    def renew(self) -> None:
        """Open again what an input closed."""
        self._out.renew()
        self._err.renew()

    def put_in_place(self) -> None:
        """Have `sys` name these streams."""
        sys.stdout = sys.__stdout__ = self._out  # type: ignore[misc,assignment]  # as any replacement
        sys.stderr = sys.__stderr__ = self._err  # type: ignore[misc,assignment]
