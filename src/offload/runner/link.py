"""Taking the worker's frames, and keeping the container's clock.

A frame that another thread receives costs the main thread two context switches, more than the rest of a small call.
So the main thread reads the socket itself while it has nothing else to do. A second thread, the watch, looks every
`_TICK_MS` at what must be told within a few milliseconds (results, items, lines, or that an input has begun). When
it finds user code running, it takes over reading, so that a cancel is heard; when it finds nothing running any more,
it hands reading back. Who reads holds `_reading`. After `_CALM_TICKS` without work the watch sleeps
until it is woken, and costs nothing.
"""

from __future__ import annotations

import os
import select
import time
from _queue import Empty, SimpleQueue
from _thread import allocate_lock, start_new_thread

from offload.runner.bodies import BulkInbox, Incoming
from offload.runner.cancellation import Job
from offload.runner.outbox import EXIT_PROTOCOL, EXIT_WORKER_GONE, exit_now
from offload.wire import guest

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from _socket import socket
    from typing import NamedTuple, Union

    from offload.runner.asking import Platform
    from offload.runner.beside import Beside
    from offload.runner.cancellation import Interruptor
    from offload.runner.outbox import Outbox
else:
    from offload.wire.records import NamedTuple

_TICK_MS = 2
_CALM_TICKS = 25
_RECEIVE_BYTES = 64 * 1024  # more would make every small receive map and unmap memory


class Loading(NamedTuple):
    """The order to become a function, with its code."""

    order: guest.Load
    code: Incoming


class _ReadYourself(NamedTuple):
    """The watch has stopped reading."""


if TYPE_CHECKING:
    Work = Union[Job, Loading, guest.Stop]


