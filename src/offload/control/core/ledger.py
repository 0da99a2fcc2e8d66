"""What happens to calls and their inputs."""

from __future__ import annotations

from collections.abc import Iterable

from offload.control.core.autoscale import retry_delay_seconds
from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import CallRestored, CallSubmitted, InputsAdded, Result
from offload.control.core.inputs import InputEvent, InputState
from offload.control.core.instructions import Finished
from offload.control.core.model import FailureKind, NewInput
from offload.control.core.records import CallRecord, InputRecord, Pool
from offload.control.core.state import State

_RETRIED = frozenset(
    {
        FailureKind.EXCEPTION,
        FailureKind.TIMEOUT,
        FailureKind.OUT_OF_MEMORY,
        FailureKind.SIGNAL,
        FailureKind.EXIT,
    }
)
_ENDS = {
    InputState.SUCCEEDED: InputEvent.SUCCEEDED,
    InputState.FAILED: InputEvent.FAILED,
    InputState.TIMED_OUT: InputEvent.TIMED_OUT,
    InputState.CANCELLED: InputEvent.CANCELLED,
}


def submit(state: State, event: CallSubmitted) -> None:
    """Open a call; one that is open already is joined."""
    call_id = event.call.call_id
    if call_id in state.calls:
        return
    pool = _pool(state, event.call.function_id, call_id)
    if pool.is_stopped:
        raise DomainError(
            ErrorCode.FAILED_PRECONDITION,
            f"Call {call_id}: the app {pool.function.app_name!r} of function {pool.function.name!r}"
            " is stopped; start the app again.",
        )
    call = state.calls[call_id] = CallRecord(event.call, event.closed)
    _enqueue(state, call, pool, event.inputs)
    if event.closed and not call.open:
        complete_if_over(state, call)


def add_inputs(state: State, event: InputsAdded) -> None:
    """Add inputs to an open call."""
    call = state.calls.get(event.call_id)
    if call is None:
        raise DomainError(
            ErrorCode.NOT_FOUND, f"Call {event.call_id} is not open here: submit it first."
        )
    if not call.closed:
        _enqueue(state, call, state.pools[call.call.function_id], event.inputs)
        call.closed = event.close
        complete_if_over(state, call)


def restore(state: State, event: CallRestored) -> None:
    """Take up a call that a server before this one left unfinished; nothing runs before workers could come back."""
    if event.call.call_id in state.calls:
        return
    pool = _pool(state, event.call.function_id, event.call.call_id)
    if state.now < state.recover_until and not state.is_recovering:
        state.is_recovering = True
        state.wake(state.recover_until, None)
    call = state.calls[event.call.call_id] = CallRecord(event.call, event.closed)
    call.seq = event.outcome_count
    call.counts = dict(event.counts)
    pool.finished += event.outcome_count
    known = max(event.total, event.outcome_count + len(event.inputs))
    if all(given.index < known for given in event.inputs):
        call.skip_to(known)
    for given in event.inputs:
        call.learn(given.index)
        record = InputRecord(given.input_id, given.index, call, pool, event.call.created_at)
        record.attempts = given.attempts
        _enter(state, record)
    state.touch_pool(pool)
    complete_if_over(state, call)


def cancel(state: State, call: CallRecord, reason: str) -> None:
    """End a call with everything in it that is not over."""
    call.is_cancelled = True
    call.closed = True
    for record in list(call.open.values()):
        if record.slot is not None:
            state.out.cancel(record.slot.worker.info.worker_id, record.input_id, reason)
        end(state, record, InputEvent.CANCELLED, FailureKind.CANCELLED, reason)
    complete_if_over(state, call)


