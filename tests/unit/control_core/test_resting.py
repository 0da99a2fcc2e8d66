"""Calls of one input in a long line rest: they have no record, and nobody can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.consistency import check
from tests.support.dispatching import BASE, Script

from offload.control.core.dispatch import Policy
from offload.control.core.events import (
    AppStopped,
    CallCancelled,
    CallRestored,
    CallSubmitted,
    History,
)
from offload.control.core.inputs import InputState
from offload.control.core.model import Call, CallKind, ContainerState

if TYPE_CHECKING:
    from collections.abc import Iterable

ONE = (range(1),)


def _spawned(name: str, now: float, priority: int = 0) -> Call:
    return Call(f"fc-{name}", "fn-a", CallKind.SINGLE, now, False, True, priority)


def _queued(names: Iterable[str] = "abcde", resting_beyond: int = 2) -> Script:
    script = Script(Policy(resting_beyond=resting_beyond))
    script.register(BASE)
    for name in names:
        script.tell(CallSubmitted(_spawned(name, script.now), ONE, True))
    return script


def _run_all(script: Script) -> list[str]:
    script.join(cpus=1)
    script.start_all()
    while (given := script.assigned()[-1]).input_id not in {o.input_id for o in script.outcomes()}:
        script.succeed(given)
    return [given.input_id for given in script.assigned()]


def test_calls_beyond_the_head_of_a_line_rest() -> None:
    script = _queued()

    resting = [name for name in "abcde" if script.core.is_resting(f"fc-{name}")]

    assert resting == ["c", "d", "e"]
    assert (script.core.calls_total, script.core.pending_total) == (5, 5)
    check(script.core)


def test_resting_calls_run_in_their_turn() -> None:
    script = _queued()

    order = _run_all(script)

    assert order == ["in-a-0", "in-b-0", "in-c-0", "in-d-0", "in-e-0"]
    assert script.core.calls_total == 0
    check(script.core)


def test_a_call_of_higher_priority_goes_before_the_resting_ones_and_rests_not() -> None:
    script = _queued("abcd")
    script.tell(CallSubmitted(_spawned("e", script.now, priority=1), ONE, True))
    script.tell(CallSubmitted(_spawned("f", script.now), ONE, True))

    order = _run_all(script)

    assert order == ["in-e-0", "in-a-0", "in-b-0", "in-c-0", "in-d-0", "in-f-0"]
    check(script.core)


def test_a_resting_call_can_be_cancelled() -> None:
    script = _queued()

    script.tell(CallCancelled("fc-d", "enough"))

    ended = [(one.call_id, one.state) for one in script.outcomes()]
    assert ended == [("fc-d", InputState.CANCELLED)]
    assert _run_all(script) == ["in-a-0", "in-b-0", "in-c-0", "in-e-0"]


def test_looking_at_a_resting_call_lets_it_rest() -> None:
    script = _queued()

    views = script.core.inputs("fc-d", 10)

    assert [view.input_id for view in views] == ["in-d-0"]
    assert script.core.counts("fc-d") == {InputState.READY: 1}
    assert script.core.is_open("in-d-0")
    assert not script.core.is_open("in-d-1")
    assert [view.call_id for view in script.core.pending(10)] == [f"fc-{name}" for name in "abcde"]
    assert script.core.is_resting("fc-d")


def test_a_call_can_come_after_a_resting_one() -> None:
    script = _queued()

    script.submit("fc-x", after=("fc-e",))

    assert script.core.counts("fc-x") == {InputState.BLOCKED: 1}
    assert _run_all(script)[-1] == "in-x-0"


def test_a_call_submitted_again_while_it_rests_is_the_same_call() -> None:
    script = _queued()

    script.tell(CallSubmitted(_spawned("e", script.now), ONE, True))

    assert script.core.calls_total == 5


def test_an_app_that_is_stopped_takes_its_resting_calls_with_it() -> None:
    script = _queued()

    script.tell(AppStopped("ap-1", cancel=True, reason="stopped"))

    assert [one.state for one in script.outcomes()] == [InputState.CANCELLED] * 5
    assert script.core.calls_total == 0


def test_a_function_that_cannot_start_fails_its_resting_calls_too() -> None:
    script = _queued()
    script.join(cpus=1)

    for _ in range(3):
        container_id = script.started()[-1].container_id
        script.report(container_id, ContainerState.FAILED, reason="no image")
        script.wait(60.0)

    assert [one.call_id for one in script.outcomes()] == [f"fc-{name}" for name in "abcde"]
    check(script.core)


def test_calls_that_a_server_left_untouched_rest_again_after_its_restart() -> None:
    script = Script(Policy(resting_beyond=2, recovery_seconds=0.0))
    script.register(BASE)

    for name in "abcde":
        script.tell(CallRestored(_spawned(name, 1.0), ONE, ONE, closed=True))

    assert [name for name in "abcde" if script.core.is_resting(f"fc-{name}")] == ["c", "d", "e"]
    assert _run_all(script) == [f"in-{name}-0" for name in "abcde"]


def test_a_call_whose_input_was_tried_before_the_restart_does_not_rest() -> None:
    script = Script(Policy(resting_beyond=0, recovery_seconds=0.0))
    script.register(BASE)
    tried = (History(0, attempts=2, failures=1, losses=0, kills=0, alone=False, retry_at=0.0),)

    script.tell(CallRestored(_spawned("a", 1.0), ONE, ONE, closed=True, tried=tried))
    script.join(cpus=1)
    script.start_all()

    assert [given.attempt for given in script.assigned()] == [3]


def test_the_next_inputs_of_a_function_are_named_across_calls() -> None:
    script = _queued("abc")
    script.submit("fc-x", count=3)

    ahead = script.core.next_inputs("fn-a", 5)

    assert ahead == ["in-a-0", "in-b-0", "in-c-0", "in-x-0", "in-x-1"]
