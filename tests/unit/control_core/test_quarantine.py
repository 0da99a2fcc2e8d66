"""Containers that cannot start: the function's fault opens its breaker, the worker's fault sends it into quarantine."""

import itertools

import pytest
from tests.support.dispatching import Script, function

from offload.control.core.breaker import (
    BREAKER_TRANSITIONS,
    Breaker,
    BreakerEvent,
    BreakerState,
    delay_seconds,
)
from offload.control.core.errors import IllegalMoveError
from offload.control.core.events import (
    WorkerDisconnected,
    WorkerDraining,
    WorkerLeft,
    WorkerReported,
)
from offload.control.core.inputs import InputState
from offload.control.core.model import ContainerReport, ContainerState, FailureKind
from offload.control.core.workers import (
    WORKER_TRANSITIONS,
    WorkerEvent,
    WorkerState,
    move_worker,
)

OTHER = function("fn-b")


def _fail_start(script: Script, worker_id: str = "wk-1", *, blames_function: bool = False) -> None:
    starting = [
        view
        for view in script.core.containers()
        if view.state == "starting" and view.worker_id == worker_id
    ]
    view = starting[0]
    report = ContainerReport(
        view.container_id,
        view.function.function_id,
        ContainerState.FAILED,
        reason="disk full",
        blames_function=blames_function,
    )
    script.tell(WorkerReported(worker_id, containers=(report,)))


def _states(script: Script) -> list[str]:
    return [view.state for view in script.core.workers()]


def _quarantined() -> Script:
    """One worker, on which two functions could not start three times."""
    script = Script()
    script.register()
    script.register(OTHER)
    script.join(cpus=3)
    script.submit("fc-1")
    script.submit("fc-2", function_id="fn-b")
    _fail_start(script)
    _fail_start(script)
    script.wait(1.0)
    _fail_start(script)
    return script


def test_a_worker_on_which_several_functions_cannot_start_is_quarantined_and_says_why() -> None:
    script = _quarantined()

    (view,) = script.core.workers()

    assert view.state is WorkerState.QUARANTINED
    assert view.reason == "containers could not start on it: disk full; trying again in 10 s"


def test_one_function_alone_says_nothing_about_a_worker() -> None:
    script = Script()
    script.register()
    script.join()
    script.submit(count=9)

    for _ in range(2):
        _fail_start(script)
        script.wait(10.0)
    _fail_start(script)

    assert _states(script) == ["online"]


def test_a_function_that_starts_elsewhere_does() -> None:
    script = Script()
    script.register()
    script.join("wk-1", cpus=1)
    script.submit(count=90)
    script.start_all()
    script.join("wk-2", cpus=9)

    for _ in range(3):
        _fail_start(script, "wk-2")

    assert _states(script) == ["online", "quarantined"]


def test_a_start_that_fails_in_the_users_code_is_never_the_workers_fault() -> None:
    script = Script()
    script.register()
    script.register(OTHER)
    script.join(cpus=4)
    script.submit("fc-1", count=2)
    script.submit("fc-2", count=2, function_id="fn-b")

    for _ in range(4):
        _fail_start(script, blames_function=True)

    assert _states(script) == ["online"]


def test_a_quarantine_ends_and_the_next_failed_start_makes_it_longer() -> None:
    script = _quarantined()

    script.wait(10.0)
    released = _states(script)
    _fail_start(script)
    script.wait(19.0)
    again = _states(script)
    script.wait(1.0)

    assert (released, again, _states(script)) == (["online"], ["quarantined"], ["online"])


def test_a_container_that_starts_makes_a_worker_well_again() -> None:
    script = _quarantined()
    script.wait(10.0)
    script.start_all()

    script.submit("fc-3", count=9)
    _fail_start(script)

    assert _states(script) == ["online"]


