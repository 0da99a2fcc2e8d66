"""When a worker forks its containers from a template, and what it does where that fails; a scripted server and runner."""

from __future__ import annotations

import asyncio

from tests.support.worker_bench import DIED, READY, STOPPED, Bench, scenario

from offload.wire import guest
from offload.wire.images import OWN_PATH, SOURCE_DIR, step_digest
from offload.worker.core.templates import TemplatePolicy
from offload.worker.ports import Exit

AT_ONCE = TemplatePolicy(settle_seconds=0.0)


def start(bench: Bench, container_id: str, **fields: object) -> None:
    bench.server.say(start=[{"container_id": container_id, "function_id": "fu-1", **fields}])


async def ready(bench: Bench, container_id: str) -> None:
    await bench.server.until(lambda: READY in bench.server.states(container_id))


async def with_template(bench: Bench) -> None:
    """Start a first container, plainly, and wait for the template that follows."""
    await bench.start("co-1")
    await template_ready(bench)


async def template_ready(bench: Bench) -> None:
    while "fu-1" not in bench.agent.templates:  # noqa: ASYNC110 - nobody is told of it
        await asyncio.sleep(0)


def templates(test: object) -> object:
    return scenario(test, templates=AT_ONCE)  # type: ignore[arg-type]  # a test


@templates
async def test_the_second_container_of_a_function_is_forked_from_its_template(bench: Bench) -> None:
    await with_template(bench)

    start(bench, "co-2")
    await ready(bench, "co-2")

    assert [spec.container_id for spec in bench.runtime.started] == ["co-1"]
    assert list(bench.runtime.templates[0].forked) == ["co-2"]


DIGEST = step_digest("", "debian_slim", (), {}, "")
IMAGE = {"steps": [{"digest": DIGEST, "kind": "debian_slim"}]}


@templates
async def test_a_template_of_a_function_with_an_image_keeps_it_as_long_as_it_lives(
    bench: Bench,
) -> None:
    bench.images.finish.set()
    await bench.start("co-1", image=IMAGE)
    await template_ready(bench)

    start(bench, "co-2")
    await ready(bench, "co-2")
    is_held = not bench.images.holds[1].is_released
    bench.server.say(forget_functions=["fu-1"])
    await bench.server.until(lambda: bench.images.holds[1].is_released)

    root = bench.images.holds[0].root
    assert is_held
    assert list(bench.runtime.templates[0].forked) == ["co-2"]
    assert bench.runtime.templates[0].spec.image == root
    assert bench.runner.loads[1].sys_path == (SOURCE_DIR, OWN_PATH)


@templates
async def test_a_function_whose_image_has_an_entrypoint_is_not_forked(bench: Bench) -> None:
    entry = step_digest(DIGEST, "entrypoint", ("/bin/env",), {}, "")
    step = {"digest": entry, "kind": "entrypoint", "arguments": ["/bin/env"]}
    bench.images.finish.set()
    await bench.start("co-1", image={"steps": [*IMAGE["steps"], step]})

    start(bench, "co-2")
    await ready(bench, "co-2")

    assert [spec.container_id for spec in bench.runtime.started] == ["co-1", "co-2"]
    assert bench.runtime.templates == []


@templates
async def test_a_forked_container_is_given_inputs_like_any_other(bench: Bench) -> None:
    await with_template(bench)
    bench.server.say(stop=[{"container_id": "co-1"}])
    await bench.runner.next(guest.Stop)
    start(bench, "co-2")
    await ready(bench, "co-2")

    bench.assign("in-1")

    assert await bench.runner.next(guest.Run)


@templates
async def test_where_a_fork_is_refused_the_container_starts_plainly(bench: Bench) -> None:
    await with_template(bench)
    bench.runtime.script.fork_error = "no room"

    start(bench, "co-2")
    await ready(bench, "co-2")

    assert [spec.container_id for spec in bench.runtime.started] == ["co-1", "co-2"]


@templates
async def test_where_a_fork_dies_before_it_is_ready_the_container_starts_plainly(
    bench: Bench,
) -> None:
    await with_template(bench)
    bench.runner.forks_die = True

    start(bench, "co-2")
    await ready(bench, "co-2")

    assert bench.runner.forks == 1
    assert [spec.container_id for spec in bench.runtime.started] == ["co-1", "co-2"]


@templates
async def test_a_container_whose_fork_died_keeps_its_image_until_it_ends(bench: Bench) -> None:
    bench.images.finish.set()
    await bench.start("co-1", image=IMAGE)
    await template_ready(bench)
    bench.runner.forks_die = True

    start(bench, "co-2")
    await ready(bench, "co-2")
    was_held = not bench.images.holds[2].is_released
    bench.server.say(stop=[{"container_id": "co-2"}])
    await bench.server.until(lambda: STOPPED in bench.server.states("co-2"))

    assert was_held
    assert bench.images.holds[2].is_released


@templates
async def test_why_a_fork_was_killed_is_not_said_of_the_container_started_in_its_place(
    bench: Bench,
) -> None:
    await with_template(bench)
    bench.runner.forks_babble = True
    start(bench, "co-2")
    await ready(bench, "co-2")

    bench.runtime.containers["co-2"].die(Exit(code=None, signal=11))
    await bench.server.until(lambda: DIED in bench.server.states("co-2"))

    reason = bench.server.reports("co-2")[-1].failure.reason
    assert reason == "its container was ended by signal SIGSEGV (11)"


@templates
async def test_a_container_with_a_gpu_is_not_forked(bench: Bench) -> None:
    await with_template(bench)

    start(bench, "co-2", gpu_indices=[0])
    await ready(bench, "co-2")

    assert bench.runner.forks == 0


@templates
async def test_a_template_that_dies_leaves_its_containers_alone_and_is_built_again(
    bench: Bench,
) -> None:
    await with_template(bench)
    start(bench, "co-2")
    await ready(bench, "co-2")

    bench.runtime.templates[0].kill()
    await bench.runtime.templates[0].wait()
    start(bench, "co-3")
    await ready(bench, "co-3")
    await template_ready(bench)

    assert len(bench.runtime.templates) == 2
    assert bench.server.states("co-2") == bench.server.states("co-3")


@templates
async def test_a_function_that_is_forgotten_takes_its_template_along(bench: Bench) -> None:
    await with_template(bench)

    bench.server.say(forget_functions=["fu-1"])

    await bench.runtime.templates[0].wait()


@templates
async def test_a_function_that_cannot_be_forked_is_told_once_and_starts_plainly(
    bench: Bench,
) -> None:
    reason = "importing it started the thread 'poller'"
    await bench.start("co-1")
    bench.runner._fault = guest.Fault(guest.UNFORKABLE, reason, (), None)
    await bench.server.until(lambda: any(reason in line.text for line in bench.server.logs))
    bench.runner._fault = None

    start(bench, "co-2")
    await ready(bench, "co-2")

    told = [line for line in bench.server.logs if reason in line.text]
    assert [line.stream for line in told] == ["system"]
    assert len(bench.runtime.templates) == 1
    assert bench.runner.forks == 0
