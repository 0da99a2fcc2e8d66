"""Which way a function's inputs run beside one another: by threads or a loop, alone or in batches."""

from __future__ import annotations

from offload.runner.callee import is_async
from offload.runner.crowd import SplitStreams, ThreadCrowd, ThreadExecutor
from offload.runner.thread_interrupts import ThreadInterrupts

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from offload.runner.callee import Callees
    from offload.runner.crowd import Crowd
    from offload.runner.link import Link
    from offload.runner.outbox import Outbox
    from offload.runner.stdio import StandardStreams
    from offload.wire.guest import Load


def make_crowd(
    link: Link, outbox: Outbox, streams: StandardStreams, callees: Callees, order: Load
) -> Crowd:
    """Return what runs inputs with these, as many at the same time as the worker says."""
    if order.batch_size:
        return _make_batched(link, outbox, streams, callees, order)
    if callees.wants_loop or is_async(callees.any.function):
        from offload.runner.async_calls import AsyncCrowd, AsyncExecutor  # noqa: PLC0415 - slow

        asynchronous = AsyncExecutor(outbox, streams)
        asynchronous.become(callees)
        return AsyncCrowd(link, outbox, asynchronous, order.max_calls)
    interrupts = ThreadInterrupts(outbox.wake_reader)
    split = SplitStreams(streams, interrupts)
    executor = ThreadExecutor(outbox, interrupts, split)
    executor.become(callees)
    return ThreadCrowd(link, outbox, interrupts, executor, order.max_calls)


def _make_batched(
    link: Link, outbox: Outbox, streams: StandardStreams, callees: Callees, order: Load
) -> Crowd:
    if is_async(callees.any.function):
        from offload.runner.async_batches import AsyncBatchExecutor, BatchedAsyncCrowd  # noqa: PLC0415 - slow

        asynchronous = AsyncBatchExecutor(outbox, streams)
        asynchronous.become(callees)
        return BatchedAsyncCrowd(link, outbox, asynchronous, order)
    from offload.runner.batches import (  # noqa: PLC0415 - few functions are batched
        BatchedThreadCrowd,
        BatchExecutor,
        BatchInterrupts,
    )

    interrupts = BatchInterrupts(outbox)
    executor = BatchExecutor(outbox, interrupts, SplitStreams(streams, interrupts))
    executor.become(callees)
    return BatchedThreadCrowd(link, outbox, interrupts, executor, order)
