"""Containers that have something to do before they start, as building their image."""

from tests.support.dispatching import BASE, Script, only

from offload.control.core.events import WorkerReported
from offload.control.core.inputs import InputState
from offload.control.core.instructions import StopContainer
from offload.control.core.model import ContainerReport, ContainerState

BUILDING = "image building, step 2 of 3: pip_install numpy"
PATIENCE = 2 * BASE.startup_timeout_seconds


def begun() -> tuple[Script, str]:
    script = Script()
    script.register()
    script.join(cpus=1)
    script.submit(count=1)
    return script, script.started()[0].container_id


def report(script: Script, container_id: str, **fields: object) -> None:
    state = fields.pop("state", ContainerState.STARTING)
    told = ContainerReport(container_id, BASE.function_id, state, **fields)
    script.tell(WorkerReported("wk-1", containers=(told,)))


def test_what_waits_says_what_is_being_prepared() -> None:
    script, container_id = begun()

    report(script, container_id, progress=BUILDING)
    while_it_builds = script.core.pending(1)[0].reason
    report(script, container_id, progress="")

    assert while_it_builds == BUILDING
    assert script.core.pending(1)[0].reason == "waiting for a container: 1 starting"


def test_a_container_may_prepare_for_as_long_as_it_takes() -> None:
    script, container_id = begun()
    report(script, container_id, progress=BUILDING)

    said = script.wait(50 * PATIENCE)

    assert only(StopContainer, said) == []


def test_its_time_to_start_begins_when_all_is_prepared() -> None:
    script, container_id = begun()
    report(script, container_id, progress=BUILDING)
    script.wait(10 * PATIENCE)
    report(script, container_id, progress="")

    in_time = script.wait(PATIENCE - 1)
    too_late = script.wait(PATIENCE + 1)

    assert only(StopContainer, in_time) == []
    assert [order.container_id for order in only(StopContainer, too_late)] == [container_id]


def test_what_no_other_try_would_mend_fails_the_waiting_inputs_at_once() -> None:
    script, container_id = begun()

    report(
        script,
        container_id,
        state=ContainerState.FAILED,
        reason="the image's step 2 failed",
        is_hopeless=True,
        blames_function=True,
    )

    assert [outcome.state for outcome in script.outcomes()] == [InputState.FAILED]
    assert script.core.workers()[0].state == "online"
