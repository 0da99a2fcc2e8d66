"""Calls of a function that takes lists, each for a batch of inputs.

A batch is open to further inputs from when its first one has a place until it is full or has waited for long enough. A cancelled
input leaves its batch at once, and the call goes on for the others; the last one left is the one whose cancellation interrupts it.
"""

from __future__ import annotations

import time
from _thread import allocate_lock
from types import FunctionType, MethodType

from offload.runner.bodies import dump_value
from offload.runner.callee import arguments_of
from offload.runner.cancellation import Job
from offload.runner.crowd import ThreadCrowd, ThreadExecutor, add_results
from offload.runner.faults import describe
from offload.runner.thread_interrupts import ThreadInterrupts
from offload.wire.guest import Fault, GivenBack, Result

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import Union

    from offload.runner.beside import Beside
    from offload.runner.bodies import Outgoing
    from offload.runner.callee import UserFunction
    from offload.runner.link import Link
    from offload.runner.outbox import Outbox
    from offload.wire.guest import Cancel, Load

    Answer = Union[Outgoing, BaseException]

# What has come with the first input goes along, also where nothing is waited for.
_LEAST_WAIT_SECONDS = 0.001


class Batch(Job):
    """Inputs that one call is for, and the job that the call is: its output belongs to the first of them."""

    __slots__ = ("_full", "_lock", "_size", "has_begun", "is_open", "jobs", "runs")

    def __init__(self, first: Job, size: int) -> None:
        super().__init__(first.input_id, first.attempt, first.args)
        self._size = size
        self._lock = allocate_lock()
        self._full = allocate_lock()
        self._full.acquire()
        self.is_open = size > 1
        self.has_begun = False
        self.runs = False
        self.jobs = [first]
        first.batch = self
        if size == 1:
            self._full.release()

    def join(self, job: Job, beside: Beside) -> bool:
        """Take the job in, unless it is not to begin; return False where the batch is closed."""
        with self._lock:
            if not self.is_open:
                return False
            if beside.admit(job):
                job.batch = self
                self.jobs.append(job)
                if len(self.jobs) == self._size:
                    self._close()
        return True

    def close(self) -> None:
        """Take no further input, and wait for none."""
        with self._lock:
            if self.is_open:
                self._close()

    def wait_closed(self, seconds: float) -> None:
        """Close it once it is full, or after a time."""
        self._full.acquire(True, max(seconds, _LEAST_WAIT_SECONDS))
        self.close()

    def begin(self) -> tuple[list[Job], list[Job]]:
        """Return the inputs to run, and those that were cancelled before."""
        with self._lock:
            self.runs = True
            cancelled = [job for job in self.jobs if job.cancel is not None]
            self.jobs = [job for job in self.jobs if job.cancel is None]
            return list(self.jobs), cancelled

    def leave(self, job: Job) -> bool:
        """Have the job out of the running call; False where it is the last one in it, or not in it."""
        with self._lock:
            if not self.runs or job not in self.jobs or len(self.jobs) == 1:
                return False
            self.jobs.remove(job)
            return True

    def settle(self) -> list[Job]:
        """Return the inputs that are still in the call, which is over."""
        with self._lock:
            self.runs = False
            left, self.jobs = self.jobs, []
            return left

    def _close(self) -> None:
        self.is_open = False
        self._full.release()


def leave_batch(job: Job, cancel: Cancel, beside: Beside, outbox: Outbox) -> Batch | None:
    """Take a cancelled input out of its batch; return the batch where the call itself is to be interrupted."""
    job.cancel = cancel
    batch: Batch | None = getattr(job, "batch", None)
    if batch is None:
        return None  # it waits: whoever lets it begin sees that it must not
    if batch.leave(job):
        beside.end((job,))
        fault = Fault("offload.errors.InputCancellation", cancel.reason, (), None)
        outbox.post(Result(job.input_id, job.attempt, None, fault, True, 0, time.time(), 0.0))  # noqa: TID251 - reported
        return None
    return batch if batch.runs and job in batch.jobs else None


class BatchInterrupts(ThreadInterrupts):
    """Interrupts calls of which no input is left."""

    def __init__(self, outbox: Outbox) -> None:
        super().__init__(outbox.wake_reader)
        self._outbox = outbox
        self.beside: Beside | None = None

    def request(self, job: Job, cancel: Cancel) -> None:
        """See `ThreadInterrupts`."""
        if self.beside is not None:
            batch = leave_batch(job, cancel, self.beside, self._outbox)
            if batch is not None:
                super().request(batch, cancel)


class BatchExecutor(ThreadExecutor):
    """Calls the function for a batch in whichever thread it is asked."""

    def run_batch(self, batch: Batch, jobs: list[Job]) -> list[tuple[Job, Result]]:
        """Call the function for a batch; return how each input that is still in it has ended."""
        self._split.enter(batch)
        began = time.time(), time.perf_counter()  # noqa: TID251 - the container's own clock is what is reported
        answers: dict[Job, Answer] = {}
        try:
            try:
                self._interrupts.arm(batch)
                callee = self._callees.any
                ready, positional, named = gather(callee.function, jobs, answers)
                if ready:
                    values = callee.function(*positional, **named)
                    if hasattr(values, "__await__"):
                        values = self._await(batch, values)  # type: ignore[arg-type]  # it says so
                    spread(values, ready, callee.name, answers)
            finally:
                self._interrupts.disarm()
        except BaseException as error:  # noqa: BLE001 - as in `Executor.run`
            self._leave_if_child(error)
            answers.update(dict.fromkeys(jobs, error))
        self._leave_if_child(None)
        self._streams.end()
        return ended(batch, answers, began, self._outbox)


