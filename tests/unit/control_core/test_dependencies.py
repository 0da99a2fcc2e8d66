"""Calls that come after others: graphs resolve in one pass over their edges, and what failed is named."""

import pytest
from tests.support.dispatching import Script, function, only

from offload.control.core.dependencies import find_cycle
from offload.control.core.errors import DomainError
from offload.control.core.events import CallCancelled, CallRestored, CallSubmitted
from offload.control.core.inputs import InputState
from offload.control.core.instructions import CallCompleted, RecordRuns
from offload.control.core.model import Call, CallKind, FailureKind


def _cluster() -> Script:
    script = Script()
    script.register(function(max_containers=1))
    script.join()
    return script


def _endings(script: Script) -> dict[str, str]:
    return {one.call_id: one.state for one in only(CallCompleted, script.log)}


def _run_all(script: Script) -> None:
    script.start_all(window_each=1000)
    done = 0
    while len(script.assigned()) > done:
        given = script.assigned()[done:]
        done += len(given)
        script.succeed(*given)


def test_a_chain_runs_one_after_the_other() -> None:
    script = _cluster()
    script.submit("fc-1")
    script.submit("fc-2", after=("fc-1",))
    script.submit("fc-3", after=("fc-2",))

    blocked = script.core.blocked_total
    _run_all(script)

    assert blocked == 2
    assert [given.input_id for given in script.assigned()] == ["in-1-0", "in-2-0", "in-3-0"]


def test_a_diamond_joins_after_both_sides() -> None:
    script = _cluster()
    script.submit("fc-1")
    script.submit("fc-2", after=("fc-1",))
    script.submit("fc-3", after=("fc-1",))
    script.submit("fc-4", after=("fc-2", "fc-3"))

    _run_all(script)

    assert script.assigned()[-1].input_id == "in-4-0"
    assert _endings(script) == dict.fromkeys(("fc-1", "fc-2", "fc-3", "fc-4"), "succeeded")


def test_a_call_that_waits_says_for_which() -> None:
    script = _cluster()
    script.submit("fc-1")
    script.submit("fc-2")

    script.submit("fc-3", after=("fc-1", "fc-2"))

    assert script.core.why_call_waits("fc-3") == "blocked until fc-1 and 1 other call ended"
    assert script.core.inputs("fc-3", 1)[0].state is InputState.BLOCKED


def test_a_fan_in_of_a_thousand_runs_after_the_last() -> None:
    script = _cluster()
    names = tuple(f"fc-{number}" for number in range(1000))
    for name in names:
        script.submit(name)
    script.submit("fc-last", after=names)

    _run_all(script)

    assert script.assigned()[-1].input_id == "in-last-0"
    assert len(script.assigned()) == 1001


def test_a_chain_of_ten_thousand_fails_in_one_event_without_recursion() -> None:
    script = _cluster()
    script.submit("fc-0")
    for number in range(1, 10_000):
        script.submit(f"fc-{number}", after=(f"fc-{number - 1}",))
    script.start_all()

    said = script.fail(script.assigned()[0])

    assert len(only(CallCompleted, said)) == 10_000
    assert script.core.calls_total == script.core.blocked_total == 0


def test_what_was_blocked_by_a_failure_names_the_chain_to_it() -> None:
    script = _cluster()
    script.submit("fc-1")
    for number in range(2, 6):
        script.submit(f"fc-{number}", after=(f"fc-{number - 1}",))
    script.start_all()

    script.fail(script.assigned()[0])

    reasons = {one.call_id: one.reason for one in script.outcomes()}
    assert reasons["fc-2"] == "blocked by fc-1, which failed: boom"
    assert reasons["fc-3"] == "blocked by fc-2 <- fc-1, which failed: boom"
    assert reasons["fc-5"] == "blocked by fc-4 <- 2 more <- fc-1, which failed: boom"
    assert {one.failure for one in script.outcomes()[1:]} == {FailureKind.DEPENDENCY}


def test_a_call_that_runs_anyway_runs_after_a_failure() -> None:
    script = _cluster()
    script.submit("fc-1")
    script.submit("fc-2", after=("fc-1",), run_anyway=True)
    script.start_all()

    script.fail(script.assigned()[0])

    assert script.assigned()[-1].input_id == "in-2-0"


def test_after_a_cancelled_call_nothing_runs() -> None:
    script = _cluster()
    script.submit("fc-1")
    script.submit("fc-2", after=("fc-1",))

    script.tell(CallCancelled("fc-1", "enough"))

    assert _endings(script) == {"fc-1": "cancelled", "fc-2": "failed"}


def test_a_blocked_call_that_is_cancelled_leaves_no_trace() -> None:
    script = _cluster()
    script.submit("fc-1")
    script.submit("fc-2", count=500_000, after=("fc-1",))

    said = script.tell(CallCancelled("fc-2", "enough"))

    assert [len(order.runs) for order in only(RecordRuns, said)] == [1]
    assert script.core.blocked_total == 0
    assert script.core._state.dependants == {}


def test_a_call_without_inputs_ends_after_those_before_it() -> None:
    script = _cluster()
    script.submit("fc-1")
    script.submit("fc-2", count=0, after=("fc-1",))
    script.submit("fc-3", after=("fc-2",))

    early = dict(_endings(script))
    _run_all(script)

    assert early == {}
    assert script.assigned()[-1].input_id == "in-3-0"


def test_a_call_without_inputs_fails_with_the_call_before_it() -> None:
    script = _cluster()
    script.submit("fc-1")
    script.submit("fc-2", count=0, after=("fc-1",))
    script.submit("fc-3", after=("fc-2",))
    script.start_all()

    script.fail(script.assigned()[0])

    assert _endings(script) == {"fc-1": "failed", "fc-2": "failed", "fc-3": "failed"}


def test_a_call_after_one_that_is_over_runs_or_fails_at_once() -> None:
    script = _cluster()
    call = Call("fc-2", "fn-a", CallKind.SINGLE, 0.0, True, True, after=("fc-1",))

    script.tell(CallSubmitted(call, (range(1),), True, ended=(("fc-1", "failed"),)))

    assert script.outcomes()[0].reason == "blocked by fc-1, which failed"


def test_a_call_after_an_unknown_one_or_itself_is_refused() -> None:
    script = _cluster()

    with pytest.raises(DomainError, match="which is not known: submit that one first"):
        script.submit("fc-2", after=("fc-1",))
    with pytest.raises(DomainError, match="to come after itself"):
        script.submit("fc-2", after=("fc-2",))


def test_how_a_call_ended_while_it_was_restored_is_known_to_those_after_it() -> None:
    script = Script()
    script.register()
    first = Call("fc-1", "fn-a", CallKind.SINGLE, 0.0, True, True, deadline=script.now - 1)
    second = Call("fc-2", "fn-a", CallKind.SINGLE, 0.0, True, True, after=("fc-1",))

    script.tell(CallRestored(first, (range(1),), (range(1),), True))
    script.tell(CallRestored(second, (range(1),), (range(1),), True))

    assert _endings(script) == {"fc-1": "failed", "fc-2": "failed"}


def test_a_cycle_is_found_and_a_graph_without_one_is_not() -> None:
    chain = {str(number): [str(number + 1)] for number in range(10_000)}

    assert find_cycle({**chain, "10000": ["0"]})
    assert find_cycle(chain) == []
