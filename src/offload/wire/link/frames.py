"""The frames of the link: a kind, a stream number, and what the kind says.

One frame is one binary WebSocket message. A request that streams nothing is a single `REQUEST` frame and its answer a
single `REPLY`, so that a unary call costs one write and one read on each side.
"""

from __future__ import annotations

import enum
import struct
from typing import TYPE_CHECKING

from offload.wire.limits import MAX_MESSAGE_BYTES
from offload.wire.status import Status, WireError

if TYPE_CHECKING:
    from collections.abc import Sequence

PING_SECONDS = 10.0
LINK_PATH = "/link"
PROTOCOL_HEADER = "x-offload-protocol"

# The largest frame: the largest message, a method's name and the header.
MAX_FRAME_BYTES = MAX_MESSAGE_BYTES + 512

_HEADER = struct.Struct("<BI")
_U32 = struct.Struct("<I")
HEADER_BYTES = _HEADER.size


class Kind(enum.IntEnum):
    """What a frame does to its stream."""

    REQUEST = 1  # client: method and the only request message
    OPEN = 2  # client: method; DATA follows
    DATA = 3  # a message
    END = 4  # nothing more from this side
    REPLY = 5  # server: the last message and END in one
    ERROR = 6  # server: a status and why; the stream is over
    CANCEL = 7  # client: nobody waits for it any more
    CREDIT = 8  # the receiver may be sent so many more DATA


class FrameError(ValueError):
    """The other side does not speak this protocol; the connection is of no further use."""


def pack(kind: Kind, stream: int, body: bytes = b"") -> bytes:
    """Return one frame."""
    return _HEADER.pack(kind, stream) + body


def pack_parts(kind: Kind, stream: int, parts: Sequence[bytes | memoryview]) -> bytes:
    """Return one frame whose body is in parts."""
    return b"".join((_HEADER.pack(kind, stream), *parts))


def pack_method(kind: Kind, stream: int, method: str, body: bytes = b"") -> bytes:
    """Return a `REQUEST` or `OPEN` frame."""
    name = method.encode()
    return b"".join((_HEADER.pack(kind, stream), bytes((len(name),)), name, body))


def pack_error(stream: int, error: WireError) -> bytes:
    """Return an `ERROR` frame."""
    return pack(Kind.ERROR, stream, bytes((error.status,)) + error.message.encode())


def pack_credit(stream: int, messages: int) -> bytes:
    """Return a `CREDIT` frame."""
    return pack(Kind.CREDIT, stream, _U32.pack(messages))


def parse(frame: bytes) -> tuple[int, int]:
    """Return kind and stream number of a frame; the body begins at `HEADER_BYTES`."""
    if len(frame) < HEADER_BYTES:
        raise FrameError(f"a frame of {len(frame)} bytes is too short")
    kind, stream = _HEADER.unpack_from(frame)
    return kind, stream


def parse_method(frame: bytes) -> tuple[str, int]:
    """Return the method of a `REQUEST` or `OPEN` frame and where its message begins."""
    start = HEADER_BYTES + 1
    if len(frame) < start or len(frame) < start + frame[HEADER_BYTES]:
        raise FrameError("a request without its method's name")
    end = start + frame[HEADER_BYTES]
    try:
        return frame[start:end].decode(), end
    except UnicodeDecodeError as error:
        raise FrameError("a method's name is not text") from error


def parse_error(frame: bytes) -> WireError:
    """Return the error of an `ERROR` frame."""
    if len(frame) <= HEADER_BYTES:
        raise FrameError("an error without a status")
    code = frame[HEADER_BYTES]
    status = Status(code) if code in Status._value2member_map_ else Status.UNKNOWN
    return WireError(status, frame[HEADER_BYTES + 1 :].decode(errors="replace"))


def parse_credit(frame: bytes) -> int:
    """Return the number of a `CREDIT` frame."""
    if len(frame) != HEADER_BYTES + _U32.size:
        raise FrameError("a credit of the wrong length")
    (messages,) = _U32.unpack_from(frame, HEADER_BYTES)
    return int(messages)
