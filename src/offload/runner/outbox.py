"""What goes to the worker: gathered, grouped, and written by whichever thread comes first."""

from __future__ import annotations

import os
from _thread import allocate_lock, get_ident

from offload.wire import guest
from offload.wire.limits import INLINE_PAYLOAD_BYTES

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from _socket import socket
    from typing import Union

    Entry = Union[guest.Message, guest.Result, guest.Output]

EXIT_WORKER_GONE = 69
EXIT_PROTOCOL = 70
_MSG_DONTWAIT = 0x40  # Linux; `socket` would take longer to import than all else here

# User code may find this name replaced (see `exits`); a process that must end ends.
exit_now = os._exit


class Outbox:
    """Results, items and output on their way out, in order.

    Whoever adds more than fits waits for the worker to take it: that is the back-pressure user code feels.
    """

    def __init__(self, connection: socket) -> None:
        self._connection = connection
        self._pending: list[Entry] = []
        self._size = 0
        self._unsent = memoryview(b"")
        self._lock = allocate_lock()
        self._writer = 0  # the thread that holds the lock
        self._bulks = iter(range(1, 1 << 32))  # of which several threads may take
        self._wake_read, self._wake_write = os.pipe()
        self.reader_sleeps = False
        self.is_child = False
        os.register_at_fork(after_in_child=self._become_child)

    def adopt(self, connection: socket) -> None:
        """Send through another connection, in a fork that is a container of its own."""
        for fd in self.own_fds:
            os.close(fd)
        self._wake_read, self._wake_write = os.pipe()
        self._connection = connection
        self.is_child = False

    @property
    def own_fds(self) -> tuple[int, int]:
        """The descriptors that are nobody's but this outbox's."""
        return self._wake_read, self._wake_write

    @property
    def wake_fd(self) -> int:
        """Becomes readable when something waits that the sleeping reader's clock must look after."""
        return self._wake_read

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self._pending and not self._unsent

    def add(self, entry: Entry, size_bytes: int, *, wake: bool = True) -> None:
        """Take something to send soon; wait until there is room where there is too much already."""
        if self.is_child:
            return
        self._pending.append(entry)
        self._size += size_bytes
        if self._size > INLINE_PAYLOAD_BYTES:
            self.flush()
        elif wake:
            self.wake_reader()

    def post(self, entry: Entry) -> None:
        """Take something small to send, never waiting: for the reader, which must not stop reading."""
        self._pending.append(entry)

    def next_bulk(self) -> int:
        """Return the number of a new large body."""
        return next(self._bulks)

    def wake_reader(self) -> None:
        """See to it that the reader looks at the clock."""
        if self.reader_sleeps:
            self.reader_sleeps = False
            os.write(self._wake_write, b"\0")

    def wake_watch(self) -> None:
        """Wake the watch now, whatever it waits for."""
        os.write(self._wake_write, b"\0")

    def flush(self, *, wait: bool = True, patience_seconds: float = 0.0) -> None:
        """Send everything; without `wait` only what the socket takes now, where nobody writes for longer than that."""
        me = get_ident()
        # A destructor may run, and print, while this thread is below: its lines go out with the rest.
        if self.is_child or self._writer == me:
            return
        if not (self._lock.acquire(True, -1 if wait else patience_seconds)):
            return
        self._writer = me
        try:
            while self._pending or self._unsent:
                if not self._unsent:
                    self._unsent = memoryview(self._encode_pending())
                sent = self._connection.send(self._unsent, 0 if wait else _MSG_DONTWAIT)
                self._unsent = self._unsent[sent:]
        except BlockingIOError:
            pass
        except OSError:
            exit_now(EXIT_WORKER_GONE)
        finally:
            self._writer = 0
            self._lock.release()

    def _encode_pending(self) -> bytes:
        # Other threads append meanwhile, so the list stays the same object.
        count = len(self._pending)
        entries = self._pending[:count]
        del self._pending[:count]
        self._size = 0
        frames: list[bytes] = []
        results: list[guest.Result] = []
        lines: list[guest.Output] = []
        for entry in entries:
            if type(entry) is guest.Result:
                _close_lines(frames, lines)
                results.append(entry)
            elif type(entry) is guest.Output:
                _close_results(frames, results)
                lines.append(entry)
            else:
                _close_lines(frames, lines)
                _close_results(frames, results)
                frames.append(guest.encode(entry))  # type: ignore[arg-type]  # the rest are messages
        _close_lines(frames, lines)
        _close_results(frames, results)
        return b"".join(frames)

    def _become_child(self) -> None:
        # A fork of user code shares the socket but is not the container: it must never write there.
        self.is_child = True
        self._pending.clear()
        self._lock = allocate_lock()


def _close_results(frames: list[bytes], results: list[guest.Result]) -> None:
    if results:
        frames.append(guest.encode(guest.Results(tuple(results))))
        results.clear()


def _close_lines(frames: list[bytes], lines: list[guest.Output]) -> None:
    if lines:
        frames.append(guest.encode(guest.Outputs(tuple(lines))))
        lines.clear()
