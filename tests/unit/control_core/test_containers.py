"""How many containers, where, and why something waits."""

import pytest
from tests.support.dispatching import BASE, Script, function, only

from offload.control.core.assigning import shares
from offload.control.core.autoscale import RecentPeak
from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import ContainerUnwanted, WorkerDraining
from offload.control.core.inputs import InputState
from offload.control.core.instructions import CancelInputs, StartContainer, StopContainer
from offload.control.core.model import ContainerState, FailureKind, RetryPolicy
from offload.control.core.policy import Policy, WorkspaceLimits

OTHER = function("fn-b")


def _reason(script: Script) -> str:
    return script.core.pending(1)[0].reason


def test_room_is_shared_in_proportion_to_its_size() -> None:
    assert shares(6, [8, 4]) == [4, 2]
    assert shares(99, [1, 2]) == [1, 2]
    assert sum(shares(7, [3, 3, 3])) == 7


def test_a_recent_peak_is_forgotten_after_its_window() -> None:
    peak = RecentPeak(10.0)

    seen = [peak.see(3, 0.0), peak.see(1, 5.0), peak.see(2, 8.0), peak.see(2, 15.0)]

    assert seen == [3, 3, 3, 2]


def test_containers_start_with_load_up_to_what_fits() -> None:
    script = Script()
    script.register()
    script.join(cpus=2)

    script.submit(count=5)

    assert len(script.started()) == 2
    assert script.core.workers()[0].used.cpu_milli == 2000


def test_a_pool_counts_what_has_ended_with_whatever_outcome() -> None:
    script = Script()
    script.register()
    script.join(cpus=2)
    script.submit(count=3)
    script.start_all()

    first, second = script.assigned()
    script.succeed(first)
    script.fail(second)

    (pool,) = script.core.pools()
    assert (pool.finished, pool.pending + pool.running) == (2, 1)


def test_containers_spread_to_the_worker_with_most_free_cpu() -> None:
    script = Script()
    script.register()
    script.join("wk-1", cpus=2)
    script.join("wk-2", cpus=3)

    script.submit(count=3)

    assert [order.worker_id for order in script.started()] == ["wk-2", "wk-1", "wk-2"]


def test_a_worker_never_holds_more_than_its_window() -> None:
    script = Script()
    script.register(function(max_containers=1))
    script.join()
    script.submit(count=10)
    script.start_all(window_each=3)

    script.succeed(script.assigned()[0])

    assert script.core.running_total == 3
    assert len(script.assigned()) == 4


def test_an_idle_container_stops_after_its_scaledown_window() -> None:
    script = Script()
    script.register()
    script.join()
    script.submit()
    script.start_all()
    script.succeed(*script.assigned())

    early = only(StopContainer, script.wait(29.9))
    late = only(StopContainer, script.wait(0.1))

    assert (len(early), len(late)) == (0, 1)


def test_min_containers_are_kept_without_any_work() -> None:
    script = Script()
    script.register(function(min_containers=1))

    script.join()
    script.start_all()
    said = script.wait(100.0)

    assert len(script.started()) == 1
    assert only(StopContainer, said) == []


def test_an_idle_container_gives_way_at_once_to_a_pool_that_waits() -> None:
    script = Script()
    script.register()
    script.register(OTHER)
    script.join(cpus=1)
    script.submit()
    script.start_all()
    script.succeed(*script.assigned())

    stopped = only(StopContainer, script.submit("fc-2", function_id="fn-b"))[0].container_id
    said = script.report(stopped, ContainerState.STOPPED)

    assert only(StartContainer, said)[0].function_id == "fn-b"


def test_a_pool_without_any_container_takes_one_from_the_busy_pool_that_has_most() -> None:
    script = Script()
    script.register()
    script.register(OTHER)
    script.join(cpus=2)
    script.submit(count=9)
    script.start_all()

    said = script.submit("fc-2", function_id="fn-b")

    stops = only(StopContainer, said)
    assert len(stops) == 1
    assert stops[0].grace_seconds == BASE.timeout_seconds


def test_a_draining_worker_gets_nothing_new_and_its_idle_containers_stop() -> None:
    script = Script()
    script.register()
    script.join()
    script.submit()
    script.start_all()
    script.succeed(*script.assigned())

    said = script.tell(WorkerDraining("wk-1"))
    script.submit("fc-2")

    assert len(only(StopContainer, said)) == 1
    assert len(script.assigned()) == 1
    assert _reason(script) == "no worker takes new work: 1 draining"


def test_failed_starts_are_tried_again_more_and_more_slowly_and_then_fail_the_waiting_inputs() -> (
    None
):
    script = Script()
    script.register()
    script.join()
    script.submit()

    script.report(script.started()[-1].container_id, ContainerState.FAILED, reason="no image")
    first = _reason(script)
    script.wait(1.0)
    script.report(script.started()[-1].container_id, ContainerState.FAILED, reason="no image")
    second = _reason(script)
    script.wait(2.0)
    script.report(script.started()[-1].container_id, ContainerState.FAILED, reason="no image")

    assert first == "container start failed 1 time, trying again in 1 s: no image"
    assert second == "container start failed 2 times, trying again in 2 s: no image"
    outcome = script.outcomes()[0]
    assert (outcome.state, outcome.failure) == (InputState.FAILED, FailureKind.START)
    assert outcome.reason == "no image"


