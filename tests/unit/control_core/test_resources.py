"""What a container takes of its worker: cpu, memory, devices; and what the worker must be."""

import pytest
from tests.support.dispatching import Script, function, only

from offload.control.core.dispatch import Policy
from offload.control.core.events import AppStopped, CallSubmitted, InputsAdded, WorkerJoined
from offload.control.core.instructions import StartContainer, StopContainer
from offload.control.core.model import (
    Call,
    CallKind,
    Capacity,
    ContainerReport,
    ContainerState,
    Function,
    WorkerInfo,
)


def _gpus(count: int = 1, kind: str = "") -> Function:
    return function(cpu_milli=100, gpus=count, gpu_kind=kind)


def _given(script: Script) -> list[tuple[int, ...]]:
    return [order.gpu_indices for order in script.started()]


def test_no_device_is_given_twice() -> None:
    script = Script()
    script.register(_gpus())
    script.join(cpus=8, gpus="t4 t4 t4")

    script.submit(count=9)

    assert _given(script) == [(0,), (1,), (2,)]


def test_a_device_is_free_again_once_its_container_has_ended() -> None:
    script = Script()
    script.register(_gpus())
    script.join(cpus=8, gpus="t4 t4")
    script.submit(count=9)
    script.start_all()

    script.report(script.started()[0].container_id, ContainerState.DIED)

    assert _given(script) == [(0,), (1,), (0,)]


def test_a_container_gets_devices_of_the_kind_it_needs() -> None:
    script = Script()
    script.register(_gpus(2, "A100"))

    script.join(cpus=8, gpus="t4 nvidia-a100-80 t4 nvidia-a100-80")
    script.submit(count=9)

    assert _given(script) == [(1, 3)]


def test_free_devices_of_another_kind_are_no_room() -> None:
    script = Script()
    script.register(function("fn-b", cpu_milli=100, gpus=1, gpu_kind="a100"))
    script.register(_gpus(1, "a100"))
    script.join(cpus=8, gpus="t4 a100")
    script.submit("fc-1", count=9)
    script.start_all()

    script.submit("fc-2", function_id="fn-b")

    stopped = only(StopContainer, script.wait(3.0))
    assert [order.container_id for order in stopped] == [script.started()[0].container_id]


def test_only_containers_that_make_room_are_stopped() -> None:
    script = Script()
    script.register(function(cpu_milli=100))
    script.register(function("fn-b", cpu_milli=100, gpus=1))
    script.register(function("fn-c", cpu_milli=100, gpus=1))
    script.join(cpus=8, gpus="t4")
    script.submit("fc-1", count=2)
    script.submit("fc-2", function_id="fn-b")
    script.start_all()
    script.succeed(*script.assigned())

    script.submit("fc-3", function_id="fn-c")

    (stop,) = only(StopContainer, script.said)
    held = {order.container_id: order.gpu_indices for order in script.started()}
    assert held[stop.container_id] == (0,)


def test_a_container_starts_only_where_all_labels_are() -> None:
    script = Script()
    script.register(function(labels=(("zone", "a"), ("disk", "ssd"))))
    script.join("wk-1", labels="zone=a")
    script.join("wk-2", labels="zone=a disk=ssd more=yes")

    script.submit()

    assert [order.worker_id for order in script.started()] == ["wk-2"]


def test_a_policy_that_packs_fills_one_worker_first() -> None:
    script = Script(Policy(packs=True))
    script.register()
    script.join("wk-1", cpus=4)
    script.join("wk-2", cpus=2)

    script.submit(count=3)

    assert [order.worker_id for order in script.started()] == ["wk-2", "wk-2", "wk-1"]


@pytest.mark.parametrize(
    ("needs", "reason"),
    [
        ({"cpu_milli": 9000}, "needs 9 cpus, the largest worker has 2"),
        ({"memory_mib": 9000}, "needs 9000 MiB of memory, the largest worker has 4096"),
        (
            {"memory_mib": 9000, "disk_mib": 8000},
            "needs 9000 MiB of memory (8000 of them ephemeral_disk), the largest worker has 4096",
        ),
        ({"gpus": 2}, "needs 2 gpus, no worker has more than 1"),
        ({"gpus": 1, "gpu_kind": "h100"}, "needs 1 h100 gpu, no worker has one"),
    ],
)
def test_what_no_worker_can_ever_run_says_so(needs: dict[str, object], reason: str) -> None:
    script = Script()
    script.register(function(**needs))
    script.join(gpus="t4")

    script.submit()

    assert script.core.pending(1)[0].reason == f"no worker can ever run it: {reason}"


def test_what_the_default_runtime_of_no_worker_can_hold_is_not_placed_and_says_so() -> None:
    script = Script()
    script.register(function(abilities=("cpu_limit", "ephemeral_disk")))
    script.join(runtimes="process bubblewrap", abilities="bubblewrap:cpu_limit,ephemeral_disk")

    script.submit()

    assert script.started() == []
    assert script.core.pending(1)[0].reason == (
        "no worker's runtime (process) can hold containers to their limit of cpu=(request, limit) and ephemeral_disk=; "
        "`offload worker doctor` on the worker's machine says what is missing"
    )


def test_a_worker_whose_runtime_can_hold_what_is_asked_is_the_one_that_gets_it() -> None:
    script = Script()
    script.register(function(runtime="gvisor", abilities=("cpu_limit",)))
    script.join("wk-1", runtimes="bubblewrap gvisor", abilities="bubblewrap:cpu_limit gvisor:")
    script.join("wk-2", runtimes="bubblewrap gvisor", abilities="gvisor:cpu_limit")

    script.submit()

    assert [order.worker_id for order in script.started()] == ["wk-2"]


@pytest.mark.parametrize(
    ("ability", "words"),
    [("block_network", "block_network=True"), ("allow_list", "outbound allow-list")],
)
def test_a_network_policy_waits_for_a_runtime_that_can_hold_it(ability: str, words: str) -> None:
    script = Script()
    script.register(function(abilities=(ability,)))
    script.join(abilities="bubblewrap:cpu_limit")

    script.submit()

    assert script.started() == []
    assert f"can hold containers to their {words}" in script.core.pending(1)[0].reason


def test_nothing_starts_beside_a_container_of_which_nothing_is_known() -> None:
    script = Script()
    script.register()
    info = WorkerInfo("wk-1", "wk-1", "0", "h1", Capacity(2000, 4096))
    stranger = ContainerReport("ct-old", "fn-gone", ContainerState.READY)
    script.tell(WorkerJoined(info, containers=(stranger,)))

    early = only(StartContainer, script.submit())
    late = only(StartContainer, script.report("ct-old", ContainerState.STOPPED, "fn-gone"))

    assert (len(early), len(late)) == (0, 1)


def test_room_is_free_only_once_a_container_is_gone() -> None:
    script = Script()
    script.register()
    script.join(cpus=1)
    script.submit()

    said = script.wait(200.0)
    used = script.core.workers()[0].used.cpu_milli

    assert len(only(StopContainer, said)) == 1
    assert len(script.started()) == 1
    assert used == 1000


def test_a_stopped_app_keeps_a_function_that_a_call_is_still_open_for() -> None:
    script = Script()
    script.register()
    script.join()
    call = Call("fc-1", "fn-a", CallKind.MAP, script.now, attached=False, durable=True)
    script.tell(CallSubmitted(call, (), closed=False))

    script.tell(AppStopped("ap-1", cancel=False, reason="gone"))
    script.tell(InputsAdded("fc-1", (range(1),), close=True))
    script.start_all()

    assert [given.input_id for given in script.assigned()] == ["in-1-0"]
