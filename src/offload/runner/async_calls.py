"""Several calls of an async function at the same time, as tasks of one event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import time
from _thread import start_new_thread
from collections import deque

from offload.runner.bodies import dump_value
from offload.runner.crowd import Places, SplitStreams, add_results, end_broken
from offload.runner.execute import Executor
from offload.runner.faults import describe
from offload.wire.guest import Result

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import Callable

    from offload.runner.bodies import Outgoing
    from offload.runner.cancellation import Job
    from offload.runner.link import Link
    from offload.runner.outbox import Outbox
    from offload.runner.stdio import StandardStreams
    from offload.wire.guest import Cancel, Fault


class _NoGuard:
    """Nothing strikes between two instructions of a task: it is cancelled where it awaits."""

    def arm(self, job: Job) -> None:
        """See `Guard`."""

    def disarm(self) -> None:
        """See `Guard`."""

    def __enter__(self) -> None:
        """See `Guard`."""

    def __exit__(self, *_: object) -> None:
        """See `Guard`."""


class AsyncExecutor(Executor):
    """Calls an async function for a job, in a task."""

    def __init__(self, outbox: Outbox, streams: StandardStreams) -> None:
        self._split = SplitStreams(streams, None)
        super().__init__(outbox, _NoGuard(), self._split)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that everything runs on."""
        return self._loop or self._open_loop()

    async def answer(self, job: Job) -> Result:
        """Run a job to its end, whatever end that is; see `Executor.run`."""
        self._split.enter(job)
        started_at = time.time()  # noqa: TID251 - the container's own clock is what is reported
        start = time.perf_counter()
        outgoing: Outgoing | None = None
        fault: Fault | None = None
        try:
            outgoing = await self._call_async(job)
        except BaseException as error:  # noqa: BLE001 - also SystemExit: it ends the input, not the loop
            self._leave_if_child(error)
            fault = describe(error, self._outbox)
        finally:
            job.cancel_task = None
        return self._result(job, outgoing, fault, started_at, start)

    async def _call_async(self, job: Job) -> Outgoing | None:
        task = asyncio.current_task(self._loop)
        if job.cancel is not None or task is None:
            job.interrupted = True
            raise asyncio.CancelledError
        job.cancel_task = task.cancel
        callee, value = self._begin(job)
        if callee.is_generator:
            if hasattr(value, "__aiter__"):
                await self._stream_async(job, callee, value)
            else:
                self._stream(job, callee, value)
            return None
        # Other methods of a class with web endpoints need not be async: those have the loop to themselves.
        if hasattr(value, "__await__"):
            value = await value
        return dump_value(value, f"the result of {callee.name}()")


async def _awaited(awaitable: object) -> object:
    return await awaitable  # type: ignore[misc]  # it says that it can be awaited


class Loop:
    """An event loop in a thread of its own, to which jobs are handed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, take: Callable[[Job], None]) -> None:
        self.loop = loop
        self._take = take
        self._arrived: deque[Job] = deque()
        self._is_told = False
        start_new_thread(self._run, ())

    def hand(self, job: Job) -> None:
        """Have the job taken in the loop's thread, together with what else comes meanwhile."""
        self._arrived.append(job)
        if not self._is_told:
            self._is_told = True
            self.loop.call_soon_threadsafe(self._take_arrived)

    def _take_arrived(self) -> None:
        self._is_told = False
        while self._arrived:
            self._take(self._arrived.popleft())

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        while True:
            try:
                self.loop.run_forever()
            except (SystemExit, KeyboardInterrupt):
                continue  # of a task that user code has started: it ends that task, not the container
            except BaseException as error:  # noqa: BLE001 - nothing would ever run again; the container must end
                end_broken(error)
            return


class AsyncCrowd:
    """Runs each input as a task."""

    def __init__(self, link: Link, outbox: Outbox, executor: AsyncExecutor, max_calls: int) -> None:
        self._outbox = outbox
        self._executor = executor
        self._beside = link.run_beside(self)
        self._places = Places(link, max_calls)
        self._tasks: dict[Job, asyncio.Task[None]] = {}  # the loop itself does not keep them
        self._done: list[tuple[Job, Result]] = []
        self._calls_over = 0  # those that `_done` is of
        self._loop = Loop(executor.loop, self._start)

    def take(self, job: Job) -> None:
        """See `Crowd`."""
        if self._places.take(job, self._beside):
            self._loop.hand(job)

    def wait_for(self, awaitable: object) -> object:
        """See `Crowd`."""
        waited = asyncio.run_coroutine_threadsafe(_awaited(awaitable), self._loop.loop)
        return waited.result()

    def close(self) -> None:
        """See `Crowd`."""
        self._places.take_all()

    def _start(self, job: Job) -> None:
        self._beside.begin((job,))
        self._tasks[job] = self._loop.loop.create_task(self._run(job))

    async def _run(self, job: Job) -> None:
        self._finish(job, [(job, await self._executor.answer(job))])

    def _finish(self, call: Job, results: list[tuple[Job, Result]]) -> None:
        """Send how the inputs of one call have ended, with what else ends in this turn of the loop."""
        del self._tasks[call]
        if not self._calls_over:
            self._loop.loop.call_soon(self._send)
        self._calls_over += 1
        self._done += results

    def _send(self) -> None:
        done, self._done = self._done, []
        count, self._calls_over = self._calls_over, 0
        add_results(self._outbox, self._beside, done)
        self._outbox.flush()
        for _ in range(count):
            self._places.give()

    # --- cancelling; see `Interruptor` ---

    @property
    def is_owed(self) -> bool:
        """See `Interruptor`."""
        return False

    def remind(self) -> None:
        """See `Interruptor`."""

    def __enter__(self) -> None:
        """See `Interruptor`; a task is cancelled where it awaits, so nothing needs a shield."""

    def __exit__(self, *_: object) -> None:
        """See `Interruptor`."""

    def request(self, job: Job, cancel: Cancel) -> None:
        """See `Interruptor`."""
        job.cancel = cancel
        self._loop.loop.call_soon_threadsafe(self._cancel, job)

    def _cancel(self, job: Job) -> None:
        if job.cancel_task is not None and not job.interrupted:
            job.interrupted = True
            job.cancel_task()
