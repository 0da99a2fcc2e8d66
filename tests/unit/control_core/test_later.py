"""Calls that begin later."""

from __future__ import annotations

from dataclasses import replace

from tests.support.dispatching import Script, function

from offload.control.core.events import (
    CallCancelled,
    CallRestored,
    CallSubmitted,
    FunctionRegistered,
)
from offload.control.core.model import Call, CallKind


def a_call(call_id: str, not_before: float, **changes: object) -> Call:
    call = Call(call_id, "fn-a", CallKind.SINGLE, 100.0, attached=False, durable=True)
    return replace(call, not_before=not_before, **changes)  # type: ignore[arg-type]


def script() -> Script:
    made = Script()
    made.tell(FunctionRegistered(function()))
    return made


def is_pending(made: Script, call_id: str) -> bool:
    return any(view.call_id == call_id for view in made.core.pending(10))


def test_a_call_waits_for_its_time_and_says_so() -> None:
    made = script()
    start = made.now

    made.tell(CallSubmitted(a_call("fc-1", start + 30), (range(1),), closed=True))
    waits = made.core.why_call_waits("fc-1")
    wake_at = made.core.next_wakeup()
    early = is_pending(made, "fc-1")
    made.wait(30)

    assert waits == "not to begin before its time, in 30 s"
    assert wake_at == start + 30
    assert (early, is_pending(made, "fc-1")) == (False, True)


def test_a_call_whose_time_has_passed_begins_at_once() -> None:
    made = script()

    made.tell(CallSubmitted(a_call("fc-1", made.now - 1), (range(1),), closed=True))

    assert is_pending(made, "fc-1")


def test_a_call_that_waits_for_its_time_is_cancelled_like_any_other() -> None:
    made = script()
    made.tell(CallSubmitted(a_call("fc-1", made.now + 30), (range(1),), closed=True))

    made.tell(CallCancelled("fc-1", "nobody wants it"))
    made.wait(60)

    assert not made.core.knows_call("fc-1")
    assert made.core.blocked_total == 0


def test_a_call_that_waits_for_its_time_waits_on_after_a_restart() -> None:
    made = script()
    start = made.now

    made.tell(CallRestored(a_call("fc-1", start + 30), (range(1),), (range(1),), closed=True))
    early = is_pending(made, "fc-1")
    made.wait(30)

    assert (early, is_pending(made, "fc-1")) == (False, True)


def test_a_call_that_waits_for_its_time_and_for_another_call_begins_after_both() -> None:
    made = script()
    start = made.now
    made.tell(CallSubmitted(a_call("fc-1", 0.0), (range(1),), closed=True))
    later = a_call("fc-2", start + 30, after=("fc-1",), run_anyway=True)
    made.tell(CallSubmitted(later, (range(1),), closed=True))

    made.tell(CallCancelled("fc-1", "enough"))
    too_early = is_pending(made, "fc-2")
    made.wait(30)

    assert (too_early, is_pending(made, "fc-2")) == (False, True)
