"""Several calls of the function at the same time: in threads, or on one event loop where it is async.

The main thread only hands inputs out; user code runs in other threads, or in the loop's. A call has one of `max_calls` places,
and gives it back when its results are on their way: so what the worker knows of what has ended is never behind what has begun.
"""

from __future__ import annotations

import os
from _contextvars import Context, ContextVar
from _queue import Empty, SimpleQueue
from _thread import allocate_lock, start_new_thread

from offload.runner.execute import Executor
from offload.runner.outbox import EXIT_PROTOCOL, exit_now
from offload.runner.stdio import Draft
from offload.runner.thread_interrupts import ThreadInterrupts

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Callable, NoReturn, Protocol

    from offload.runner.beside import Beside
    from offload.runner.cancellation import Job
    from offload.runner.link import Link
    from offload.runner.outbox import Outbox
    from offload.runner.stdio import StandardStreams
    from offload.wire.guest import Result

    class Crowd(Protocol):
        """Runs inputs beside one another."""

        def take(self, job: Job) -> None:
            """Have the job run; wait until there is a place for it."""

        def wait_for(self, awaitable: object) -> object:
            """Run a hook's awaitable, where no input runs, where inputs run that are async."""

        def close(self) -> None:
            """Wait until everything has ended, and end what it left behind."""


# Whose code runs: each thread and each task has a context of its own.
_current: ContextVar[Job | None] = ContextVar("offload_input", default=None)


def current_job() -> Job | None:
    """Return the job that this thread or task runs, where several may run at the same time."""
    return _current.get()


class Places:
    """So many calls may run at the same time."""

    def __init__(self, link: Link, count: int) -> None:
        self._link = link
        self._count = count
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    def take(self, job: Job, beside: Beside) -> bool:
        """Take a place for the job; False, and no place, where it may not begin.

        While it waits for one, another thread hears the worker, which may have the job back.
        """
        try:
            self._free.get_nowait()
        except Empty:
            beside.wait(job)
            self._link.occupy()
            self._free.get()
            may_begin = beside.claim(job)
        else:
            may_begin = beside.admit(job)
        if not may_begin:
            self.give()
        return may_begin

    def give(self) -> None:
        """Give a place back."""
        self._free.put(None)

    def take_all(self) -> None:
        """Wait until nothing runs, for good."""
        self._link.occupy()
        for _ in range(self._count):
            self._free.get()


class SplitStreams:
    """The standard streams, with a draft of its own for each input. See `StandardStreams`."""

    def __init__(self, streams: StandardStreams, shield: ThreadInterrupts | None) -> None:
        self._streams = streams
        self._running: dict[Job, dict[str, Draft]] = {}
        for lines in streams.lines:
            lines.find_draft = self._draft
            if shield is not None:
                lines.shield = shield

    def enter(self, job: Job) -> None:
        """Attribute to the job what this thread or task writes from here on."""
        _current.set(job)
        if not self._running:
            # Another input may have replaced them for a while, as everybody's.
            self._streams.put_in_place()
        self._streams.renew()
        self._running[job] = {}

    def begin(self, input_id: str) -> None:
        """See `StandardStreams`; it has been entered already."""

    def end(self) -> None:
        """See `StandardStreams`."""
        job = _current.get()
        if job is None:
            return
        if self._running.get(job):
            self._streams.finish_lines()
        self._running.pop(job, None)

    def _draft(self, name: str) -> Draft:
        job = _current.get()
        if job is None:
            # A thread that user code has started: it can only be of the one that runs, where one alone does.
            running = list(self._running)
            if len(running) != 1:
                return self._streams.lines[int(name == "stderr")].draft
            job = running[0]
        drafts = self._running.get(job)
        if drafts is None:  # it has ended, and a thread or a task of it has not
            return self._streams.lines[int(name == "stderr")].draft
        draft = drafts.get(name)
        if draft is None:
            draft = drafts[name] = Draft(job.input_id)
        return draft


class ThreadExecutor(Executor):
    """Calls a function that is not async in whichever thread it is asked."""

    def __init__(self, outbox: Outbox, interrupts: ThreadInterrupts, streams: SplitStreams) -> None:
        super().__init__(outbox, interrupts, streams)
        self._split = streams

    def run(self, job: Job) -> Result:
        """See `Executor`."""
        self._split.enter(job)
        return super().run(job)

    def _await(self, _job: Job, coroutine: Coroutine[object, object, object]) -> object:
        # It has made one all the same: this thread waits for it, on a loop of its own.
        import asyncio  # noqa: PLC0415 - slow to import, and most functions are not async

        return asyncio.run(coroutine)


class Threads:
    """Threads that are kept for what comes next. `rest` is called by one that has nothing to do any more."""

    def __init__(self, rest: Callable[[], None]) -> None:
        self._rest = rest
        self._work: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._lock = allocate_lock()
        self._idle = 0  # threads without work; below 0: so much work waits for one
        self._count = 0

    def run(self, action: Callable[[], object]) -> None:
        """Run the action in a thread. It must not raise."""
        if self._idle <= 0 and self._start(action):
            return
        with self._lock:
            self._idle -= 1
        self._work.put(action)

    def _start(self, action: Callable[[], object]) -> bool:
        try:
            start_new_thread(self._serve, (action,))
        except RuntimeError:  # the container may have no more: one that it has comes to it later
            if not self._count:
                raise
            return False
        self._count += 1
        return True

    def _serve(self, action: Callable[[], object]) -> None:
        try:
            while True:
                Context().run(action)
                with self._lock:
                    self._idle += 1
                try:
                    action = self._work.get_nowait()
                except Empty:
                    self._rest()
                    action = self._work.get()
        except BaseException as error:  # noqa: BLE001 - its place would never be free again; the container must end
            end_broken(error)


class ThreadCrowd:
    """Runs each input in a thread."""

    def __init__(
        self,
        link: Link,
        outbox: Outbox,
        interrupts: ThreadInterrupts,
        executor: ThreadExecutor,
        max_calls: int,
    ) -> None:
        self._outbox = outbox
        self._executor = executor
        self._beside = link.run_beside(interrupts)
        self._places = Places(link, max_calls)
        # What a thread has done goes out with what it does next, or within a tick of the watch: many short inputs are one message.
        self._threads = Threads(outbox.flush)

    def take(self, job: Job) -> None:
        """See `Crowd`."""
        if self._places.take(job, self._beside):
            self._threads.run(lambda: self._run(job))

    def wait_for(self, awaitable: object) -> object:
        """See `Crowd`."""
        return self._executor.wait_for(awaitable)

    def close(self) -> None:
        """See `Crowd`."""
        self._places.take_all()

    def _run(self, job: Job) -> None:
        self._beside.begin((job,))
        result = self._executor.run(job)
        add_results(self._outbox, self._beside, [(job, result)])
        self._places.give()


def end_broken(error: BaseException) -> NoReturn:
    """End the container, because our own code in it failed."""
    os.write(2, f"offload runner: {type(error).__name__}: {error}\n".encode("utf-8", "replace"))
    exit_now(EXIT_PROTOCOL)


def add_results(outbox: Outbox, beside: Beside, results: list[tuple[Job, Result]]) -> None:
    """Have it sent how inputs ended."""
    beside.end(job for job, _ in results)
    for _, result in results:
        size = 128 if result.value is None else 128 + len(result.value.inline)
        outbox.add(result, size)
