"""Functions on demand: they go when they are idle, and come back with the next call."""

from __future__ import annotations

from tests.support.dispatching import Script, function, only

from offload.control.core.events import AppStopped, FunctionRegistered
from offload.control.core.instructions import ForgetFunction, StopContainer
from offload.control.core.model import ContainerState

ON_DEMAND = function("fo-a", scaledown_window_seconds=30.0)


def run_one(script: Script) -> None:
    script.submit(function_id="fo-a")
    script.start_all()
    script.succeed(*script.assigned())


def end_stopped(script: Script) -> None:
    for order in only(StopContainer, script.log):
        script.report(order.container_id, ContainerState.STOPPED, "fo-a")


def test_a_function_on_demand_goes_with_its_last_container() -> None:
    script = Script()
    script.join()
    script.tell(FunctionRegistered(ON_DEMAND))
    run_one(script)

    script.wait(20.0)
    stays = script.core.function("fo-a")
    script.wait(15.0)
    end_stopped(script)

    assert stays is not None
    assert script.core.function("fo-a") is None
    assert only(ForgetFunction, script.log)
    assert script.core.on_demand("ap-1") == []


def test_one_that_nobody_calls_goes_soon_and_one_that_is_registered_anew_stays_as_long_again() -> (
    None
):
    script = Script()
    script.tell(FunctionRegistered(ON_DEMAND))
    script.wait(4.0)
    script.tell(FunctionRegistered(ON_DEMAND))

    script.wait(4.0)
    stays = script.core.on_demand("ap-1")
    script.wait(4.0)

    assert stays == [ON_DEMAND]
    assert script.core.function("fo-a") is None


def test_one_whose_calls_wait_for_a_container_stays() -> None:
    script = Script()
    script.tell(FunctionRegistered(ON_DEMAND))
    script.submit(function_id="fo-a")

    script.wait(3600.0)

    assert script.core.function("fo-a") is not None


def test_one_of_a_stopped_app_ends_as_the_others_do() -> None:
    script = Script()
    script.join()
    script.tell(FunctionRegistered(ON_DEMAND))
    run_one(script)
    script.tell(AppStopped("ap-1", cancel=False, reason="", keeps_attached=True))

    script.wait(6.0)
    end_stopped(script)

    assert script.core.function("fo-a") is None