def take_result(state: State, record: InputRecord, result: Result) -> None:
    """Record what an attempt came to, or try again where the function's policy grants it."""
    event = _ENDS.get(result.state)
    if event is None:
        return
    policy = record.pool.function.retries
    is_failure = event is InputEvent.FAILED or event is InputEvent.TIMED_OUT
    kind = FailureKind.TIMEOUT if event is InputEvent.TIMED_OUT else result.failure
    if is_failure and kind in _RETRIED and record.failures < policy.max_retries:
        record.failures += 1
        record.alone = False
        record.move(InputEvent.FAILED_TO_RETRY)
        state.detach(record)
        record.since = state.now
        delay = retry_delay_seconds(
            record.failures,
            policy.initial_delay_seconds,
            policy.backoff_coefficient,
            policy.max_delay_seconds,
        )
        record.pool.queue.delay(record, state.now + delay)
        state.touch_pool(record.pool)
        return
    end(state, record, event, kind if is_failure else result.failure, result.reason, result.body)


def give_back(state: State, record: InputRecord) -> None:
    """Put an input a worker had in hand before all others of its function; no retry is spent."""
    record.move(InputEvent.GIVEN_BACK)
    state.detach(record)
    record.since = state.now
    record.pool.queue.push_front(record)
    state.touch_pool(record.pool)


def give_back_all(state: State, records: Iterable[InputRecord]) -> None:
    """Give back several, so that they keep their order."""
    for record in reversed(list(records)):
        give_back(state, record)


def lose(state: State, record: InputRecord, reason: str) -> None:
    """Give back an input whose worker vanished with it, unless that happened too often."""
    record.losses += 1
    if record.losses >= state.policy.max_losses:
        end(state, record, InputEvent.LOST, FailureKind.WORKER_LOST, reason)
    else:
        give_back(state, record)


def fail_waiting(state: State, pool: Pool, reason: str, body: bytes) -> None:
    """Fail everything that waits for a container of the pool."""
    waiting = [*pool.queue.in_line(), *pool.queue.delayed()]
    for record in waiting:
        end(state, record, InputEvent.FAILED, FailureKind.START, reason, body)


def end(
    state: State,
    record: InputRecord,
    event: InputEvent,
    failure: FailureKind | None,
    reason: str,
    body: bytes = b"",
) -> None:
    """Give an input its one outcome."""
    record.move(event)
    if record.slot is not None:
        state.detach(record)
    else:
        record.pool.queue.leave(record)
        state.touch_pool(record.pool)
    del state.inputs[record.input_id]
    call = record.call
    del call.open[record.index]
    call.seq += 1
    record.pool.finished += 1
    final = record.state
    call.counts[final] = call.counts.get(final, 0) + 1
    call_id = call.call.call_id
    state.out.record(
        Finished(
            record.input_id,
            call_id,
            record.index,
            call.seq,
            record.attempts,
            final,
            failure,
            reason,
            body,
        )
    )
    if not call.open:
        complete_if_over(state, call)


def complete_if_over(state: State, call: CallRecord) -> None:
    """End a closed call whose inputs all have their outcome."""
    call_id = call.call.call_id
    if not call.closed or call.open or call_id not in state.calls:
        return
    del state.calls[call_id]
    bad = sum(call.counts.values()) - call.counts.get(InputState.SUCCEEDED, 0)
    cancelled = call.counts.get(InputState.CANCELLED, 0)
    if bad > cancelled:
        ending = "failed"
    elif cancelled or call.is_cancelled:
        ending = "cancelled"
    else:
        ending = "succeeded"
    state.out.complete(call_id, ending)


def _pool(state: State, function_id: str, call_id: str) -> Pool:
    pool = state.pools.get(function_id)
    if pool is None:
        raise DomainError(
            ErrorCode.NOT_FOUND,
            f"Call {call_id}: there is no function {function_id}; register it first.",
        )
    return pool


def _enqueue(state: State, call: CallRecord, pool: Pool, inputs: Iterable[NewInput]) -> None:
    for new in inputs:
        if call.learn(new.index):
            _enter(state, InputRecord(new.input_id, new.index, call, pool, state.now))
    state.touch_pool(pool)


def _enter(state: State, record: InputRecord) -> None:
    state.inputs[record.input_id] = record
    record.call.open[record.index] = record
    record.pool.queue.push(record)
