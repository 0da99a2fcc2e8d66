"""Containers whose inputs wait for calls that they made make room for what they wait for."""

from tests.support.consistency import check
from tests.support.dispatching import Script, function, only

from offload.control.core.events import (
    ContainerWaits,
    Returned,
    Started,
    WorkerJoined,
    WorkerReported,
)
from offload.control.core.instructions import StopContainer
from offload.control.core.model import Capacity, ContainerReport, ContainerState, WorkerInfo

CALLED = function("fn-b")


def _callers(count: int = 2, cpus: int = 2) -> Script:
    """Fill a worker with containers that run one input each."""
    script = Script()
    script.register()
    script.register(CALLED)
    script.join(cpus=cpus)
    script.submit("fc-1", count=count)
    script.start_all()
    return script


def _two_at_once(begun: int = 2) -> tuple[Script, str]:
    """Fill a worker with a container that has two inputs, so many of which have begun."""
    script = Script()
    script.register(function(max_inputs=2, target_inputs=2))
    script.register(CALLED)
    script.join(cpus=1)
    script.submit("fc-1", count=2)
    script.start_all(window_each=2)
    container_id = script.started()[0].container_id
    started = tuple(Started(one.input_id, 1, container_id) for one in script.assigned()[:begun])
    script.tell(WorkerReported("wk-1", started=started))
    return script, container_id


def test_a_call_from_inside_runs_although_its_callers_fill_the_machine() -> None:
    script = _callers()
    for order in script.started():
        script.tell(ContainerWaits(order.container_id, 1))

    script.submit("fc-2", count=2, function_id="fn-b")

    assert [order.function_id for order in script.started()] == ["fn-a", "fn-a", "fn-b", "fn-b"]
    assert not only(StopContainer, script.log)
    check(script.core)


def test_room_that_is_lent_is_found_by_what_waited_before() -> None:
    script = _callers()
    script.submit("fc-2", function_id="fn-b", priority=-1)

    script.tell(ContainerWaits(script.started()[0].container_id, 1))

    assert script.started()[-1].function_id == "fn-b"
    check(script.core)


def test_a_machine_that_got_its_cores_back_while_others_use_them_starts_nothing_more() -> None:
    script = _callers(cpus=1, count=1)
    caller = script.started()[0].container_id
    script.tell(ContainerWaits(caller, 1))
    script.submit("fc-2", function_id="fn-b")

    script.tell(ContainerWaits(caller, 0))
    script.submit("fc-3", count=5, function_id="fn-b")

    assert len(script.started()) == 2
    check(script.core)


def test_a_container_lends_only_while_each_of_its_inputs_waits() -> None:
    script, container_id = _two_at_once()

    script.tell(ContainerWaits(container_id, 1))
    script.submit("fc-2", function_id="fn-b")
    before = len(script.started())
    script.tell(ContainerWaits(container_id, 2))

    assert (before, len(script.started())) == (1, 2)
    check(script.core)


def test_a_container_that_ends_while_it_lends_gives_back_what_it_took_and_no_more() -> None:
    script = _callers(cpus=1, count=1)
    caller = script.started()[0].container_id
    script.tell(ContainerWaits(caller, 1))

    script.report(caller, ContainerState.DIED, reason="gone")

    check(script.core)
    assert script.core.workers()[0].used.cpu_milli == 1000 * (len(script.started()) - 1)


def test_a_container_lends_once_the_last_of_its_inputs_that_computed_has_ended() -> None:
    script, container_id = _two_at_once()
    script.tell(ContainerWaits(container_id, 1))
    script.submit("fc-2", function_id="fn-b")
    before = len(script.started())

    script.succeed(script.assigned()[0])

    assert (before, len(script.started())) == (1, 2)
    check(script.core)


def test_a_container_lends_no_more_once_it_has_begun_an_input_that_computes() -> None:
    script, container_id = _two_at_once(begun=1)
    script.tell(ContainerWaits(container_id, 1))

    started = Started(script.assigned()[1].input_id, 1, container_id)
    script.tell(WorkerReported("wk-1", started=(started,)))
    script.submit("fc-2", function_id="fn-b")

    assert len(script.started()) == 1
    check(script.core)


def test_a_container_whose_wait_was_told_before_its_worker_came_back_lends_from_then_on() -> None:
    script = Script()
    script.register()
    script.register(CALLED)
    script.tell(ContainerWaits("ct-old", 1))

    report = ContainerReport("ct-old", "fn-a", ContainerState.READY)
    worker = WorkerInfo("wk-1", "wk-1", "0", "h1", Capacity(1000, 4096), {}, ("bubblewrap",))
    script.tell(WorkerJoined(worker, containers=(report,)))
    script.submit("fc-2", function_id="fn-b")

    assert [order.function_id for order in script.started()] == ["fn-b"]
    check(script.core)


def test_a_container_that_is_gone_lends_nothing_when_its_inputs_are_given_back() -> None:
    script, container_id = _two_at_once()
    script.tell(ContainerWaits(container_id, 1))

    script.report(container_id, ContainerState.DIED, reason="gone")
    script.tell(
        WorkerReported("wk-1", returned=(Returned(script.assigned()[0].input_id, 1, "gone"),))
    )

    check(script.core)
    assert script.core.workers()[0].used.cpu_milli == 1000 * (len(script.started()) - 1)
