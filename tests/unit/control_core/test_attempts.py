"""Attempts, retries, losses, cancellation and the one outcome."""

from dataclasses import replace

import pytest
from tests.support.dispatching import Assigned, Script, function, only

from offload.control.core.dispatch import Policy
from offload.control.core.errors import DomainError
from offload.control.core.events import (
    AppStopped,
    CallCancelled,
    CallRestored,
    HeldInput,
    InputsAdded,
    Started,
    WorkerDisconnected,
    WorkerJoined,
    WorkerLeft,
    WorkerReported,
)
from offload.control.core.inputs import InputState
from offload.control.core.instructions import (
    AttemptStarting,
    CallCompleted,
    CancelInputs,
    ForgetFunction,
    RecordOutcomes,
    StopContainer,
)
from offload.control.core.model import (
    Call,
    CallKind,
    Capacity,
    ContainerReport,
    ContainerState,
    FailureKind,
    RetryPolicy,
    WorkerInfo,
)

RETRYING = RetryPolicy(max_retries=2, initial_delay_seconds=1.0)
ONE = WorkerInfo("wk-1", "wk-1", "0", "h1", Capacity(2000, 4096))


def _running(count: int = 1, script: Script | None = None, **changes: object) -> Script:
    script = script or Script()
    script.register(function(**{"retries": RETRYING, **changes}))
    script.join()
    script.submit(count=count)
    script.start_all()
    return script


def test_a_result_ends_the_input_and_the_call() -> None:
    script = _running()

    said = script.succeed(*script.assigned())

    assert [type(one) for one in said] == [RecordOutcomes, CallCompleted]
    assert script.outcomes()[0].state is InputState.SUCCEEDED
    assert [(one.call_id, one.state) for one in only(CallCompleted, said)] == [
        ("fc-1", "succeeded")
    ]
    assert not script.core.knows_call("fc-1")


def test_a_result_told_twice_counts_once() -> None:
    script = _running()
    script.succeed(*script.assigned())

    assert script.succeed(*script.assigned()) == []


def test_a_result_of_another_worker_or_attempt_is_ignored() -> None:
    script = _running()
    script.join("wk-2")
    given = script.assigned()[0]

    script.succeed(replace(given, worker_id="wk-2"))
    script.succeed(replace(given, attempt=2))

    assert script.outcomes() == []


def test_a_failed_input_is_tried_again_after_growing_delays_and_then_fails() -> None:
    script = _running()

    script.fail(script.assigned()[-1])
    script.wait(0.49)
    early = len(script.assigned())
    script.wait(0.51)
    script.fail(script.assigned()[-1])
    script.wait(0.99)
    early += len(script.assigned())
    script.wait(1.01)
    script.fail(script.assigned()[-1])

    assert early == 1 + 2
    assert [given.attempt for given in script.assigned()] == [1, 2, 3]
    outcome = script.outcomes()[0]
    assert (outcome.state, outcome.attempts, outcome.body) == (InputState.FAILED, 3, b"f")
    assert only(CallCompleted, script.log)[0].state == "failed"


def test_a_given_back_input_goes_first_and_spends_no_retry() -> None:
    script = _running(count=4, max_containers=1, retries=RetryPolicy(1, 1.0))
    first = script.assigned()[0]

    script.give_back(first)
    script.fail(script.assigned()[1])
    script.wait(1.0)

    assert script.assigned()[1] == replace(first, attempt=2)
    assert script.outcomes() == []


def test_an_input_whose_container_died_in_company_is_run_alone() -> None:
    script = _running()

    script.give_back(script.assigned()[0], alone=True)

    assert script.assigned()[-1].alone


def test_a_lost_worker_gives_its_inputs_back_without_spending_a_retry() -> None:
    script = _running()
    script.tell(WorkerDisconnected("wk-1"))

    script.wait(9.9)
    before = script.core.workers()
    script.wait(0.1)

    assert before[0].state == "offline"
    assert script.core.workers() == []
    assert [view.state for view in script.core.pending(9)] == [InputState.READY]


def _start_last(script: Script) -> None:
    given = script.assigned()[-1]
    started = (Started(given.input_id, given.attempt, "ct-?"),)
    script.tell(WorkerReported(given.worker_id, started=started))


def test_an_input_that_three_workers_vanished_with_while_they_ran_it_is_lost() -> None:
    script = _running()

    for number in range(2, 5):
        _start_last(script)
        script.tell(WorkerDisconnected(f"wk-{number - 1}"))
        script.wait(10.0)
        script.join(f"wk-{number}")
        script.start_all()

    outcome = script.outcomes()[0]
    assert (outcome.state, outcome.failure) == (InputState.LOST, FailureKind.WORKER_LOST)
    assert "lost with 3 workers" in outcome.reason


def test_an_input_that_workers_only_held_when_they_vanished_is_given_more_of_them() -> None:
    script = _running(script=Script(Policy(max_losses=1, max_near_losses=4)))

    for number in range(2, 6):
        script.tell(WorkerDisconnected(f"wk-{number - 1}"))
        script.wait(10.0)
        script.join(f"wk-{number}")
        script.start_all()

    assert len(script.assigned()) == 4
    assert script.outcomes()[0].state is InputState.LOST
    assert "lost with 4 workers" in script.outcomes()[0].reason


