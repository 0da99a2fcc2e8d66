"""What a worker does with functions that have images; a scripted server, runner and builder."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading

from tests.support.worker_bench import FAILED, READY, STOPPED, Bench, scenario

from offload.wire import guest
from offload.wire.gen import common_pb2
from offload.wire.images import OWN_PATH, SOURCE_DIR, step_digest
from offload.worker.ports import ImageError, RootImage

DIGEST = step_digest("", "debian_slim", (), {"python": "3.11"}, "")
STEP = {
    "digest": DIGEST,
    "kind": "debian_slim",
    "settings": {"python": "3.11"},
    "secrets": {"A": "1"},
}


def define(bench: Bench, **fields: object) -> None:
    bench.define(image={"steps": [STEP], "python_version": "3.11"}, local_image=None, **fields)


def start(bench: Bench) -> None:
    bench.server.say(start=[{"container_id": "co-1", "function_id": "fu-1"}])


@scenario
async def test_a_container_starts_in_its_image_once_that_is_built(bench: Bench) -> None:
    define(bench)

    start(bench)
    await bench.server.until(lambda: bench.images.asked)
    bench.images.finish.set()
    await bench.server.until(lambda: READY in bench.server.states("co-1"))

    (image,) = bench.images.asked
    assert (image.digest, image.python_version) == (DIGEST, "3.11")
    assert image.steps[0].secrets == (("A", "1"),)
    assert bench.runtime.started[0].image == RootImage(("/layers/1",), "/usr/bin/python3", "/srv")
    load = bench.runner.loads[0]
    assert (load.sys_path, load.working_dir) == ((SOURCE_DIR, OWN_PATH), "/srv")


@scenario
async def test_progress_and_lines_of_the_build_are_told(bench: Bench) -> None:
    define(bench)

    start(bench)
    await bench.server.until(lambda: bench.server.logs)
    bench.images.finish.set()
    await bench.server.until(lambda: READY in bench.server.states("co-1"))

    told = [report.progress for report in bench.server.reports("co-1")]
    assert told == ["", "image building, step 1 of 1", "", ""]
    (line,) = bench.server.logs
    assert (line.stream, line.text, line.app_id) == ("system", "a line of the build", "ap-1")


@scenario
async def test_the_time_to_start_does_not_run_while_the_image_is_built(bench: Bench) -> None:
    define(bench, startup_timeout_seconds=0.001)
    bench.runner._is_silent = True

    start(bench)
    await bench.server.until(lambda: bench.images.asked)
    was_failed = FAILED in bench.server.states("co-1")
    bench.images.finish.set()
    await bench.server.until(lambda: FAILED in bench.server.states("co-1"))

    assert not was_failed
    assert "within 0.001 s" in bench.server.reports("co-1")[-1].failure.reason


@scenario
async def test_a_build_that_fails_is_the_functions_own_fault(bench: Bench) -> None:
    bench.images.error = ImageError("step 1 failed", 7, ("oh", "no"))
    bench.images.finish.set()
    define(bench)

    start(bench)
    await bench.server.until(lambda: FAILED in bench.server.states("co-1"))

    failure = bench.server.reports("co-1")[-1].failure
    assert failure.kind == common_pb2.FAILURE_KIND_START
    assert (failure.reason, failure.exit_code) == ("step 1 failed", 7)
    assert list(failure.last_lines) == ["oh", "no"]
    assert failure.type_name == "ImageError"
    assert bench.server.reports("co-1")[-1].hopeless


@scenario
async def test_a_container_that_is_stopped_while_its_image_is_built_waits_no_longer(
    bench: Bench,
) -> None:
    define(bench)
    start(bench)
    await bench.server.until(lambda: bench.images.asked)

    bench.server.say(stop=[{"container_id": "co-1", "grace_seconds": 5}])
    await bench.server.until(lambda: bench.images.cancelled)

    assert bench.runtime.started == []


@scenario
async def test_an_image_is_let_go_with_its_container(bench: Bench) -> None:
    define(bench)
    bench.images.finish.set()
    start(bench)
    await bench.server.until(lambda: READY in bench.server.states("co-1"))
    held = bench.images.holds[0].is_released

    bench.server.say(stop=[{"container_id": "co-1", "grace_seconds": 0}])
    await bench.server.until(lambda: bench.images.holds[0].is_released)

    assert not held


@scenario
async def test_a_stop_does_not_cut_short_the_cleaning_up_after_a_failed_start(
    bench: Bench,
) -> None:
    may_end = threading.Event()

    def stubborn(sock: socket.socket, stop: threading.Event) -> int:
        sock.sendall(guest.encode(guest.Hello(0, 1, "3.11")))
        may_end.wait(10)
        return 1

    bench.runtime.script.guest = stubborn
    define(bench)
    bench.images.finish.set()
    start(bench)
    while not any(one.has_ended for one in bench.runtime.containers.values()):  # noqa: ASYNC110 - nobody is told of it
        await asyncio.sleep(0)

    bench.server.say(stop=[{"container_id": "co-1", "grace_seconds": 5}])
    bench.assign("in-1")
    await bench.server.until(lambda: bench.server.returned)
    may_end.set()
    await bench.server.until(lambda: {FAILED, STOPPED} & set(bench.server.states("co-1")))

    assert bench.images.holds[0].is_released
    assert "speaks protocol 0" in bench.server.reports("co-1")[-1].failure.reason


@scenario
async def test_a_module_that_is_missing_in_an_image_is_to_be_added_there(bench: Bench) -> None:
    define(bench)
    bench.images.finish.set()
    bench.runner._fault = guest.Fault(
        "builtins.ModuleNotFoundError", "No module named 'numpy'", (), None
    )

    start(bench)
    await bench.server.until(lambda: FAILED in bench.server.states("co-1"))

    assert '.pip_install("numpy")' in bench.server.reports("co-1")[-1].failure.reason


ELSEWHERE = {"steps": [STEP], "python_version": "3.11"}


@scenario
async def test_a_function_of_another_machine_runs_in_the_image_that_stands_in_for_its_own(
    bench: Bench,
) -> None:
    far = {"host_id": "host-2", "python": "/nowhere/python"}
    bench.define(image_elsewhere=ELSEWHERE, local_image=far)
    bench.images.finish.set()

    start(bench)
    await bench.server.until(lambda: READY in bench.server.states("co-1"))

    assert bench.images.asked[0].digest == DIGEST
    assert bench.runtime.started[0].image == RootImage(("/layers/1",), "/usr/bin/python3", "/srv")


@scenario
async def test_a_function_of_this_machine_runs_in_its_own_environment(bench: Bench) -> None:
    bench.define(image_elsewhere=ELSEWHERE)

    start(bench)
    await bench.server.until(lambda: READY in bench.server.states("co-1"))

    assert bench.images.asked == []
    assert bench.runtime.started[0].image.python == sys.executable


@scenario
async def test_a_module_that_is_missing_on_another_machine_is_to_be_put_into_an_image(
    bench: Bench,
) -> None:
    bench.define(image_elsewhere=ELSEWHERE, local_image={"host_id": "host-2"})
    bench.images.finish.set()
    bench.runner._fault = guest.Fault(
        "builtins.ModuleNotFoundError", "No module named 'numpy'", (), None
    )

    start(bench)
    await bench.server.until(lambda: FAILED in bench.server.states("co-1"))

    reason = bench.server.reports("co-1")[-1].failure.reason
    assert 'write image=offload.Image.debian_slim().pip_install("numpy")' in reason
    assert "no worker shares your machine" in reason


@scenario
async def test_a_function_without_an_image_asks_for_none(bench: Bench) -> None:
    await bench.start()

    assert bench.images.asked == []
    assert bench.runtime.started[0].image.python == sys.executable