class Link:
    """What the main thread takes its work from. Who reads puts it there, and takes back what was not begun."""

    def __init__(self, connection: socket, outbox: Outbox, interrupts: Interruptor) -> None:
        self._connection = connection
        self._outbox = outbox
        self._interrupts = interrupts
        self._bulk = BulkInbox()
        self._decoder = guest.Decoder()
        self._in_hand: dict[str, Job] = {}
        self._running: Job | None = None
        # Monotonic; also while user code runs outside any job: modules being imported, handlers at the end.
        self._busy_since: float | None = None
        self._queue: SimpleQueue[Work | _ReadYourself] = SimpleQueue()
        self._reading = allocate_lock()
        self._watch_reads = False
        self._calm_ticks = 0
        self.beside: Beside | None = None  # where several inputs run at the same time
        self._is_watched = False
        self._expects_answers = False
        self._platform: Platform | None = None
        self._finding = allocate_lock()
        guest.find_platform = self._find_platform

    def run_beside(self, interrupts: Interruptor) -> Beside:
        """Run several inputs at the same time from here on; return what is to be told of them."""
        from offload.runner.beside import Beside  # noqa: PLC0415 - most containers run one input at a time

        self._interrupts = interrupts
        self.beside = Beside(self._outbox, self._in_hand)
        return self.beside

    def adopt(self, connection: socket) -> None:
        """Read from another connection, in a fork that is a container of its own."""
        self._connection = connection
        self._decoder = guest.Decoder()

    def start(self) -> None:
        """Begin to watch."""
        self._is_watched = True
        start_new_thread(self._run, ())

    def next(self) -> Work:
        """Return the next piece of work; send what is done before waiting for it."""
        self._busy_since = None
        while True:
            if self._queue.empty():
                self._outbox.flush()
                if self._reading.acquire(blocking=False):
                    try:
                        self._read_until_work()
                    except guest.GuestProtocolError as error:
                        _end_malformed(error)
                    finally:
                        self._reading.release()
            work = self._queue.get()
            if not isinstance(work, _ReadYourself):
                return work

    def _read_until_work(self) -> None:
        while self._queue.empty():
            self._receive()
            if not self._outbox.is_empty:
                self._outbox.flush()

    def begin(self, job: Job) -> bool:
        """Note that the job's user code is about to run; False where it has been cancelled meanwhile."""
        if job.cancel is not None:
            self.finish(job)
            job.args.drop()
            # It was between the queue and its beginning when the worker asked for what had not begun.
            self._outbox.add(guest.GivenBack((job.input_id,)), 64)
            return False
        self._running = job
        self.occupy()
        return True

    def occupy(self) -> None:
        """Note that the main thread is about to run user code: another must hear the worker."""
        self._busy_since = time.monotonic()
        self._outbox.wake_reader()

    def finish(self, job: Job) -> None:
        """Note that the job has ended."""
        self._busy_since = None
        self._running = None
        if self._in_hand.get(job.input_id) is job:
            del self._in_hand[job.input_id]

    def tell_begun(self) -> None:
        """Say which input runs, where that has not been said."""
        job = self._running
        if job is not None and not job.begun_told:
            job.begun_told = True
            self._outbox.post(guest.Begun(job.input_id, job.attempt))

    def _find_platform(self) -> Platform:
        if not self._is_watched:
            raise RuntimeError("code that runs while a template is loaded cannot ask the platform")
        if self._platform is None:
            from offload.runner.asking import Platform  # noqa: PLC0415 - most containers never ask

            with self._finding:  # threads that ask first at the same time must find the same one
                self._platform = self._platform or Platform(
                    self._outbox, lambda: self._interrupts, self._expect_answers
                )
        return self._platform

    def _expect_answers(self) -> None:
        """See to it that another thread reads: the one that asked may wait, and it may be the main thread."""
        if self._busy_since is not None and not self._watch_reads:
            self._expects_answers = True
            self._outbox.wake_watch()

    def _run(self) -> None:
        try:
            self._watch()
        except guest.GuestProtocolError as error:
            _end_malformed(error)
        except BaseException as error:  # noqa: BLE001 - without a watch the container is deaf; it must end
            _complain(f"the watch failed: {type(error).__name__}: {error}")
            exit_now(EXIT_PROTOCOL)

    def _watch(self) -> None:
        woken, all_sources = select.poll(), select.poll()
        woken.register(self._outbox.wake_fd, select.POLLIN)
        all_sources.register(self._outbox.wake_fd, select.POLLIN)
        all_sources.register(self._connection.fileno(), select.POLLIN)
        while True:
            source = all_sources if self._watch_reads else woken
            ready = source.poll(self._timeout_ms())
            self._outbox.reader_sleeps = False
            if not ready:
                self._tick()
            for descriptor, _ in ready:
                self._calm_ticks = 0
                if descriptor == self._outbox.wake_fd:
                    os.read(descriptor, 4096)
                    if self._expects_answers:
                        self._expects_answers = False
                        self._take_over()
                else:
                    self._receive()

    def _timeout_ms(self) -> int | None:
        if self._must_tick():
            return _TICK_MS
        # Announced first and looked at again: else work begun in between would never be told.
        self._outbox.reader_sleeps = True
        return _TICK_MS if self._must_tick() else None

    def _must_tick(self) -> bool:
        if self._interrupts.is_owed or not self._outbox.is_empty:
            return True
        if self.beside is not None and self.beside.is_untold:
            return True
        if self._busy_since is None:
            return self._watch_reads or self._calm_ticks < _CALM_TICKS
        job = self._running
        return not self._watch_reads or (job is not None and not job.begun_told)

    def _tick(self) -> None:
        busy_since = self._busy_since
        if busy_since is None:
            self._calm_ticks += 1
            if self._watch_reads:
                self._watch_reads = False
                self._reading.release()
                self._queue.put(_ReadYourself())  # the main thread may be waiting for us
        else:
            self._calm_ticks = 0
            if time.monotonic() - busy_since > _TICK_MS / 1000:
                self.tell_begun()
            self._take_over()
        if self.beside is not None:
            self.beside.tell_begun(time.monotonic() - _TICK_MS / 1000)
        self._interrupts.remind()
        self._outbox.flush(wait=False)

    def _take_over(self) -> None:
        if not self._watch_reads and self._busy_since is not None:
            self._watch_reads = self._reading.acquire(blocking=False)

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
        else:
            self._obey_rarely(message)

    def _obey_rarely(self, message: guest.Message) -> None:
        if isinstance(message, guest.Load):
            self._queue.put(Loading(message, self._bulk.take(message.code)))
        elif self._platform is None or not self._platform.take(message):
            raise guest.GuestProtocolError(f"{type(message).__name__} is not for the runner")

    def _give_back(self) -> None:
        returned = []
        kept: list[Work | _ReadYourself] = []
        waiting = self.beside.take_back() if self.beside is not None else None
        if waiting is not None:
            returned.append(waiting.input_id)
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


def _end_malformed(error: guest.GuestProtocolError) -> None:
    _complain(f"malformed frame from the worker: {error}")
    exit_now(EXIT_PROTOCOL)


def _complain(text: str) -> None:
    os.write(2, f"offload runner: {text}\n".encode("utf-8", "replace"))
