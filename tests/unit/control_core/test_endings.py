"""Deadlines, inputs that kill their containers, attempts nobody ends: how inputs end without a result."""

import tracemalloc

import pytest
from tests.support.dispatching import BASE, Script, function, only

from offload.control.core.dispatch import Policy
from offload.control.core.events import (
    CallCancelled,
    CallRestored,
    HeldInput,
    History,
    Started,
    WorkerJoined,
    WorkerReported,
)
from offload.control.core.inputs import InputState
from offload.control.core.instructions import (
    CallCompleted,
    CancelInputs,
    RecordHistory,
    RecordOutcomes,
    RecordRuns,
    StopContainer,
)
from offload.control.core.model import (
    Call,
    CallKind,
    Capacity,
    FailureKind,
    RetryPolicy,
    WorkerInfo,
)

TRYING = function(retries=RetryPolicy(max_retries=9, initial_delay_seconds=1.0))


def _running(count: int = 1, policy: Policy | None = None) -> Script:
    script = Script(policy)
    script.register(TRYING)
    script.join()
    script.submit(count=count)
    script.start_all()
    return script


def _begin(script: Script) -> None:
    given = script.assigned()[-1]
    container_id = script.core.containers()[0].container_id
    started = (Started(given.input_id, given.attempt, container_id),)
    script.tell(WorkerReported(given.worker_id, started=started))


def _histories(script: Script) -> list[History]:
    return [order.history for order in only(RecordHistory, script.log)]


def test_a_call_ends_at_its_deadline_with_all_that_waits_and_runs() -> None:
    script = Script()
    script.register()
    script.join()
    script.submit(count=5, deadline=script.now + 30.0)
    script.start_all()

    early = len(script.wait(29.0))
    said = script.wait(1.0)

    assert early == 0
    assert {one.state for one in script.outcomes()} == {InputState.TIMED_OUT}
    assert script.outcomes()[0].reason == "its call was not over within its 30 s"
    assert len(only(CancelInputs, said)[0].input_ids) == 2
    assert only(CallCompleted, said)[0].state == "failed"


def test_a_blocked_call_ends_at_its_deadline_too() -> None:
    script = _running()
    script.submit("fc-2", after=("fc-1",), deadline=script.now + 5.0)

    script.wait(5.0)

    assert [one.call_id for one in script.outcomes()] == ["fc-2"]


def test_calls_that_ended_before_their_deadline_leave_no_timer() -> None:
    script = Script()
    script.register()
    script.join()
    script.submit("fc-x")
    script.start_all()

    for number in range(2000):
        script.submit(f"fc-{number}", deadline=script.now + 3600.0)
        script.tell(CallCancelled(f"fc-{number}", "enough"))

    assert len(script.core._state.timers) < 200


def test_an_input_that_ends_three_containers_is_lost() -> None:
    script = _running()

    for _ in range(3):
        script.fail(script.assigned()[-1], FailureKind.OUT_OF_MEMORY)
        script.wait(60.0)

    (outcome,) = script.outcomes()
    assert outcome.state is InputState.LOST
    assert outcome.reason == "it ended 3 containers, the last time: boom"


def test_an_input_whose_container_dies_with_it_alone_is_lost_in_the_end() -> None:
    script = _running()

    for _ in range(4):
        script.give_back(script.assigned()[-1], alone=True)

    (outcome,) = script.outcomes()
    assert (outcome.state, outcome.attempts) == (InputState.LOST, 4)


def test_whatever_an_input_spends_is_recorded_at_once() -> None:
    script = _running()

    script.fail(script.assigned()[-1])
    script.wait(1.0)
    script.fail(script.assigned()[-1], FailureKind.SIGNAL)
    script.wait(2.0)
    script.give_back(script.assigned()[-1], alone=True)

    spent = [(one.failures, one.kills, one.alone) for one in _histories(script)]
    assert spent == [(1, 0, False), (2, 1, False), (2, 1, True)]
    assert [one.attempts for one in _histories(script)] == [1, 2, 3]


