"""Running one input after the other with the user's function, in the main thread."""

from __future__ import annotations

import time
from types import CoroutineType

from offload.runner.bodies import dump_value
from offload.runner.callee import Callees, arguments_of, is_async
from offload.runner.faults import describe
from offload.runner.outbox import exit_now
from offload.wire.guest import Item, Result

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterable, Callable, Coroutine
    from typing import Protocol

    from offload.runner.bodies import Outgoing
    from offload.runner.callee import Callee
    from offload.runner.cancellation import Job
    from offload.runner.outbox import Outbox
    from offload.wire.guest import Body, Fault

    class Guard(Protocol):
        """Lets one input be interrupted while its code runs; see `offload.runner.cancellation.Interrupts`."""

        def arm(self, job: Job) -> None:
            """See `Interrupts`."""

        def disarm(self) -> None:
            """See `Interrupts`."""

        def __enter__(self) -> None:
            """Hold interrupts back."""

        def __exit__(self, *_: object) -> None:
            """Let them through again."""

    class Streams(Protocol):
        """Whose output it is; see `offload.runner.stdio.StandardStreams`."""

        def begin(self, input_id: str) -> None:
            """See `StandardStreams`."""

        def end(self) -> None:
            """See `StandardStreams`."""


class Executor:
    """Calls the function for a job and puts what comes of it into the outbox."""

    def __init__(self, outbox: Outbox, interrupts: Guard, streams: Streams) -> None:
        self._outbox = outbox
        self._interrupts = interrupts
        self._streams = streams
        self._callees = Callees()
        self._loop: asyncio.AbstractEventLoop | None = None

    def become(self, callees: Callees) -> None:
        """Have inputs call these from here on."""
        self._callees = callees
        if self._loop is None and any(is_async(each.function) for each in callees.values()):
            self._open_loop()

    def wait_for(self, awaitable: object) -> object:
        """Run a hook's awaitable, where no input runs, on the loop that inputs use."""
        loop = self._loop or self._open_loop()
        return loop.run_until_complete(awaitable)  # type: ignore[arg-type]  # it says that it can be awaited

    def run(self, job: Job) -> Result:
        """Run a job to its end, whatever end that is; large values go ahead of the result that names them."""
        self._streams.begin(job.input_id)
        started_at = time.time()  # noqa: TID251 - the container's own clock is what is reported
        start = time.perf_counter()
        outgoing: Outgoing | None = None
        fault: Fault | None = None
        try:
            try:
                self._interrupts.arm(job)
                outgoing = self._call(job)
            finally:
                self._interrupts.disarm()
        except BaseException as error:  # noqa: BLE001 - also SystemExit: it ends the input, not the container
            self._leave_if_child(error)
            fault = describe(error, self._outbox)
        return self._result(job, outgoing, fault, started_at, start)

    def _result(
        self,
        job: Job,
        outgoing: Outgoing | None,
        fault: Fault | None,
        started_at: float,
        start: float,
    ) -> Result:
        self._leave_if_child(None)
        run_seconds = time.perf_counter() - start
        self._streams.end()
        value: Body | None = None
        if fault is None and outgoing is not None:
            value = outgoing.send(self._outbox)
        return Result(
            job.input_id,
            job.attempt,
            value,
            fault,
            job.interrupted and fault is not None,
            job.item_count,
            started_at,
            run_seconds,
        )

    def close(self) -> None:
        """End what async functions left behind."""
        loop = self._loop
        if loop is None:
            return
        import asyncio  # noqa: PLC0415 - see `_open_loop`

        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    def _call(self, job: Job) -> Outgoing | None:
        callee, value = self._begin(job)
        if callee.is_generator:
            self._stream(job, callee, value)
            return None
        if isinstance(value, CoroutineType):
            value = self._await(job, value)
        return dump_value(value, f"the result of {callee.name}()")

    def _begin(self, job: Job) -> tuple[Callee, object]:
        positional, named, method = arguments_of(job.args)
        callee = self._callees[method]
        return callee, callee.function(*positional, **named)

    def _stream(self, job: Job, callee: Callee, values: object) -> None:
        if hasattr(values, "__aiter__"):
            self._await(job, self._stream_async(job, callee, values))
            return
        try:
            for value in values:  # type: ignore[attr-defined]  # a generator's, or TypeError
                self._emit(job, callee, value)
        finally:
            close: Callable[[], object] | None = getattr(values, "close", None)
            if close is not None:
                close()

    async def _stream_async(self, job: Job, callee: Callee, values: AsyncIterable[object]) -> None:
        try:
            async for value in values:
                self._emit(job, callee, value)
        finally:
            close: Callable[[], Coroutine[object, object, None]] | None
            close = getattr(values, "aclose", None)
            if close is not None:
                await close()

    def _emit(self, job: Job, callee: Callee, value: object) -> None:
        outgoing = dump_value(value, f"item {job.item_count + 1} of {callee.name}()")
        with self._interrupts:
            body = outgoing.send(self._outbox)
            job.item_count += 1
            item = Item(job.input_id, job.attempt, job.item_count, body)
            self._outbox.add(item, 64 + len(body.inline))

    def _await(self, job: Job, coroutine: Coroutine[object, object, object]) -> object:
        try:
            loop = self._loop or self._open_loop()
            task = loop.create_task(coroutine)
        except BaseException:
            coroutine.close()
            raise

        def cancel_task() -> None:
            loop.call_soon_threadsafe(task.cancel)

        job.cancel_task = cancel_task
        try:
            return loop.run_until_complete(task)
        finally:
            job.cancel_task = None

    def _open_loop(self) -> asyncio.AbstractEventLoop:
        import asyncio  # noqa: PLC0415 - slow to import, and most functions are not async

        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        return self._loop

    def _leave_if_child(self, error: BaseException | None) -> None:
        """End a process that user code forked and let return from the function: it is not the container."""
        if not self._outbox.is_child:
            return
        if error is not None and not isinstance(error, SystemExit):
            import traceback  # noqa: PLC0415 - needed only here

            traceback.print_exception(type(error), error, error.__traceback__)
        exit_now(0 if error is None else 1)
