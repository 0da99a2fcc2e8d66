"""Calls of an async function that takes lists, each for a batch of inputs. See `offload.runner.batches`."""

from __future__ import annotations

import asyncio
import time

from offload.runner.async_calls import AsyncCrowd, AsyncExecutor
from offload.runner.batches import Batch, begin_batch, ended, gather, leave_batch, spread

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from offload.runner.batches import Answer
    from offload.runner.cancellation import Job
    from offload.runner.link import Link
    from offload.runner.outbox import Outbox
    from offload.wire.guest import Cancel, Load, Result


class AsyncBatchExecutor(AsyncExecutor):
    """Calls an async function for a batch, in a task."""

    async def answer_batch(self, batch: Batch, jobs: list[Job]) -> list[tuple[Job, Result]]:
        """Call the function for a batch; return how each input that is still in it has ended."""
        self._split.enter(batch)
        began = time.time(), time.perf_counter()  # noqa: TID251 - the container's own clock is what is reported
        answers: dict[Job, Answer] = {}
        task = asyncio.current_task()
        batch.cancel_task = task.cancel if task is not None else None
        try:
            if batch.cancel is not None:
                batch.interrupted = True
                raise asyncio.CancelledError
            callee = self._callees.any
            ready, positional, named = gather(callee.function, jobs, answers)
            if ready:
                values = await callee.function(*positional, **named)  # type: ignore[misc]  # it is async
                spread(values, ready, callee.name, answers)
        except BaseException as error:  # noqa: BLE001 - as in `AsyncExecutor.answer`
            self._leave_if_child(error)
            answers.update(dict.fromkeys(jobs, error))
        finally:
            batch.cancel_task = None
        self._leave_if_child(None)
        self._streams.end()
        return ended(batch, answers, began, self._outbox)


class BatchedAsyncCrowd(AsyncCrowd):
    """Calls the function for each batch in a task."""

    def __init__(
        self, link: Link, outbox: Outbox, executor: AsyncBatchExecutor, order: Load
    ) -> None:
        super().__init__(link, outbox, executor, order.max_calls)
        self._batch_executor = executor
        self._size = order.batch_size
        self._wait_seconds = order.batch_wait_seconds
        self._forming: Batch | None = None

    def take(self, job: Job) -> None:
        """See `Crowd`."""
        forming = self._forming
        if forming is not None and forming.join(job, self._beside):
            if not forming.is_open:
                self._loop.loop.call_soon_threadsafe(self._begin, forming)
            return
        if self._places.take(job, self._beside):
            self._forming = batch = Batch(job, self._size)
            self._loop.hand(batch)

    def close(self) -> None:
        """See `Crowd`."""
        forming = self._forming
        if forming is not None and forming.is_open:
            self._loop.loop.call_soon_threadsafe(self._begin, forming)
        super().close()

    def _start(self, job: Job) -> None:
        batch = job
        assert isinstance(batch, Batch)  # noqa: S101 - as handed over by `take`
        if batch.is_open:
            self._loop.loop.call_later(self._wait_seconds, self._begin, batch)
        else:
            self._begin(batch)

    def _begin(self, batch: Batch) -> None:
        batch.close()
        if batch.has_begun:  # it was full before its time was over
            return
        batch.has_begun = True
        jobs = begin_batch(batch, self._beside, self._outbox)
        if not jobs:
            self._places.give()
            return
        self._tasks[batch] = self._loop.loop.create_task(self._run_batch(batch, jobs))

    async def _run_batch(self, batch: Batch, jobs: list[Job]) -> None:
        self._finish(batch, await self._batch_executor.answer_batch(batch, jobs))

    def request(self, job: Job, cancel: Cancel) -> None:
        """See `Interruptor`."""
        batch = leave_batch(job, cancel, self._beside, self._outbox)
        if batch is not None:
            super().request(batch, cancel)
