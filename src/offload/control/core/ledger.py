"""Calls from their submission to their end, and the one outcome of each input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core import dependencies
from offload.control.core.call_table import is_plain
from offload.control.core.calls import CallRecord, Ended, InputRecord
from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.ids import input_id as make_input_id
from offload.control.core.inputs import InputEvent, InputState, move
from offload.control.core.instructions import Finished, FinishedRun
from offload.control.core.model import FailureKind
from offload.control.core.waiters import Early, Recovery

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offload.control.core.events import CallRestored, CallSubmitted, History, InputsAdded
    from offload.control.core.model import Call
    from offload.control.core.records import Pool
    from offload.control.core.state import State

# So many inputs that never began end one by one; more of them are recorded as runs.
MAX_SINGLE_OUTCOMES = 64


def submit(state: State, event: CallSubmitted) -> None:
    """Open a call; one that is open already is joined."""
    if event.call.call_id in state.calls:
        return
    pool = check_submit(state, event.call, event.ended, although_stopped=event.although_stopped)
    if is_plain(event.call, event.inputs, closed=event.closed) and _rest(state, event.call, pool):
        return
    call = _add_call(state, event.call, pool)
    call.closed = event.closed
    if event.call.after:
        dependencies.wait_for_others(state, call, dict(event.ended))
    _wait_for_time(state, call)
    _learn(state, call, event.inputs)
    _end_if_hopeless(state, call)
    complete_if_over(state, call)


def check_submit(
    state: State, call: Call, ended: tuple[tuple[str, str], ...], *, although_stopped: bool = False
) -> Pool:
    """Return the pool of a new call; raise `DomainError` where the call cannot be taken."""
    pool = _pool(state, call)
    if pool.is_stopped and not although_stopped:
        raise DomainError(
            ErrorCode.FAILED_PRECONDITION,
            f"Call {call.call_id}: the app {pool.function.app_name!r} of function {pool.function.name!r}"
            " is stopped; start the app again.",
        )
    if call.after:
        dependencies.check(state, call, dict(ended))
    return pool


def add_inputs(state: State, event: InputsAdded) -> None:
    """Add inputs to an open call."""
    call = state.calls.get(event.call_id)
    if call is None:
        raise DomainError(
            ErrorCode.NOT_FOUND, f"Call {event.call_id} is not open here: submit it first."
        )
    if not call.closed:
        _learn(state, call, event.inputs)
        call.closed = event.close
        complete_if_over(state, call)


def restore(state: State, event: CallRestored) -> None:
    """Take up a call that a server before this one left unfinished; nothing runs before workers could come back."""
    if event.call.call_id in state.calls:
        return
    pool = _pool(state, event.call)
    if state.now < state.recover_until and not state.is_recovering:
        state.is_recovering = True
        state.wake(state.recover_until, Recovery())
    is_untouched = not event.tried and event.unfinished == event.known
    if (
        is_untouched
        and is_plain(event.call, event.known, closed=event.closed)
        and _rest(state, event.call, pool)
    ):
        return
    call = _add_call(state, event.call, pool)
    call.closed = event.closed
    call.counts = dict(event.counts)
    call.seq = sum(event.counts.values())
    pool.finished += call.seq
    for run in event.known:
        call.known.add(run.start, run.stop)
    for run in event.unfinished:
        call.waiting.add(run.start, run.stop)
    for history in reversed(event.tried):
        if call.waiting.discard(history.index):
            _restore_tried(state, call, history)
    dependencies.wait_for_others(state, call, {**dict(event.ended), **state.restored_endings})
    _wait_for_time(state, call)
    if call.is_blocked:
        state.blocked_total += len(call.waiting)
    else:
        pool.queue.enter(call, len(call.waiting))
    state.touch_pool(pool)
    _end_if_hopeless(state, call)
    complete_if_over(state, call)


def cancel(state: State, call: CallRecord, reason: str) -> None:
    """End a call with everything in it that is not over."""
    call.is_cancelled = True
    end_call(state, call, Ended(InputEvent.CANCELLED, FailureKind.CANCELLED, reason))


def time_out(state: State, call: CallRecord) -> None:
    """End what is left of a call whose deadline has passed."""
    if state.calls.get(call.call.call_id) is call:
        seconds = call.call.deadline - call.call.created_at
        call.is_doomed = True
        reason = f"its call was not over within its {seconds:.6g} s"
        end_call(state, call, Ended(InputEvent.TIMED_OUT, FailureKind.TIMEOUT, reason))


def end_call(state: State, call: CallRecord, ended: Ended) -> None:
    """End every input of a call that is not over, all the same way, and take no more."""
    call.closed = True
    for record in list(call.open.values()):
        if record.slot is not None:
            state.out.cancel(record.slot.worker.info.worker_id, record.input_id, ended.reason)
        end(state, record, ended)
    end_waiting(state, call, ended)
    dependencies.leave_others(state, call)
    complete_if_over(state, call)


def fail_ready(state: State, pool: Pool, ended: Ended) -> None:
    """End every input that waits for a container of the pool."""
    while (call := pool.queue.first()) is not None:
        for record in list(call.front.values()):
            end(state, record, ended)
        end_waiting(state, call, ended)
        complete_if_over(state, call)
    for record in list(pool.queue.delayed()):
        end(state, record, ended)


def end(state: State, record: InputRecord, ended: Ended) -> None:
    """Give an input with a record its one outcome."""
    record.move(ended.event)
    call = record.call
    if record.slot is not None:
        state.detach(record)
    else:
        call.pool.queue.remove(record)
        state.touch_pool(call.pool)
    state.inputs.pop(record.input_id, None)
    del call.open[record.index]
    record.isolate(False)
    _count(call, record.state, 1, ended.reason)
    state.out.record(
        Finished(
            record.input_id,
            call.call.call_id,
            record.index,
            call.seq,
            record.attempts,
            record.state,
            ended.failure,
            ended.reason,
            ended.body,
            ended.blob,
        )
    )
    if not call.open:
        complete_if_over(state, call)


def end_waiting(state: State, call: CallRecord, ended: Ended) -> None:
    """Give every input of the call that was never handed out its one outcome."""
    count = len(call.waiting)
    if not count:
        return
    final = move(call.resting_state, ended.event)
    runs = call.waiting.runs()
    call.waiting.clear()
    if call.is_blocked:
        state.blocked_total -= count
    else:
        call.pool.queue.leave_waiting(count)
    state.touch_pool(call.pool)
    if count <= MAX_SINGLE_OUTCOMES or ended.failure is None:
        for index in (index for run in runs for index in run):
            _count(call, final, 1, ended.reason)
            state.out.record(_unbegun(call, index, final, ended))
        return
    for run in runs:
        first_seq = call.seq + 1
        _count(call, final, len(run), ended.reason)
        state.out.record_run(
            FinishedRun(
                call.call.call_id, run.start, len(run), first_seq, final, ended.failure, ended.reason, ended.body
            )
        )  # fmt: skip


def complete_if_over(state: State, call: CallRecord) -> None:
    """End a closed call whose inputs all have their outcome; its dependants are told by `dependencies`."""
    call_id = call.call.call_id
    if not call.closed or call.open or call.waiting or call.is_blocked:
        return
    if state.calls.get(call_id) is not call:
        return
    state.calls.remove(call_id)
    call.pool.open_calls -= 1
    call.pool.attached.pop(call_id, None)
    state.touch_pool(call.pool)
    bad = sum(call.counts.values()) - call.counts.get(InputState.SUCCEEDED, 0)
    cancelled = call.counts.get(InputState.CANCELLED, 0)
    if bad > cancelled or call.is_doomed:
        ending = "failed"
    elif cancelled or call.is_cancelled:
        ending = "cancelled"
    else:
        ending = "succeeded"
    state.out.complete(call.call, ending)
    if state.is_recovering:
        state.restored_endings[call_id] = ending
    if call_id in state.dependants:
        state.ended.append((call, ending))


def settle_dependants(state: State) -> None:
    """Free the calls that waited for calls which have ended, or end them too; one after the other, however long the chain."""
    while state.ended:
        call, ending = state.ended.popleft()
        for other in dependencies.take_dependants(state, call, ending):
            if other.blame is not None:
                _end_if_hopeless(state, other)
                continue
            _unblock(state, other)


def take_due(state: State, waiter: CallRecord | Early) -> None:
    """See to a call whose deadline has passed, or whose time to begin has come."""
    if isinstance(waiter, Early):
        _begin_early(state, waiter.call)
    else:
        time_out(state, waiter)


def _begin_early(state: State, call: CallRecord) -> None:
    if call.is_early:
        call.is_early = False
        if not call.blocked_on:
            _unblock(state, call)


def find(state: State, call: CallRecord, index: int) -> InputRecord | None:
    """Return the record of an unfinished input, made now where it was never handed out."""
    record = call.open.get(index)
    if record is None and not call.is_blocked and call.waiting.discard(index):
        call.pool.queue.leave_waiting(1)
        record = call.open[index] = InputRecord(call, index, state.now)
        call.pool.queue.push_front(record)
    return record


def _unblock(state: State, call: CallRecord) -> None:
    dependencies.leave_others(state, call)
    state.blocked_total -= len(call.waiting)
    call.pool.queue.enter(call, len(call.waiting))
    complete_if_over(state, call)


def _wait_for_time(state: State, call: CallRecord) -> None:
    if call.call.not_before > state.now:
        call.is_blocked = call.is_early = True
        state.wake(call.call.not_before, Early(call))


def _add_call(state: State, call: Call, pool: Pool) -> CallRecord:
    order = state.calls.order(call.created_at, call.priority)
    record = CallRecord(call, pool, order, state.next_call_number())
    state.calls.add(record)
    pool.open_calls += 1
    if call.attached:
        pool.attached[call.call_id] = record
    if call.deadline:
        state.wake(call.deadline, record)
    return record


def _rest(state: State, call: Call, pool: Pool) -> bool:
    """Take a plain call in without a record, where the line is long; return whether that was done."""
    order = state.calls.order(call.created_at, call.priority)
    if pool.queue.size < state.policy.resting_beyond or not pool.queue.can_rest(order):
        return False
    state.calls.rest(call, pool, state.next_call_number())
    pool.open_calls += 1
    state.touch_pool(pool)
    return True


def _end_if_hopeless(state: State, call: CallRecord) -> None:
    if call.blame is not None and state.calls.get(call.call.call_id) is call:
        call.is_doomed = True
        end_call(state, call, Ended(InputEvent.FAILED, FailureKind.DEPENDENCY, str(call.blame)))


def _learn(state: State, call: CallRecord, inputs: Iterable[range]) -> None:
    count = 0
    for run in inputs:
        for new in call.known.add(run.start, run.stop):
            call.waiting.add(new.start, new.stop)
            count += len(new)
    if call.is_blocked:
        state.blocked_total += count
    else:
        call.pool.queue.enter(call, count)
        state.touch_pool(call.pool)


def _restore_tried(state: State, call: CallRecord, history: History) -> None:
    record = call.open[history.index] = InputRecord(call, history.index, state.now)
    record.attempts = history.attempts
    # One that is to be tried again came to something; one that was lost with its worker may come back with it.
    record.over = history.attempts if history.retry_at else 0
    record.failures = history.failures
    record.losses = history.losses
    record.kills = history.kills
    record.isolate(history.alone)
    state.inputs[record.input_id] = record
    if history.retry_at > state.now:
        call.pool.queue.delay(record, history.retry_at)
    else:
        call.pool.queue.push_front(record)


def _count(call: CallRecord, final: InputState, count: int, reason: str) -> None:
    if final is not InputState.SUCCEEDED and not call.trouble:
        call.trouble = reason
    call.seq += count
    call.pool.finished += count
    call.counts[final] = call.counts.get(final, 0) + count


def _unbegun(call: CallRecord, index: int, final: InputState, ended: Ended) -> Finished:
    input_id = make_input_id(call.call.call_id, index)
    return Finished(
        input_id, call.call.call_id, index, call.seq, 0, final, ended.failure, ended.reason, ended.body
    )  # fmt: skip


def _pool(state: State, call: Call) -> Pool:
    pool = state.pools.get(call.function_id)
    if pool is None:
        raise DomainError(
            ErrorCode.NOT_FOUND,
            f"Call {call.call_id}: there is no function {call.function_id}; register it first.",
        )
    return pool