def test_a_worker_that_says_goodbye_is_no_loss() -> None:
    script = _running(script=Script(Policy(max_losses=1)))

    script.tell(WorkerLeft("wk-1"))

    assert script.outcomes() == []
    assert script.core.pending_total == 1


def test_a_rejoining_worker_keeps_what_it_holds_and_gives_back_what_it_lost() -> None:
    script = _running(count=2)
    kept, lost = script.assigned()
    containers = tuple(
        ContainerReport(view.container_id, "fn-a", ContainerState.READY)
        for view in script.core.containers()
    )
    script.tell(WorkerDisconnected("wk-1"))

    script.tell(WorkerJoined(ONE, (HeldInput(kept.input_id, 1, "fn-a"),), containers))

    assert [view.input_id for view in script.core.pending(9)] == [lost.input_id]
    script.succeed(kept)
    assert [outcome.input_id for outcome in script.outcomes()] == [kept.input_id]


def test_a_held_input_that_is_unknown_is_cancelled_at_its_worker() -> None:
    script = Script()
    script.register()

    said = script.tell(WorkerJoined(ONE, (HeldInput("in-x-0", 1, "fn-a"),)))

    assert only(CancelInputs, said)[0].input_ids == ("in-x-0",)


def test_cancelling_a_call_ends_its_inputs_at_once_and_tells_their_workers() -> None:
    script = _running(count=3)

    said = script.tell(CallCancelled("fc-1", "enough"))

    held = {given.input_id for given in script.assigned()}
    assert {one.state for one in script.outcomes()} == {InputState.CANCELLED}
    assert len(script.outcomes()) == 3
    assert {i for order in only(CancelInputs, said) for i in order.input_ids} == held
    assert only(CallCompleted, said)[0].state == "cancelled"
    assert script.succeed(*script.assigned()) == []


def test_a_call_submitted_again_is_joined() -> None:
    script = _running()

    assert script.submit() == []
    assert script.core.running_total == 1


def test_known_indices_are_ignored() -> None:
    script = _running(count=3)
    script.submit("fc-2", count=2, closed=False)

    script.tell(InputsAdded("fc-2", (range(1, 2), range(3, 4), range(3), range(3, 4)), close=True))

    assert [view.index for view in script.core.inputs("fc-2", 9)] == [0, 1, 2, 3]


def test_a_call_of_an_unknown_function_is_refused() -> None:
    script = Script()

    with pytest.raises(DomainError, match="register it first"):
        script.submit()


def test_a_new_attempt_of_a_generator_is_announced_before_it_is_assigned() -> None:
    script = _running(is_generator=True)

    said = script.give_back(script.assigned()[0])

    assert AttemptStarting("in-1-0", 2) in said
    assert said.index(AttemptStarting("in-1-0", 2)) < len(said) - 1


def test_stopping_an_app_cancels_attached_calls_closes_its_pools_and_forgets_them() -> None:
    script = _running()

    said = script.tell(AppStopped("ap-1", cancel=False, reason="its caller is gone"))
    stopped = only(StopContainer, said)[0].container_id
    said = script.report(stopped, ContainerState.STOPPED)

    assert script.outcomes()[0].state is InputState.CANCELLED
    assert said == [ForgetFunction("wk-1", "fn-a")]
    assert script.core.function("fn-a") is None
    assert script.core.is_idle()


def _restored(script: Script) -> None:
    call = Call("fc-1", "fn-a", CallKind.MAP, 90.0, attached=True, durable=True)
    script.register()
    script.tell(CallRestored(call, (range(3),), (range(1, 3),), True, (), {"succeeded": 1}))


def test_after_a_restart_nothing_is_assigned_before_workers_could_come_back() -> None:
    script = Script()
    _restored(script)
    script.join()

    early = script.started()
    reason = script.core.pending(1)[0].reason
    script.wait(2.0)

    assert early == []
    assert "just started" in reason
    assert len(script.started()) == 2


def test_after_a_restart_a_worker_goes_on_with_what_it_holds() -> None:
    script = Script()
    _restored(script)
    held = (HeldInput("in-1-2", 4, "fn-a"),)
    container = (ContainerReport("ct-old", "fn-a", ContainerState.READY),)

    script.tell(WorkerJoined(ONE, held, container))
    script.succeed(Assigned("wk-1", "in-1-2", 4, alone=False))

    outcome = script.outcomes()[0]
    assert (outcome.attempts, outcome.seq) == (4, 2)
    assert [view.container_id for view in script.core.containers()] == ["ct-old"]


def test_what_is_transient_never_runs_again_once_it_may_have_begun() -> None:
    ends = {}
    for name in ("failed", "died with others", "lost"):
        script = Script()
        script.register(function(retries=RETRYING))
        script.join()
        script.submit(transient=True)
        script.start_all()
        (held,) = script.assigned()

        if name == "failed":
            script.fail(held)
        elif name == "lost":
            script.tell(WorkerDisconnected("wk-1"))
            script.wait(60.0)
        else:
            script.give_back(held, alone=True)
        ends[name] = script.outcomes()[0].state

    lost = InputState.LOST
    assert ends == {"failed": InputState.FAILED, "died with others": lost, "lost": lost}


def test_what_is_transient_goes_to_another_container_where_it_had_not_begun() -> None:
    script = Script()
    script.register(function(retries=RETRYING))
    script.join()
    script.submit(transient=True)
    script.start_all()
    (held,) = script.assigned()

    script.give_back(held)

    assert script.outcomes() == []
    assert script.core.is_open(held.input_id)
