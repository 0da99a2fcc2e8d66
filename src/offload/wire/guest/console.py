"""The conversation between a worker and a console, which runs one program for a person in a container.

A frame is a 1-byte kind, a 4-byte length and a body. The worker's first one is START; the console's last one is EXIT or REFUSED.
As everything that comes out of a container, what a console says is not trusted: a frame that does not parse ends it.

Standard library only, CPython 3.9 or later: `offload.runner.console` is the other side.
"""

from __future__ import annotations

import struct

# What the worker says.
START = (
    1  # JSON: `argv` (none: a shell), `env`, `cwd`, and `size` where the program gets a terminal
)
INPUT = 2
INPUT_END = 3
SIZE = 4  # of the terminal: rows and columns
SIGNAL = 5  # one byte: its number, for the program
# What the console says.
OUTPUT = 16
ERRORS = 17  # of a program without a terminal, what it writes to descriptor 2
EXIT = 18  # one byte: the program's exit code, 128 + N after signal N
REFUSED = 19  # why there is no program, in words

# The longest that is sent of what a program reads or writes.
PIECE_BYTES = 32 * 1024

# Of what a person types or sends so much is under way at most. The link's own credits would not do: whoever waits for them does
# not see that the other side is gone.
INPUT_WINDOW_BYTES = 256 * 1024

_MAX_BYTES = 1024 * 1024  # START has all variables of the program in it
_HEAD = struct.Struct("!BI")
_SIZE = struct.Struct("!HH")


class ConsoleProtocolError(Exception):
    """The other side speaks another language."""


def pack(kind: int, body: bytes = b"") -> bytes:
    """Return a whole frame."""
    return _HEAD.pack(kind, len(body)) + body


def pack_size(rows: int, columns: int) -> bytes:
    """Return the body of SIZE."""
    return _SIZE.pack(min(rows, 0xFFFF), min(columns, 0xFFFF))


def read_size(body: bytes) -> tuple[int, int]:
    """Return rows and columns. Raises `ConsoleProtocolError`."""
    if len(body) != _SIZE.size:
        raise ConsoleProtocolError("a size has two numbers")
    rows, columns = _SIZE.unpack(body)
    return rows, columns


class Frames:
    """Cuts a stream of bytes back into frames."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take bytes in; return the frames that are complete. Raises `ConsoleProtocolError`."""
        self._data += data
        frames = []
        start = 0
        while len(self._data) - start >= _HEAD.size:
            kind, size = _HEAD.unpack_from(self._data, start)
            if size > _MAX_BYTES:
                raise ConsoleProtocolError(f"a frame of {size} bytes is none of a console's")
            end = start + _HEAD.size + size
            if len(self._data) < end:
                break
            frames.append((kind, bytes(self._data[start + _HEAD.size : end])))
            start = end
        del self._data[:start]
        return frames
