"""Interrupting one of several inputs that run in threads.

Signals reach the main thread alone, so an input in another one gets its exception from the interpreter: between two
instructions of its code, as soon as it runs Python code again. A thread that is in a system call or in a long computation in C
gets it when that is over; where the worker does not want to wait for so long, it ends the container.

Who reads decides under the lock that a thread is to be struck, and only while its input is armed. What has been decided but
has not struck yet is taken back when our own code shields itself, or disarms.
"""

from __future__ import annotations

import sys
from _thread import RLock, get_ident

from offload.errors import InputCancellation

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import Callable

    from offload.runner.cancellation import Job
    from offload.wire.guest import Cancel


class ThreadInterrupts:
    """Arms the input of each thread; as a context manager, holds back those of the thread that enters it.

    See `offload.runner.cancellation.Interrupts`.
    """

    def __init__(self, wake_watch: Callable[[], None]) -> None:
        self._wake_watch = wake_watch
        self._lock = RLock()  # a destructor may run, and be struck, while it is held
        self._armed: dict[int, Job] = {}  # by thread
        self._owed: dict[Job, None] = {}
        self._strike_thread: Callable[[int, object], object] | None = None
        sys.unraisablehook = self._notice_dropped

    def arm(self, job: Job) -> None:
        """Let the thread's input be interrupted from here on; interrupt it at once where it is cancelled already."""
        job.shields = 0
        job.thread_id = get_ident()
        with self._lock:
            self._armed[job.thread_id] = job
            is_late = job.cancel is not None
            job.interrupted = is_late
        if is_late:
            raise InputCancellation(_reason(job))

    def disarm(self) -> None:
        """Let nothing of this thread be interrupted."""
        for _ in range(2):  # one that was on its way may strike right here
            try:
                with self._lock:
                    job = self._armed.pop(get_ident(), None)
                    if job is not None and job.cancel is not None:
                        self._take_back(job.thread_id)
            except InputCancellation:  # noqa: PERF203 - the end is reached without
                continue
            else:
                return

    def request(self, job: Job, cancel: Cancel) -> None:
        """Mark the input as cancelled and interrupt it if it runs. Called from the reader's thread."""
        with self._lock:
            job.cancel = cancel
            self._owed[job] = None
        self.remind()

    @property
    def is_owed(self) -> bool:
        """See `Interrupts`."""
        return bool(self._owed)

    def remind(self) -> None:
        """Interrupt again where the first attempt may have gone unseen."""
        if not self._owed:
            return
        with self._lock:
            for job in list(self._owed):
                if job.interrupted or job not in self._armed.values():
                    del self._owed[job]  # delivered; or it waits for a place, or has ended
                elif not job.shields:
                    self._strike(job.thread_id, _exception_of(job))

    def __enter__(self) -> None:
        job = self._armed.get(get_ident())
        if job is None:
            return
        with self._lock:
            job.shields += 1
            if job.cancel is not None and not job.interrupted:
                self._take_back(job.thread_id)

    def __exit__(self, *_: object) -> None:
        job = self._armed.get(get_ident())
        if job is None:
            return
        with self._lock:
            job.shields -= 1
            is_due = not job.shields and job.cancel is not None and not job.interrupted
            job.interrupted = job.interrupted or is_due
        if is_due:
            raise InputCancellation(_reason(job))

    def _take_back(self, thread_id: int) -> None:
        if self._strike_thread is not None:
            self._strike(thread_id, None)

    def _strike(self, thread_id: int, exception: object) -> None:
        if self._strike_thread is None:
            try:
                import ctypes  # noqa: PLC0415 - slow to import, and few inputs are cancelled
            except ImportError:  # a Python without it: what runs is ended with its container
                return
            set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc

            def strike(ident: int, value: object) -> None:
                held = None if value is None else ctypes.py_object(value)
                set_exception(ctypes.c_ulong(ident), held)

            self._strike_thread = strike
        self._strike_thread(thread_id, exception)

    def _notice_dropped(self, dropped: sys.UnraisableHookArgs) -> None:
        """Owe the interrupt again where a destructor or a callback of the interpreter has swallowed it."""
        job = self._armed.get(get_ident())
        if job is None or not isinstance(dropped.exc_value, InputCancellation):
            sys.__unraisablehook__(dropped)
            return
        with self._lock:
            job.interrupted = False
            self._owed[job] = None
        self._wake_watch()


def _reason(job: Job) -> str:
    return job.cancel.reason if job.cancel is not None else ""


def _exception_of(job: Job) -> type[BaseException]:
    """Return what the interpreter can raise: it takes a class alone, and calls it in the thread it strikes."""

    def new(_: type[BaseException], *made: InputCancellation) -> InputCancellation:
        if made:  # before CPython 3.11 it is asked again to make an exception of its class of what it has made
            return made[0]
        job.interrupted = True
        return InputCancellation(_reason(job))

    return type("InputCancellation", (InputCancellation,), {"__new__": new})