def test_a_container_that_never_gets_ready_is_given_up() -> None:
    script = Script()
    script.register()
    script.join()
    script.submit()
    first = script.started()[0].container_id

    said = script.wait(2 * BASE.startup_timeout_seconds)

    assert [order.container_id for order in only(StopContainer, said)] == [first]


def test_inputs_that_reached_a_worker_after_its_last_container_are_taken_back() -> None:
    script = Script()
    script.register()
    script.join()
    script.submit()
    script.start_all()
    script.tell(WorkerDraining("wk-1"))
    script.report(script.core.containers()[0].container_id, ContainerState.STOPPED)

    said = script.wait(5.0)

    assert only(CancelInputs, said)[0].input_ids == ("in-1-0",)
    assert script.core.pending_total == 1


def test_what_waits_says_why() -> None:
    script = Script()
    script.register(function(host_id="ab12cd34", runtime="gvisor", cpu_milli=64_000))
    script.submit()
    reasons = [_reason(script)]

    script.join("wk-1")
    reasons.append(_reason(script))
    script.join("wk-2", host_id="ab12cd34")
    reasons.append(_reason(script))
    script.join("wk-3", host_id="ab12cd34", runtimes="bubblewrap gvisor")
    reasons.append(_reason(script))

    assert reasons == [
        "no worker is connected",
        "no worker on the caller's machine (host ab12…)",
        "no worker offers runtime gvisor",
        "no worker can ever run it: needs 64 cpus, the largest worker has 2",
    ]


def test_what_waits_for_its_container_its_turn_or_room_says_so() -> None:
    script = Script()
    script.register(function(max_containers=1))
    script.register(OTHER)
    script.join(cpus=1)
    script.submit(count=3)
    starting = _reason(script)
    script.submit("fc-2", function_id="fn-b")
    room = {view.call_id: view.reason for view in script.core.pending(9)}["fc-2"]

    script.start_all()
    turns = [view.reason for view in script.core.pending(9) if view.call_id == "fc-1"]

    assert starting == "waiting for a container: 1 starting"
    assert room == "waiting for room: all 1 cpu of 1 worker are in use"
    assert turns == [
        "waiting for its turn: it is the next of this function; max_containers is 1",
        "waiting for its turn: 1 input of this function is before it; max_containers is 1",
    ]


def test_what_containers_serve_but_too_few_of_them_says_why_there_is_no_further_one() -> None:
    script = Script()
    script.register()
    script.join(cpus=1)
    script.submit(count=2)
    script.start_all()
    in_full = _reason(script)
    script.join("wk-2", cpus=1)
    second = script.started()[-1]
    starting = _reason(script)

    script.report(
        second.container_id, ContainerState.FAILED, worker_id="wk-2", reason="no such image"
    )

    assert in_full == (
        "waiting for its turn: it is the next of this function; "
        "no further container: all 1 cpu of 1 worker are in use"
    )
    assert starting == (
        "waiting for its turn: it is the next of this function; 1 more container starting"
    )
    assert _reason(script) == (
        "waiting for its turn: it is the next of this function; no further container yet: "
        "container start failed 1 time, trying again in 1 s: no such image"
    )


def test_a_retry_says_when_it_comes() -> None:
    script = Script()
    script.register(function(retries=RetryPolicy(3, initial_delay_seconds=4.0)))
    script.join()
    script.submit()
    script.start_all()

    script.fail(script.assigned()[0])

    assert _reason(script).startswith("retry 1 of 3 in ")


def test_a_function_takes_no_more_containers_of_its_full_workspace_than_it_needs() -> None:
    policy = Policy(workspaces={"default": WorkspaceLimits(max_containers=2)})
    script = Script(policy)
    script.register(function("fn-a", scaledown_window_seconds=60.0))
    script.register(function("fn-b"))
    script.join(cpus=8)
    script.submit("fc-1", 2)
    script.start_all()
    script.succeed(*script.assigned())
    script.log.clear()

    script.submit("fc-2", function_id="fn-b")

    assert len(only(StartContainer, script.log)) == 1
    assert len(only(StopContainer, script.log)) == 1


def test_a_container_that_a_person_does_not_want_gets_the_time_that_its_input_may_take() -> None:
    script = Script()
    script.register()
    script.join(cpus=1)
    script.submit()
    script.start_all()
    (container,) = script.core.containers()

    (stop,) = only(StopContainer, script.tell(ContainerUnwanted(container.container_id)))

    assert (stop.container_id, stop.grace_seconds) == (container.container_id, 60.0)
    assert script.core.containers()[0].state == "stopping"


def test_one_that_is_not_wanted_now_gets_none_also_when_it_is_stopping_already() -> None:
    script = Script()
    script.register()
    script.join(cpus=1)
    script.submit()
    script.start_all()
    (container,) = script.core.containers()
    script.tell(ContainerUnwanted(container.container_id))

    again = only(StopContainer, script.tell(ContainerUnwanted(container.container_id)))
    now = only(StopContainer, script.tell(ContainerUnwanted(container.container_id, now=True)))

    assert again == []
    assert [stop.grace_seconds for stop in now] == [0.0]


def test_a_container_that_is_not_there_cannot_be_unwanted() -> None:
    script = Script()

    with pytest.raises(DomainError) as refused:
        script.tell(ContainerUnwanted("ct-none"))

    assert refused.value.code is ErrorCode.NOT_FOUND
