"""Sending a frame on a link's connection from a thread that is not its loop's.

To hand a frame to the loop's thread wakes that thread, which then waits for the sender to let go of the interpreter: a
tenth of a warm call. A second descriptor of the same socket takes the frame instead, as long as the transport has
nothing left to send. What the kernel takes at once it takes whole, so no other frame gets between its bytes; where it
takes a part only, the connection is given up, and the requests on it are repeated on the next one.
"""

from __future__ import annotations

import os
import random
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from picows import WSTransport

# A longer message gains nothing: copying it takes longer than the wake-up.
MAX_MESSAGE_BYTES = 16 * 1024

_FIN_BINARY = 0x82
_MASKED = 0x80
_SHORT = struct.Struct("!BB")
_LONG = struct.Struct("!BBH")


class SideDoor:
    """The second descriptor. Not for a connection with TLS, whose frames have to pass the loop's cipher."""

    def __init__(self, transport: WSTransport) -> None:
        self._transport = transport.underlying_transport
        inside = self._transport.get_extra_info("socket")
        self._socket = socket.socket(fileno=os.dup(inside.fileno()))
        self.is_free = False  # whether the transport had nothing left to send when last looked at
        self.look()

    def look(self) -> None:
        """See whether the transport has anything left to send. For the loop's thread, after each frame of its own."""
        self.is_free = self._transport.get_write_buffer_size() == 0

    def send(self, message: bytes) -> bool:
        """Send a binary message; return whether it was sent. Raises `BrokenPipeError` where a part of it was."""
        frame = _frame(message)
        try:
            sent = self._socket.send(frame, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:
            return False
        if sent < len(frame):
            raise BrokenPipeError("the connection took a part of a frame")
        return True

    def close(self) -> None:
        """Let go of the socket. Idempotent."""
        self._socket.close()


def _frame(message: bytes) -> bytes:
    """Return the message as a client's WebSocket frame, masked as RFC 6455 asks."""
    size = len(message)
    key = random.randbytes(4)  # noqa: S311  # it protects proxies from scripts, of which there are none here
    pad = (key * (size // 4 + 1))[:size]
    masked = int.from_bytes(message, "little") ^ int.from_bytes(pad, "little")
    head = (
        _SHORT.pack(_FIN_BINARY, _MASKED | size)
        if size < 126
        else _LONG.pack(_FIN_BINARY, _MASKED | 126, size)
    )
    return b"".join((head, key, masked.to_bytes(size, "little")))
