"""What is served first: priority, then age; and nothing waits for ever."""

from tests.support.dispatching import Script, function, only

from offload.control.core.dispatch import Policy
from offload.control.core.events import Returned, WorkerReported
from offload.control.core.instructions import StopContainer
from offload.control.core.model import ContainerState, RetryPolicy

OTHER = function("fn-b")


def _busy(cpus: int = 1, policy: Policy | None = None) -> Script:
    script = Script(policy)
    script.register()
    script.register(OTHER)
    script.join(cpus=cpus)
    script.submit("fc-1", count=90)
    script.start_all()
    return script


def _finish_stopping(script: Script) -> None:
    for view in script.core.containers():
        if view.state == "stopping":
            script.report(view.container_id, ContainerState.STOPPED, view.function.function_id)
    script.start_all()


def test_within_a_function_the_higher_priority_goes_first_then_the_older() -> None:
    script = _busy()
    script.submit("fc-2")
    script.submit("fc-3", priority=1)
    script.submit("fc-4", priority=1)

    for _ in range(3):
        script.succeed(script.assigned()[-1])

    assert [given.input_id for given in script.assigned()[1:]] == ["in-3-0", "in-4-0", "in-1-1"]


def test_a_step_of_priority_is_worth_so_much_waiting() -> None:
    script = _busy(policy=Policy(ageing_seconds=10.0))
    script.submit("fc-2")
    script.wait(11.0)
    script.submit("fc-3", priority=1)

    for _ in range(90):
        script.succeed(script.assigned()[-1])
    script.succeed(script.assigned()[-1])

    assert [given.input_id for given in script.assigned()[-2:]] == ["in-2-0", "in-3-0"]


def test_what_was_given_back_goes_before_the_rest_of_its_call() -> None:
    script = _busy()
    first = script.assigned()[-1]

    script.give_back(first)

    assert script.assigned()[-1].input_id == first.input_id


def test_given_back_inputs_keep_their_order() -> None:
    script = Script()
    script.register(function(max_containers=1))
    script.join(cpus=1)
    script.submit("fc-1", count=9)
    script.start_all(window_each=4)
    given = script.assigned()

    script.report(script.started()[0].container_id, ContainerState.DIED)
    script.tell(
        WorkerReported(
            "wk-1", returned=tuple(Returned(one.input_id, one.attempt, "it died") for one in given)
        )
    )
    script.start_all(window_each=4)

    assert [one.input_id for one in script.assigned()[4:8]] == [one.input_id for one in given]


def test_a_function_with_a_higher_priority_takes_over_and_the_running_input_may_finish() -> None:
    script = _busy()
    script.wait(3.0)

    script.submit("fc-2", function_id="fn-b", priority=1)

    (stop,) = only(StopContainer, script.said)
    assert stop.grace_seconds == OTHER.timeout_seconds
    _finish_stopping(script)
    assert script.assigned()[-1].input_id == "in-2-0"


def test_a_function_with_a_lower_priority_takes_nothing() -> None:
    script = _busy(cpus=2)

    script.submit("fc-2", function_id="fn-b", priority=-1)
    script.wait(30.0)

    assert only(StopContainer, script.log) == []


def test_a_function_without_a_container_rises_until_it_gets_one() -> None:
    script = _busy(cpus=2, policy=Policy(ageing_seconds=100.0))
    script.submit("fc-2", function_id="fn-b", priority=-2)

    early = only(StopContainer, script.wait(199.0))
    late = only(StopContainer, script.wait(5.0))

    assert (len(early), len(late)) == (0, 1)


def test_two_functions_of_one_priority_do_not_stop_one_another_again_and_again() -> None:
    script = _busy(cpus=2)
    script.submit("fc-2", count=90, function_id="fn-b")

    for _ in range(20):
        _finish_stopping(script)
        script.wait(5.0)

    functions = sorted(view.function.function_id for view in script.core.containers())
    assert functions == ["fn-a", "fn-b"]
    assert len(only(StopContainer, script.log)) == 1


def test_two_functions_of_one_priority_take_turns_on_one_cpu() -> None:
    script = _busy()
    script.submit("fc-2", count=90, function_id="fn-b")

    for _ in range(12):
        _finish_stopping(script)
        script.wait(1.0)

    assert 3 <= len(only(StopContainer, script.log)) <= 7
    assert {one.input_id.split("-")[1] for one in script.assigned()} == {"1", "2"}


def test_a_function_without_a_container_takes_one_even_if_it_could_use_more() -> None:
    script = _busy(cpus=4)

    script.submit("fc-2", count=90, function_id="fn-b")

    assert len(only(StopContainer, script.said)) == 1


def test_inputs_that_wait_for_a_retry_hold_no_container_that_others_want() -> None:
    script = Script()
    script.register(function(retries=RetryPolicy(3, initial_delay_seconds=50.0)))
    script.register(OTHER)
    script.join(cpus=1)
    script.submit()
    script.start_all()
    script.fail(script.assigned()[0])

    script.submit("fc-2", function_id="fn-b")

    assert len(only(StopContainer, script.said)) == 1
