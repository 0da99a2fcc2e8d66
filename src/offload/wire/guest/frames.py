"""Frames: messages with a length and a kind in front, and a stream of bytes cut back into messages."""

from __future__ import annotations

import struct

from offload.wire.guest.codec import BODIES, GuestProtocolError
from offload.wire.limits import MAX_MESSAGE_BYTES

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import Callable

    from offload.wire.guest.messages import Message

    Write = Callable[[list[bytes], Message], None]
    Read = Callable[[bytes, int], tuple[Message, int]]

_HEADER = struct.Struct("<IB")  # length of kind and body, kind
# Each writer takes its own kind of message, which a table of all of them cannot say.
_WRITERS: dict[type, tuple[int, Write]] = {
    message: (kind, write)  # type: ignore[misc]
    for kind, (message, write, _) in enumerate(BODIES, 1)
}
_READERS: dict[int, Read] = {
    kind: read  # type: ignore[misc]
    for kind, (_, _, read) in enumerate(BODIES, 1)
}

_FIRST_ASK_KIND = 64


def _know_asks() -> None:
    from offload.wire.guest import ask_codec  # noqa: PLC0415 - most containers never need it

    for kind, (message, write, read) in enumerate(ask_codec.BODIES, _FIRST_ASK_KIND):
        _WRITERS[message] = kind, write  # type: ignore[assignment]  # see above
        _READERS[kind] = read  # type: ignore[assignment]  # see above


def _late_reader(kind: int) -> Read:
    if kind >= _FIRST_ASK_KIND:
        _know_asks()
    if kind not in _READERS:
        raise GuestProtocolError(f"unknown kind of frame: {kind}")
    return _READERS[kind]


def encode(message: Message) -> bytes:
    """Return the message's whole frame; raise GuestProtocolError where no frame is large enough for it."""
    try:
        kind, write = _WRITERS[type(message)]
    except KeyError:
        _know_asks()
        kind, write = _WRITERS[type(message)]
    parts: list[bytes] = []
    try:
        write(parts, message)
    except struct.error as error:
        raise GuestProtocolError(f"a field does not fit its place in a frame: {error}") from error
    body = b"".join(parts)
    if len(body) >= MAX_MESSAGE_BYTES:
        name = type(message).__name__
        raise GuestProtocolError(
            f"a {name} frame of {len(body)} bytes exceeds the limit of {MAX_MESSAGE_BYTES}"
        )
    return _HEADER.pack(len(body) + 1, kind) + body


class Decoder:
    """Cuts received bytes into messages; holds at most one unfinished frame."""

    def __init__(self, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that `data` completes.

        Raises GuestProtocolError for anything malformed, an oversized length as soon as it can be read. The messages
        before it in the same `data` are lost with it: there is no going on after that.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) < 4 or len(self._rest) < 4 + self._read_length(self._rest, 0):
                return []
            data = bytes(self._rest)
            self._rest = bytearray()
        messages: list[Message] = []
        at, size = 0, len(data)
        while size - at >= 4:
            end = at + 4 + self._read_length(data, at)
            if end > size:
                break
            messages.append(_decode(data[at + 4 : end]))
            at = end
        if at < size:
            self._rest += data[at:]
        return messages

    def _read_length(self, data: bytes | bytearray, at: int) -> int:
        length = int.from_bytes(data[at : at + 4], "little")
        if not 0 < length <= self._max_bytes:
            raise GuestProtocolError(
                f"a frame of {length} bytes announced; it must be 1 to {self._max_bytes}"
            )
        return length


def _decode(frame: bytes) -> Message:
    read = _READERS.get(frame[0]) or _late_reader(frame[0])
    try:
        message, end = read(frame, 1)
    except (struct.error, UnicodeDecodeError) as error:
        raise GuestProtocolError(f"malformed frame of kind {frame[0]}: {error}") from error
    if end != len(frame):
        raise GuestProtocolError(
            f"a frame of kind {frame[0]} says {end} bytes where it has {len(frame)}"
        )
    return message
