"""What a worker says of its devices and labels, and which of the devices a container gets."""

from __future__ import annotations

from tests.support.worker_bench import FAILED, GPUS, READY, Bench, scenario

from offload.worker.core.values import Gpu


async def start_with(bench: Bench, *gpu_indices: int) -> None:
    bench.server.say(
        start=[{"container_id": "co-1", "function_id": "fu-1", "gpu_indices": gpu_indices}]
    )
    await bench.server.until(lambda: {READY, FAILED} & set(bench.server.states("co-1")))


@scenario
async def test_a_worker_says_which_devices_and_labels_it_has(bench: Bench) -> None:
    hello = bench.server.hellos[0]

    assert [(gpu.index, gpu.kind) for gpu in hello.capacity.gpus] == [
        (0, "NVIDIA H100"),
        (1, "NVIDIA H100"),
    ]
    assert hello.labels == {"room": "attic"}


@scenario
async def test_a_container_gets_the_devices_it_is_given_and_says_so_again_when_rejoining(
    bench: Bench,
) -> None:
    bench.define()

    await start_with(bench, 1)
    bench.server.break_connection()
    await bench.server.until(lambda: len(bench.server.hellos) == 2)

    assert bench.runtime.started[0].gpus == (GPUS[1],)
    assert [list(report.gpu_indices) for report in bench.server.reports("co-1")] == [[1], [1]]
    assert [list(report.gpu_indices) for report in bench.server.hellos[1].containers] == [[1]]


@scenario
async def test_a_container_that_is_given_no_device_gets_none(bench: Bench) -> None:
    bench.define()

    await start_with(bench)

    assert bench.runtime.started[0].gpus == tuple[Gpu, ...]()


@scenario
async def test_a_device_that_the_worker_does_not_have_fails_the_container(bench: Bench) -> None:
    bench.define()

    await start_with(bench, 1, 4)

    reason = bench.server.reports("co-1")[-1].failure.reason
    assert reason == "this worker has no GPU 4; it has 0, 1"
    assert not bench.runtime.started


@scenario
async def test_a_function_cannot_make_other_devices_visible_by_its_environment(
    bench: Bench,
) -> None:
    bench.define(env={"CUDA_VISIBLE_DEVICES": "0,1", "NVIDIA_VISIBLE_DEVICES": "all", "MINE": "x"})

    await start_with(bench, 1)

    assert bench.runner.loads[0].env == (("MINE", "x"),)