def test_a_quarantine_outlives_a_broken_session() -> None:
    script = _quarantined()

    script.tell(WorkerDisconnected("wk-1"))
    script.join()

    assert _states(script) == ["quarantined"]


def test_a_worker_that_left_in_quarantine_is_not_counted_when_that_ends() -> None:
    script = _quarantined()
    script.tell(WorkerLeft("wk-1"))

    script.wait(60.0)

    assert script.core._state.total_cpu == 0


def test_a_drained_worker_is_still_draining_when_it_comes_back() -> None:
    script = Script()
    script.register()
    script.join()
    script.tell(WorkerDraining("wk-1", "maintenance"))

    script.tell(WorkerDisconnected("wk-1"))
    script.join()

    assert _states(script) == ["draining"]


def test_a_function_is_started_on_another_worker_after_it_failed_on_one() -> None:
    script = Script()
    script.register()
    script.join("wk-1", cpus=4)
    script.join("wk-2", cpus=2)
    script.submit()

    _fail_start(script)
    script.wait(1.0)

    assert [order.worker_id for order in script.started()] == ["wk-1", "wk-2"]


def test_after_a_failed_start_one_container_at_a_time_is_tried_and_then_all() -> None:
    script = Script()
    script.register()
    script.join(cpus=4)
    script.submit(count=9)
    for view in list(script.core.containers()):
        script.report(view.container_id, ContainerState.FAILED, reason="no image")

    script.wait(1.0)
    trying = sum(view.state == "starting" for view in script.core.containers())
    script.start_all()

    assert trying == 1
    assert len(script.core.containers()) == 4


def test_inputs_that_come_while_a_function_cannot_start_fail_with_the_next_try() -> None:
    script = Script()
    script.register()
    script.join()
    script.submit("fc-1")
    for _ in range(3):
        _fail_start(script, blames_function=True)
        script.wait(4.0)

    script.submit("fc-2")
    _fail_start(script, blames_function=True)

    assert [one.call_id for one in script.outcomes()] == ["fc-1", "fc-2"]
    assert {one.failure for one in script.outcomes()} == {FailureKind.START}
    assert {one.state for one in script.outcomes()} == {InputState.FAILED}


def test_a_container_told_to_stop_has_not_failed_to_start() -> None:
    script = Script()
    script.register()
    script.join()
    script.submit()
    script.wait(20.0)

    script.report(script.started()[0].container_id, ContainerState.FAILED)

    assert script.core.pending(1)[0].reason.startswith("container start failed 1 time,")


def test_the_delay_between_tries_doubles_up_to_a_minute() -> None:
    delays = [delay_seconds(count) for count in range(1, 9)]

    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_every_state_of_a_breaker_is_reachable_and_leads_back() -> None:
    after = {state: set(moves.values()) for state, moves in BREAKER_TRANSITIONS.items()}

    assert set().union(*after.values()) == set(BreakerState)
    assert all(BreakerState.CLOSED in states for states in after.values())


def test_an_open_breaker_fails_by_giving_up() -> None:
    breaker = Breaker()
    breaker.fail(0.0, 1, "no image", b"")

    with pytest.raises(IllegalMoveError, match="no move from open on failed"):
        breaker.fail(1.0, 99, "no image", b"")
    assert BreakerEvent.FAILED not in BREAKER_TRANSITIONS[BreakerState.OPEN]


@pytest.mark.parametrize(("state", "event"), list(itertools.product(WorkerState, WorkerEvent)))
def test_a_worker_makes_only_the_moves_of_its_table(state: WorkerState, event: WorkerEvent) -> None:
    after = WORKER_TRANSITIONS[state].get(event)

    if after is not None:
        assert move_worker(state, event) is after
    else:
        with pytest.raises(IllegalMoveError):
            move_worker(state, event)


def test_every_state_of_a_worker_is_reachable() -> None:
    reached = {after for moves in WORKER_TRANSITIONS.values() for after in moves.values()}

    assert reached == set(WorkerState)