def test_an_input_that_ends_in_the_same_event_leaves_no_history() -> None:
    script = Script()
    script.register(TRYING)
    script.join()
    script.submit(deadline=script.now + 5.0)
    script.start_all()

    script.now += 5.0
    said = script.fail(script.assigned()[-1])

    assert len(only(RecordOutcomes, said)) == 1
    assert only(RecordHistory, said) == []


def test_an_attempt_that_its_worker_does_not_end_is_ended_and_tried_again() -> None:
    script = _running()
    _begin(script)

    early = only(CancelInputs, script.wait(BASE.timeout_seconds + 14.9))
    said = script.wait(0.1)

    assert early == []
    assert "its worker did not end it" in only(CancelInputs, said)[0].reason
    assert len(only(StopContainer, said)) == 1
    assert _histories(script)[-1].failures == 1


def test_an_attempt_that_was_ended_is_not_taken_up_again() -> None:
    script = _running()
    _begin(script)
    script.wait(BASE.timeout_seconds + 15.0)
    info = WorkerInfo("wk-1", "wk-1", "0", "h1", Capacity(2000, 4096))

    said = script.tell(WorkerJoined(info, (HeldInput("in-1-0", 1, "fn-a"),)))

    assert only(CancelInputs, said)[0].input_ids == ("in-1-0",)


def _restored(*tried: History) -> Script:
    script = Script()
    script.register(TRYING)
    call = Call("fc-1", "fn-a", CallKind.MAP, 90.0, attached=True, durable=True)
    script.tell(CallRestored(call, (range(3),), (range(3),), True, tried))
    script.join()
    return script


def test_what_was_spent_before_a_restart_is_spent() -> None:
    script = _restored(History(1, attempts=9, failures=9))
    script.wait(2.0)
    script.start_all()

    given = next(one for one in script.assigned() if one.input_id == "in-1-1")
    script.fail(given)

    assert given.attempt == 10
    assert script.outcomes()[0].state is InputState.FAILED


def test_a_retry_that_waited_before_a_restart_waits_on() -> None:
    script = _restored(History(0, 1, failures=1, retry_at=150.0))
    script.wait(2.0)
    script.start_all(window_each=9)

    assert sorted(one.input_id for one in script.assigned()) == ["in-1-1", "in-1-2"]


def test_what_was_handed_out_before_a_restart_goes_first_and_in_its_order() -> None:
    script = _restored(History(1, 1, losses=1), History(2, 1, losses=1))
    script.wait(2.0)
    script.start_all(window_each=9)

    assert [one.input_id for one in script.assigned()] == ["in-1-1", "in-1-2", "in-1-0"]


@pytest.mark.parametrize("count", [1000, 1_000_000])
def test_waiting_inputs_cost_no_memory_each(count: int) -> None:
    script = Script()
    script.register()
    script.submit("fc-0", count=10)
    tracemalloc.start()
    try:
        script.submit(count=count)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert grown < 20_000
    assert script.core.pending_total == count + 10


def test_a_million_waiting_inputs_are_cancelled_as_one_run() -> None:
    script = Script()
    script.register()
    script.submit(count=1_000_000)

    said = script.tell(CallCancelled("fc-1", "enough"))

    (order,) = only(RecordRuns, said)
    assert [(run.first, run.count, run.first_seq) for run in order.runs] == [(0, 1_000_000, 1)]
    assert only(RecordOutcomes, said) == []


def test_a_map_of_which_some_inputs_are_over_is_cancelled_without_a_gap_in_its_seqs() -> None:
    script = _running(count=1000)
    script.succeed(*script.assigned()[:1])

    script.tell(CallCancelled("fc-1", "enough"))

    seqs = [one.seq for one in script.outcomes()]
    for order in only(RecordRuns, script.log):
        seqs += [run.first_seq + n for run in order.runs for n in range(run.count)]
    assert sorted(seqs) == list(range(1, 1001))
