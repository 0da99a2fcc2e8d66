"""Which device nodes a sandbox is given."""

from __future__ import annotations

from offload.worker.sandbox.arguments import Sandbox, bubblewrap_arguments
from offload.worker.sandbox.devices import gpu_devices
from offload.worker.sandbox.view import HostFacts

FACTS = HostFacts("/data", (), (), (), ())


def devices_bound(*indices: int) -> list[tuple[str, str]]:
    arguments = bubblewrap_arguments(
        Sandbox(
            facts=FACTS,
            shown=(),
            guest=(),
            scratch="/scratch",
            working_dir="/",
            environment={},
            block_network=False,
            devices=gpu_devices(indices, "/host/dev"),
        )
    )
    places = [at for at, argument in enumerate(arguments) if argument == "--dev-bind-try"]
    # In between the sandbox's own /dev appears and is closed: before it they would be covered, after it refused.
    assert all(arguments.index("--dev") < at < arguments.index("--remount-ro") for at in places)
    return [(arguments[at + 1], arguments[at + 2]) for at in places]


def test_a_sandbox_without_gpus_gets_no_device() -> None:
    assert devices_bound() == []


def test_a_sandbox_gets_the_nodes_of_its_gpus_and_those_they_all_share() -> None:
    bound = devices_bound(1, 3)

    assert bound == [
        (f"/host/dev/{name}", f"/dev/{name}")
        for name in (
            "nvidia1",
            "nvidia3",
            "nvidiactl",
            "nvidia-uvm",
            "nvidia-uvm-tools",
            "nvidia-modeset",
            "nvidia-caps",
        )
    ]
