"""What becomes of one attempt: its result, another attempt, or back into the line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.autoscale import retry_delay_seconds
from offload.control.core.calls import Ended
from offload.control.core.events import History
from offload.control.core.inputs import InputEvent, InputState
from offload.control.core.ledger import end
from offload.control.core.model import FailureKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offload.control.core.calls import InputRecord
    from offload.control.core.events import Result
    from offload.control.core.state import State

# Containers die of these.
_KILLS = frozenset({FailureKind.OUT_OF_MEMORY, FailureKind.SIGNAL, FailureKind.EXIT})
_RETRIED = _KILLS | {FailureKind.EXCEPTION, FailureKind.TIMEOUT}
_ENDS = {
    InputState.SUCCEEDED: InputEvent.SUCCEEDED,
    InputState.FAILED: InputEvent.FAILED,
    InputState.TIMED_OUT: InputEvent.TIMED_OUT,
    InputState.CANCELLED: InputEvent.CANCELLED,
}


def take_result(state: State, record: InputRecord, result: Result) -> None:
    """Record what an attempt came to, or try again where the function's policy grants it."""
    event = _ENDS.get(result.state)
    if event is None:
        return
    is_failure = event is InputEvent.FAILED or event is InputEvent.TIMED_OUT
    kind = FailureKind.TIMEOUT if event is InputEvent.TIMED_OUT else result.failure
    if not is_failure:
        end(state, record, Ended(event, result.failure, result.reason, result.body, result.blob))
        return
    record.kills += kind in _KILLS
    retries = 0 if record.is_transient else record.pool.function.retries.max_retries
    may_retry = kind in _RETRIED and record.failures < retries
    if not may_retry:
        end(state, record, Ended(event, kind, result.reason, result.body, result.blob))
    elif record.kills >= state.policy.max_kills:
        reason = f"it ended {record.kills} containers, the last time: {result.reason}"
        end(state, record, Ended(InputEvent.LOST, kind, reason))
    else:
        _try_again(state, record)


def give_back(state: State, record: InputRecord) -> None:
    """Put an input a worker had in hand before all others of its call; no retry is spent."""
    record.move(InputEvent.GIVEN_BACK)
    state.detach(record)
    record.since = state.now
    record.pool.queue.push_front(record)
    state.touch_pool(record.pool)


def give_back_all(state: State, records: Iterable[InputRecord]) -> None:
    """Give back several, so that they keep their order."""
    for record in reversed(list(records)):
        give_back(state, record)


def give_back_alone(state: State, record: InputRecord, reason: str) -> None:
    """Give back an input whose container died with it, nobody knows of which input: it must be by itself next time."""
    if record.is_transient:
        why = f"its container died with it: {reason}"
        end(state, record, Ended(InputEvent.LOST, FailureKind.EXIT, why))
        return
    if record.alone:
        record.kills += 1
        if record.kills >= state.policy.max_kills:
            why = f"its container died with it {record.kills} times: {reason}"
            end(state, record, Ended(InputEvent.LOST, FailureKind.WORKER_LOST, why))
            return
    record.isolate(True)
    give_back(state, record)
    _remember(state, record)


def lose(state: State, record: InputRecord, worker_name: str) -> None:
    """Give back an input whose worker vanished with it, unless that happened too often."""
    if record.state is InputState.RUNNING:
        record.losses += 1
    else:
        record.near_losses += 1
    policy = state.policy
    is_enough = record.losses >= policy.max_losses or record.near_losses >= policy.max_near_losses
    if is_enough or record.is_transient:
        count = record.losses + record.near_losses
        workers = "its worker" if count == 1 else f"{count} workers, the last of them"
        reason = f"lost with {workers} {worker_name}"
        end(state, record, Ended(InputEvent.LOST, FailureKind.WORKER_LOST, reason))
    else:
        give_back(state, record)
        _remember(state, record)


def _try_again(state: State, record: InputRecord) -> None:
    record.failures += 1
    record.over = record.attempts
    record.isolate(False)
    record.move(InputEvent.FAILED_TO_RETRY)
    state.detach(record)
    record.since = state.now
    policy = record.pool.function.retries
    delay = retry_delay_seconds(record.failures, policy, record.input_id)
    record.pool.queue.delay(record, state.now + delay)
    state.touch_pool(record.pool)
    _remember(state, record)


def _remember(state: State, record: InputRecord) -> None:
    history = History(
        record.index,
        record.attempts,
        record.failures,
        record.losses,
        record.kills,
        record.alone,
        record.retry_at,
    )
    state.out.remember(record.call.call.call_id, history)
