"""The socket to one container's runner, without a task and without ever waiting for it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import IO, TYPE_CHECKING

from offload.wire import guest
from offload.wire.limits import CHUNK_BYTES, MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_RECEIVE_BYTES = 256 * 1024

# One for all channels, as all live in one thread: a fresh one of this size for every read costs a map and an unmap.
_buffer = memoryview(bytearray(_RECEIVE_BYTES))

# How much one container may have read at a time, so that a flood from one does not starve the others.
_READS_PER_TURN = 4


class Channel:
    """Frames to and from one runner. Not thread-safe.

    `on_message` may raise `guest.GuestProtocolError`; that and a frame that does not parse end the listening and are told
    to `on_broken`, once.
    """

    def __init__(
        self,
        sock: socket.socket,
        on_message: Callable[[guest.Message], None],
        on_broken: Callable[[str], None],
    ) -> None:
        self._socket = sock
        self._on_message = on_message
        self._on_broken = on_broken
        self._loop = asyncio.get_running_loop()
        self._decoder = guest.Decoder(max_bytes=MAX_MESSAGE_BYTES)
        self._out: deque[memoryview | _FileSource] = deque()
        self._numbers = 0
        self.unsent_bytes = 0  # what the runner has not taken yet, files apart
        self._holds: set[str] = set()
        self._is_over = False  # nothing more is read
        self._is_writing = False
        self._loop.add_reader(sock.fileno(), self._on_readable)

    def send(self, message: guest.Message) -> None:
        """Send a frame after those sent before. A runner that is gone swallows it."""
        frame = guest.encode(message)
        if self._out:
            self._out.append(memoryview(frame))
            self.unsent_bytes += len(frame)
            return
        sent = self._try_send(frame)
        if sent < len(frame):
            self._out.append(memoryview(frame)[sent:])
            self.unsent_bytes += len(frame) - sent
            self._start_writing()

    def send_file(self, file: IO[bytes]) -> int:
        """Send a file as a large body after what was sent before, close it, and return the body's number."""
        self._numbers += 1
        self._out.append(_FileSource(self._numbers, file))
        self._start_writing()
        return self._numbers

    def hold(self, reason: str, *, on: bool) -> None:
        """Stop reading, or go on, for one reason of possibly several."""
        was_held = bool(self._holds)
        if on:
            self._holds.add(reason)
        else:
            self._holds.discard(reason)
        if self._is_over or was_held == bool(self._holds):
            return
        if self._holds:
            self._loop.remove_reader(self._socket.fileno())
        else:
            self._loop.add_reader(self._socket.fileno(), self._on_readable)

    def drain(self) -> None:
        """Read what a runner that is gone has left behind."""
        while not self._is_over and self._read_once():
            pass

    def close(self) -> None:
        """Stop reading and writing; the socket is the container's to close. Idempotent."""
        self._stop_reading()
        self._stop_writing()

    def _on_readable(self) -> None:
        for _ in range(_READS_PER_TURN):
            if self._is_over or self._holds or not self._read_once():
                return

    def _read_once(self) -> bool:
        """Handle what one read gives; return whether there may be more."""
        try:
            size_bytes = self._socket.recv_into(_buffer)
        except BlockingIOError:
            return False
        except OSError:
            size_bytes = 0
        if not size_bytes:
            self._stop_reading()
            return False
        data = bytes(_buffer[:size_bytes])
        try:
            for message in self._decoder.feed(data):
                self._on_message(message)
        except guest.GuestProtocolError as error:
            self._stop_reading()
            self._on_broken(str(error))
        return size_bytes == _RECEIVE_BYTES

    def _stop_reading(self) -> None:
        if not self._is_over:
            self._is_over = True
            if not self._holds:
                self._loop.remove_reader(self._socket.fileno())

    def _try_send(self, data: bytes | memoryview) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            # The runner is gone; that is told by its end, not by this.
            return len(data)

    def _start_writing(self) -> None:
        if not self._is_writing:
            self._is_writing = True
            self._loop.add_writer(self._socket.fileno(), self._on_writable)

    def _stop_writing(self) -> None:
        if self._is_writing:
            self._is_writing = False
            self._loop.remove_writer(self._socket.fileno())
        for source in self._out:
            if isinstance(source, _FileSource):
                source.file.close()
        self._out.clear()

    def _on_writable(self) -> None:
        out = self._out
        while out:
            first = out[0]
            if isinstance(first, _FileSource):
                # One piece at a time: a file waits on disk, not in memory.
                piece, is_last = first.next_frame()
                if is_last:
                    out.popleft()
                out.appendleft(memoryview(piece))
                self.unsent_bytes += len(piece)
                continue
            sent = self._try_send(first)
            self.unsent_bytes -= sent
            if sent < len(first):
                out[0] = first[sent:]
                return
            out.popleft()
        self._stop_writing()


class _FileSource:
    """A file on its way to a runner, piece by piece."""

    def __init__(self, number: int, file: IO[bytes]) -> None:
        self.file = file
        self._number = number
        self._ahead = file.read(CHUNK_BYTES)

    def next_frame(self) -> tuple[bytes, bool]:
        """Return the next piece as a frame, and whether it is the last."""
        data, self._ahead = self._ahead, self.file.read(CHUNK_BYTES)
        is_last = not self._ahead
        if is_last:
            self.file.close()
        return guest.encode(guest.Bulk(self._number, data, is_last)), is_last
