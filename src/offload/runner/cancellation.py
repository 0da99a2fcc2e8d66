"""Interrupting the input that runs, and no other.

User code runs in the main thread, frames arrive in another. To cancel, that thread marks the job and sends the main
thread a signal, which also wakes it out of sleeps and locks. The signal's handler runs in the main thread between two
of its instructions, so what it looks at cannot change under it: it raises only where the armed job is a cancelled one,
and disarms in the same breath. A signal that comes late finds another job armed, or none, and does nothing.

Two things may still swallow an interrupt: a signal that comes just before the main thread blocks in a lock does not
wake it, and an exception raised inside a destructor is dropped by the interpreter. So an interrupt stays owed, and the
watch repeats the signal, until it has been delivered to code that can see it.

Our own code that runs inside user code (a print, an item on its way) must not be torn apart: it shields itself, and
the interrupt comes when the shield is lowered.
"""

from __future__ import annotations

import sys
from _thread import get_ident

from offload.errors import InputCancellation

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    import signal
    from typing import Callable, Protocol

    from offload.runner.bodies import Incoming
    from offload.wire.guest import Cancel

    class Interruptor(Protocol):
        """Ends inputs before their time, wherever they run. See `Interrupts`."""

        @property
        def is_owed(self) -> bool:
            """See `Interrupts`."""

        def request(self, job: Job, cancel: Cancel) -> None:
            """See `Interrupts`."""

        def remind(self) -> None:
            """See `Interrupts`."""

        def __enter__(self) -> None:
            """See `Interrupts`."""

        def __exit__(self, *_: object) -> None:
            """See `Interrupts`."""
else:
    import _signal as signal  # the same functions, without the `enum` that names their numbers


class Job:
    """One attempt of an input in this container's hand."""

    __slots__ = (
        "args",
        "attempt",
        "batch",
        "began_at",
        "begun_told",
        "cancel",
        "cancel_task",
        "input_id",
        "interrupted",
        "item_count",
        "shields",
        "thread_id",
    )
    # Of inputs that run beside others, set by what runs them.
    batch: Job | None  # the call that it is part of
    began_at: float  # monotonic
    shields: int
    thread_id: int

    def __init__(self, input_id: str, attempt: int, args: Incoming) -> None:
        self.input_id = input_id
        self.attempt = attempt
        self.args = args
        self.begun_told = False
        self.cancel: Cancel | None = None
        self.interrupted = False
        self.cancel_task: Callable[[], object] | None = None  # set while an async function runs
        self.item_count = 0


class Interrupts:
    """Arms the job that may be interrupted; as a context manager, holds interrupts back for a moment."""

    def __init__(self, wake_watch: Callable[[], None]) -> None:
        self._wake_watch = wake_watch
        self._main_thread = get_ident()
        self._armed: Job | None = None
        self._owed: Job | None = None
        self._delivered: Job | None = None
        self._shields = 0
        signal.signal(signal.SIGUSR2, self._fire)
        sys.unraisablehook = self._notice_dropped

    def arm(self, job: Job) -> None:
        """Let the job be interrupted from here on; interrupt it at once where it is cancelled already."""
        self._armed = job
        if job.cancel is not None:
            self._fire()

    def disarm(self) -> None:
        """Let nothing be interrupted."""
        self._armed = self._owed = self._delivered = None

    def request(self, job: Job, cancel: Cancel) -> None:
        """Mark the job as cancelled and interrupt it if it runs. Called from the reader's thread."""
        job.cancel = cancel
        self._owed = job
        self.remind()

    @property
    def is_owed(self) -> bool:
        """Whether an interrupt waits to be delivered; then `remind` is to be called every few milliseconds."""
        return self._owed is not None

    def remind(self) -> None:
        """Interrupt again where the first attempt may have gone unseen."""
        job = self._owed
        if job is None:
            return
        if self._armed is job:
            signal.pthread_kill(self._main_thread, signal.SIGUSR2)
        else:  # it waits in the queue, or has ended
            self._owed = None

    def __enter__(self) -> None:
        if get_ident() == self._main_thread:
            self._shields += 1

    def __exit__(self, *_: object) -> None:
        if get_ident() == self._main_thread:
            self._shields -= 1
            if self._armed is not None and self._armed.cancel is not None:
                self._fire()

    def _fire(self, *_: object) -> None:
        job = self._armed
        if job is None or job.cancel is None or self._shields:
            return
        self._armed = self._owed = None
        self._delivered = job
        job.interrupted = True
        if job.cancel_task is not None:
            job.cancel_task()
        else:
            raise InputCancellation(job.cancel.reason)

    def _notice_dropped(self, dropped: sys.UnraisableHookArgs) -> None:
        """Owe the interrupt again where a destructor or a callback of the interpreter has swallowed it."""
        job = self._delivered
        if job is None or not isinstance(dropped.exc_value, InputCancellation):
            sys.__unraisablehook__(dropped)
            return
        self._delivered = None
        job.interrupted = False
        self._owed = self._armed = job
        self._wake_watch()
