"""The reader: a thread that takes the worker's frames and keeps the container's clock.

While something is in hand that must be told within a few milliseconds (results, items, lines, or that an input has
begun), it wakes up every `_TICK_MS`; else it sleeps until a frame or the main thread wakes it, and costs nothing.
"""

from __future__ import annotations

import os
import select
import threading
import time
from _queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, Union

from offload.runner.bodies import BulkInbox, Incoming
from offload.runner.cancellation import Job
from offload.runner.outbox import EXIT_PROTOCOL, EXIT_WORKER_GONE, exit_now
from offload.wire import guest

if TYPE_CHECKING:
    from _socket import socket

    from offload.runner.cancellation import Interrupts
    from offload.runner.outbox import Outbox

_TICK_MS = 2
_RECEIVE_BYTES = 64 * 1024  # more would make every small receive map and unmap memory


class Loading(NamedTuple):
    """The order to become a function, with its code."""

    order: guest.Load
    code: Incoming


Work = Union[Job, Loading, guest.Stop]


class Link:
    """What the main thread takes its work from. The reader puts it there, and takes back what was not begun."""

    def __init__(self, connection: socket, outbox: Outbox, interrupts: Interrupts) -> None:
        self._connection = connection
        self._outbox = outbox
        self._interrupts = interrupts
        self._bulk = BulkInbox()
        self._decoder = guest.Decoder()
        self._in_hand: dict[str, Job] = {}
        self._running: Job | None = None
        self._queue: SimpleQueue[Work] = SimpleQueue()

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._run, name="offload-reader", daemon=True).start()

    def next(self) -> Work:
        """Return the next piece of work; send what is done before waiting for it."""
        try:
            return self._queue.get_nowait()
        except Empty:
            self._outbox.flush()
            return self._queue.get()

    def begin(self, job: Job) -> bool:
        """Note that the job's user code is about to run; False where it has been cancelled meanwhile."""
        if job.cancel is not None:
            self.finish(job)
            job.args.drop()
            return False
        job.begun_at = time.monotonic()
        self._running = job
        self._outbox.wake_reader()
        return True

    def finish(self, job: Job) -> None:
        """Note that the job has ended."""
        self._running = None
        if self._in_hand.get(job.input_id) is job:
            del self._in_hand[job.input_id]

    def tell_begun(self) -> None:
        """Say which input runs, where that has not been said."""
        job = self._running
        if job is not None and not job.begun_told:
            job.begun_told = True
            self._outbox.post(guest.Begun(job.input_id, job.attempt))

    def _run(self) -> None:
        try:
            self._read()
        except guest.GuestProtocolError as error:
            _complain(f"malformed frame from the worker: {error}")
        except BaseException as error:  # noqa: BLE001 - without a reader the container is deaf; it must end
            _complain(f"the reader failed: {type(error).__name__}: {error}")
        exit_now(EXIT_PROTOCOL)

    def _read(self) -> None:
        poll = select.poll()
        poll.register(self._connection.fileno(), select.POLLIN)
        poll.register(self._outbox.wake_fd, select.POLLIN)
        while True:
            ready = poll.poll(self._timeout_ms())
            self._outbox.reader_sleeps = False
            if not ready:
                self._tick()
            for descriptor, _ in ready:
                if descriptor == self._outbox.wake_fd:
                    os.read(descriptor, 4096)
                else:
                    self._receive()

    def _timeout_ms(self) -> int | None:
        if self._must_tick():
            return _TICK_MS
        # Announced first and looked at again: else work begun in between would never be told.
        self._outbox.reader_sleeps = True
        return _TICK_MS if self._must_tick() else None

    def _must_tick(self) -> bool:
        job = self._running
        return (job is not None and not job.begun_told) or not self._outbox.is_empty

    def _tick(self) -> None:
        job = self._running
        if job is not None and time.monotonic() - job.begun_at > _TICK_MS / 1000:
            self.tell_begun()
        self._outbox.flush(wait=False)

    def _receive(self) -> None:
        try:
            data = self._connection.recv(_RECEIVE_BYTES)
        except OSError:
            data = b""
        if not data:
            exit_now(EXIT_WORKER_GONE)
        for message in self._decoder.feed(data):
            self._obey(message)

    def _obey(self, message: guest.Message) -> None:
        if isinstance(message, guest.Run):
            for input_id, attempt, args in message.tasks:
                job = Job(input_id, attempt, self._bulk.take(args))
                self._in_hand[input_id] = job
                self._queue.put(job)
        elif isinstance(message, guest.Bulk):
            self._bulk.add(message)
        elif isinstance(message, guest.Cancel):
            for input_id in message.input_ids:
                cancelled = self._in_hand.get(input_id)
                if cancelled is not None:
                    self._interrupts.request(cancelled, message)
        elif isinstance(message, guest.GiveBack):
            self._give_back()
        elif isinstance(message, guest.Stop):
            self._give_back()
            self._queue.put(message)
        elif isinstance(message, guest.Load):
            self._queue.put(Loading(message, self._bulk.take(message.code)))
        else:
            raise guest.GuestProtocolError(f"{type(message).__name__} is not for the runner")

    def _give_back(self) -> None:
        returned = []
        kept: list[Work] = []
        while True:
            try:
                work = self._queue.get_nowait()
            except Empty:
                break
            if not isinstance(work, Job):
                kept.append(work)
                continue
            work.args.drop()
            self._in_hand.pop(work.input_id, None)
            if work.cancel is None:
                returned.append(work.input_id)
        for work in kept:
            self._queue.put(work)
        self._outbox.post(guest.GivenBack(tuple(returned)))
        self._outbox.flush(wait=False)


def _complain(text: str) -> None:
    os.write(2, f"offload runner: {text}\n".encode("utf-8", "replace"))
