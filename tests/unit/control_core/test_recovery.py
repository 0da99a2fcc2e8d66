"""After a restart: whom the server waits for, and when it stops waiting."""

from tests.support.dispatching import Script, function, only

from offload.control.core.dispatch import Dispatcher, Policy
from offload.control.core.events import (
    AppStopped,
    CallCancelled,
    CallRestored,
    CallSubmitted,
    FunctionRegistered,
    WorkerDisconnected,
)
from offload.control.core.instructions import ForgetWorker, StartContainer
from offload.control.core.model import Call, CallKind


def _restarted(*expected: str) -> Script:
    script = Script()
    script.core = Dispatcher(Policy(), "t", script.now, [(one, one) for one in expected])
    script.register()
    call = Call("fc-1", "fn-a", CallKind.MAP, 90.0, attached=True, durable=True)
    script.tell(CallRestored(call, (range(3),), (range(3),), closed=True))
    return script


def test_recovery_ends_with_the_last_worker_that_was_expected() -> None:
    script = _restarted("wk-1", "wk-2")

    first = only(StartContainer, script.join("wk-1"))
    second = only(StartContainer, script.join("wk-2"))

    assert (len(first), len(second)) == (0, 3)


def test_what_waits_meanwhile_says_for_whom() -> None:
    script = _restarted("wk-1")

    reason = script.core.pending(1)[0].reason

    assert reason == "the server has just started: waiting 2 s for wk-1 to come back"


def test_an_unexpected_worker_does_not_end_the_recovery() -> None:
    script = _restarted("wk-1")

    early = only(StartContainer, script.join("wk-9"))
    late = only(StartContainer, script.wait(2.0))

    assert (len(early), len(late)) == (0, 2)


def test_without_anything_to_take_up_there_is_nothing_to_wait_for() -> None:
    script = Script()
    script.register()
    script.join()

    assert len(only(StartContainer, script.submit())) == 1


def test_a_worker_that_is_given_up_is_not_expected_by_the_next_server() -> None:
    script = Script()
    script.register()
    script.join()
    script.tell(WorkerDisconnected("wk-1"))

    said = script.wait(10.0)

    assert only(ForgetWorker, said) == [ForgetWorker("wk-1")]


def test_a_function_of_a_stopped_app_is_there_for_what_is_left_of_it() -> None:
    script = Script()
    script.tell(FunctionRegistered(function(), is_stopped=True))
    call = Call("fc-1", "fn-a", CallKind.SINGLE, 90.0, attached=False, durable=True)

    script.tell(CallSubmitted(call, (range(1),), closed=True, although_stopped=True))
    script.join()
    script.start_all()

    assert [given.input_id for given in script.assigned()] == ["in-1-0"]


def test_a_function_of_a_stopped_app_goes_when_nothing_is_left_of_it() -> None:
    script = Script()
    script.tell(FunctionRegistered(function(), is_stopped=True))

    script.wait(5.0)

    assert script.core.function("fn-a") is None


def test_a_stopped_function_that_is_asked_for_again_goes_when_nothing_is_left_of_it_all_the_same() -> (
    None
):
    script = Script()
    script.tell(FunctionRegistered(function()))
    script.submit()
    script.tell(AppStopped("ap-1", cancel=False, reason="", keeps_attached=True))
    script.tell(FunctionRegistered(function(), is_stopped=True))
    script.tell(CallCancelled("fc-1", "enough"))
    script.wait(2.0)
    script.tell(FunctionRegistered(function(), is_stopped=True))

    script.wait(5.0)

    assert script.core.function("fn-a") is None