class BatchedThreadCrowd(ThreadCrowd):
    """Calls the function for each batch in a thread."""

    def __init__(
        self,
        link: Link,
        outbox: Outbox,
        interrupts: BatchInterrupts,
        executor: BatchExecutor,
        order: Load,
    ) -> None:
        super().__init__(link, outbox, interrupts, executor, order.max_calls)
        interrupts.beside = self._beside
        self._batch_executor = executor
        self._size = order.batch_size
        self._wait_seconds = order.batch_wait_seconds
        self._forming: Batch | None = None

    def take(self, job: Job) -> None:
        """See `Crowd`."""
        if self._forming is not None and self._forming.join(job, self._beside):
            return
        if self._places.take(job, self._beside):
            self._forming = batch = Batch(job, self._size)
            self._threads.run(lambda: self._run_batch(batch))

    def close(self) -> None:
        """See `Crowd`."""
        if self._forming is not None:
            self._forming.close()
        super().close()

    def _run_batch(self, batch: Batch) -> None:
        batch.wait_closed(self._wait_seconds)
        jobs = begin_batch(batch, self._beside, self._outbox)
        if jobs:
            add_results(self._outbox, self._beside, self._batch_executor.run_batch(batch, jobs))
        self._places.give()


def begin_batch(batch: Batch, beside: Beside, outbox: Outbox) -> list[Job]:
    """Return the inputs that the call is for; those that were cancelled meanwhile go back."""
    jobs, cancelled = batch.begin()
    beside.end(cancelled)
    for job in cancelled:
        job.args.drop()
        outbox.add(GivenBack((job.input_id,)), 64)
    beside.begin(jobs)
    return jobs


def gather(
    function: UserFunction, jobs: list[Job], failed: dict[Job, Answer]
) -> tuple[list[Job], list[list[object]], dict[str, list[object]]]:
    """Return the inputs whose arguments are what the function takes, and a list for each of its parameters."""
    loaded: list[tuple[Job, tuple[object, ...], dict[str, object]]] = []
    for job in jobs:
        try:
            # A class with a batched method has no other: its name says nothing new.
            positional, named, _ = arguments_of(job.args)
            loaded.append((job, positional, named))
        except Exception as error:  # noqa: BLE001, PERF203 - whatever unpickling raises ends this input alone
            failed[job] = error
    count = _parameters(function)
    is_complete = all(len(positional) + len(named) == count for _, positional, named in loaded)
    is_alike = len({(len(positional), *named) for _, positional, named in loaded}) <= 1
    if not (is_complete and is_alike):
        return _bind(function, loaded, failed)
    lists = [list(values) for values in zip(*(positional for _, positional, _ in loaded))]
    names = loaded[0][2] if loaded else ()
    return (
        [job for job, _, _ in loaded],
        lists,
        {name: [named[name] for _, _, named in loaded] for name in names},
    )


def _parameters(function: UserFunction) -> int:
    """Return how many parameters a plain function has; of anything else only `inspect` knows."""
    bound = 0
    if type(function) is MethodType:
        function, bound = function.__func__, 1
    if type(function) is not FunctionType:
        return -1
    code = function.__code__
    return code.co_argcount + code.co_kwonlyargcount - bound


def _bind(
    function: UserFunction,
    loaded: list[tuple[Job, tuple[object, ...], dict[str, object]]],
    failed: dict[Job, Answer],
) -> tuple[list[Job], list[list[object]], dict[str, list[object]]]:
    """Put arguments into their parameters that were given in different ways, and defaults where they were not."""
    import inspect  # noqa: PLC0415 - slow to import, and callers of one function mostly write alike

    signature = inspect.signature(function)
    ready: list[Job] = []
    values: dict[str, list[object]] = {name: [] for name in signature.parameters}
    for job, positional, named in loaded:
        try:
            bound = signature.bind(*positional, **named)
        except TypeError as error:
            failed[job] = error
            continue
        bound.apply_defaults()
        ready.append(job)
        for name, value in bound.arguments.items():
            values[name].append(value)
    by_name = inspect.Parameter.KEYWORD_ONLY
    parameters = signature.parameters
    return (
        ready,
        [values[name] for name in parameters if parameters[name].kind is not by_name],
        {name: values[name] for name in parameters if parameters[name].kind is by_name},
    )


def spread(values: object, jobs: list[Job], name: str, answers: dict[Job, Answer]) -> None:
    """Give each input its own of the values that the function returned."""
    must = f"{name}() is batched: called for {len(jobs)} inputs, it must return a list of {len(jobs)} results"
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"{must}, and returned {type(values).__name__}")
    if len(values) != len(jobs):
        raise ValueError(f"{must}, and returned {len(values)}")
    for job, value in zip(jobs, values):
        if isinstance(value, BaseException):
            answers[job] = value
            continue
        try:
            answers[job] = dump_value(value, f"a result of {name}()")
        except Exception as error:  # noqa: BLE001 - what cannot be pickled ends its own input
            answers[job] = error


def ended(
    batch: Batch, answers: dict[Job, Answer], began: tuple[float, float], outbox: Outbox
) -> list[tuple[Job, Result]]:
    """Return how the inputs of a call that is over have ended."""
    started_at, start = began
    run_seconds = time.perf_counter() - start
    results = []
    for job in batch.settle():
        answer = answers[job]
        value = fault = None
        if isinstance(answer, BaseException):
            fault = describe(answer, outbox)
        else:
            value = answer.send(outbox)
        is_interrupted = batch.interrupted and fault is not None
        results.append(
            (
                job,
                Result(
                    job.input_id,
                    job.attempt,
                    value,
                    fault,
                    is_interrupted,
                    0,
                    started_at,
                    run_seconds,
                ),
            )
        )
    return results
