"""Workspaces share a cluster by weight, and do not take the same container from one another again and again."""

from dataclasses import replace

from tests.support.dispatching import Script, function, only

from offload.control.core.dispatch import Policy
from offload.control.core.events import AppStopped
from offload.control.core.instructions import StartContainer, StopContainer
from offload.control.core.model import ContainerState
from offload.control.core.policy import WorkspaceLimits

RICH = function("fn-a", workspace="rich")
POOR = function("fn-b", workspace="poor")
THIRD = function("fn-c", workspace="third")


def _cluster(cpus: float, *functions: object, policy: Policy | None = None) -> Script:
    script = Script(policy)
    for one in functions or (RICH, POOR):
        script.register(one)  # type: ignore[arg-type]
    script.join(cpus=cpus)
    return script


def _containers(script: Script) -> dict[str, int]:
    return {one.name: one.containers for one in script.core.workspaces()}


def _obey(script: Script, rounds: int = 10) -> int:
    """Start and stop whatever is wanted until nothing more is; return how many containers were stopped."""
    stopped = 0
    for _ in range(rounds):
        script.start_all()
        stopping = [view for view in script.core.containers() if view.state == "stopping"]
        for view in stopping:
            script.report(
                view.container_id,
                ContainerState.STOPPED,
                view.function.function_id,
                view.worker_id,
            )
        stopped += len(stopping)
    return stopped


def test_an_empty_cluster_is_shared_by_weight() -> None:
    policy = Policy(workspaces={"rich": WorkspaceLimits(weight=3.0)})
    script = Script(policy)
    script.register(RICH)
    script.register(POOR)
    script.submit("fc-1", count=50)
    script.submit("fc-2", count=50, function_id="fn-b")

    script.join(cpus=8)

    assert _containers(script) == {"rich": 6, "poor": 2}


def test_a_poorer_workspace_takes_busy_containers_of_the_richer_one_until_both_have_the_same() -> (
    None
):
    script = _cluster(4)
    script.submit("fc-1", count=50)
    script.start_all()
    script.wait(5.0)

    script.submit("fc-2", count=50, function_id="fn-b")
    stopped = _obey(script)

    assert _containers(script) == {"rich": 2, "poor": 2}
    assert stopped == 2


def test_after_a_swap_nobody_takes_anything_back() -> None:
    script = _cluster(4)
    script.submit("fc-1", count=500)
    script.start_all()
    script.submit("fc-2", count=500, function_id="fn-b")
    _obey(script)

    script.log.clear()
    script.wait(60.0)
    stopped = _obey(script)

    assert stopped == 0
    assert only(StartContainer, script.log) == []


def test_a_workspace_that_waits_for_room_counts_what_it_was_promised_as_its_own() -> None:
    script = _cluster(4)
    script.submit("fc-1", count=50)
    script.start_all()
    script.wait(5.0)

    script.submit("fc-2", count=50, function_id="fn-b")
    script.wait(30.0)

    assert len(only(StopContainer, script.log)) == 2


def test_a_warm_idle_container_is_left_to_a_workspace_within_its_share() -> None:
    script = _cluster(2)
    script.submit("fc-1")
    script.start_all()
    script.succeed(*script.assigned())
    script.submit("fc-2", count=9, function_id="fn-b")
    script.start_all()

    within = only(StopContainer, script.wait(29.0))
    after = only(StopContainer, script.wait(2.0))

    assert (len(within), len(after)) == (0, 1)


def test_three_workspaces_on_two_cpus_take_turns() -> None:
    script = _cluster(2, RICH, POOR, THIRD)
    for number, letter in enumerate("abc"):
        script.submit(f"fc-{number}", count=500, function_id=f"fn-{letter}")
    served: set[str] = set()

    for _ in range(6):
        _obey(script, rounds=2)
        served |= {view.function.workspace for view in script.core.containers()}
        script.wait(3.0)

    assert served == {"rich", "poor", "third"}


def test_turns_are_no_shorter_than_the_policy_says() -> None:
    script = _cluster(2, RICH, POOR, THIRD)
    for number, letter in enumerate("abc"):
        script.submit(f"fc-{number}", count=500, function_id=f"fn-{letter}")

    stopped = 0
    for _ in range(30):
        stopped += _obey(script, rounds=2)
        script.wait(1.0)

    assert 2 <= stopped <= 30


def test_a_workspace_never_has_more_containers_than_its_limit() -> None:
    script = _cluster(4, policy=Policy(workspaces={"rich": WorkspaceLimits(max_containers=1)}))

    script.submit("fc-1", count=50)
    script.start_all()

    assert _containers(script)["rich"] == 1
    reason = script.core.pending(1)[0].reason
    assert reason.startswith("waiting for its turn")


def test_a_workspace_at_its_limit_stops_no_more_of_others_than_it_may_have() -> None:
    script = _cluster(4, policy=Policy(workspaces={"poor": WorkspaceLimits(max_containers=1)}))
    script.submit("fc-1", count=50)
    script.start_all()
    script.wait(5.0)

    script.submit("fc-2", count=50, function_id="fn-b")
    script.wait(30.0)

    assert len(only(StopContainer, script.log)) == 1


def test_functions_of_a_full_workspace_swap_containers() -> None:
    one, other = function("fn-a", workspace="rich"), function("fn-b", workspace="rich")
    policy = Policy(workspaces={"rich": WorkspaceLimits(max_containers=1)})
    script = _cluster(4, one, other, policy=policy)
    script.submit("fc-1")
    script.start_all()
    script.succeed(*script.assigned())

    script.submit("fc-2", function_id="fn-b")
    _obey(script)

    assert [view.function.function_id for view in script.core.containers()] == ["fn-b"]


def test_a_full_workspace_that_also_needs_a_device_of_another_gets_both() -> None:
    policy = Policy(ageing_seconds=20.0, workspaces={"rich": WorkspaceLimits(max_containers=1)})
    holder = function("fn-a", cpu_milli=100, gpus=1, workspace="poor", min_containers=1)
    own = function("fn-b", cpu_milli=100, workspace="rich", min_containers=1)
    waiting = function("fn-c", cpu_milli=100, gpus=1, workspace="rich")
    script = _cluster(4, policy=policy)
    script.join("wk-2", cpus=4, gpus="t4")
    for one in (holder, own, waiting):
        script.register(replace(one, function_id=one.function_id + "x"))
    script.start_all()

    script.submit("fc-1", function_id="fn-cx")
    script.wait(30.0)
    _obey(script)

    assert [given.input_id for given in script.assigned()] == ["in-1-0"]


def test_devices_count_towards_the_share() -> None:
    gpus = function("fn-a", workspace="rich", cpu_milli=100, gpus=1)
    cpus = function("fn-b", workspace="poor", cpu_milli=1000)
    script = Script()
    script.register(gpus)
    script.register(cpus)
    script.submit("fc-1", count=4)
    script.submit("fc-2", count=1, function_id="fn-b")

    script.join(cpus=4, gpus="t4 t4")

    assert [one.share for one in script.core.workspaces()] == [1.0, 0.25]


def test_a_workspace_is_forgotten_with_its_last_function() -> None:
    script = _cluster(2)

    script.tell(AppStopped("ap-1", cancel=True, reason="over"))

    assert script.core.workspaces() == []
