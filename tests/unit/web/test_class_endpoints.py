"""Endpoints that are methods of a class, whose containers the query chooses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.support.web_scene import Scene, play

from offload.control.frontends.rpc.apps import function_of
from offload.wire.gen import apps_pb2, endpoints_pb2

if TYPE_CHECKING:
    from offload.control.core.dispatch import Dispatcher


async def register(scene: Scene, max_waiting: int = 0) -> None:
    """Make the class `Shop(town=…)` with one endpoint."""
    definition = apps_pb2.FunctionDefinition(
        name="Shop", cpu_milli=100, memory_mib=64, timeout_seconds=60, startup_timeout_seconds=60
    )
    definition.class_shape.parameters.add(name="town", type="str", is_settable=True)
    definition.class_shape.methods.add(name="api")
    endpoint = endpoints_pb2.WebEndpoint(kind="asgi", target="api", max_waiting=max_waiting)
    definition.web.append(endpoint)
    await scene.services.apps.register("ap-1", [function_of(definition, "ap-1")])


def get(town: str) -> bytes:
    """Return a request to the shop of a town."""
    path = b"/web/app/Shop.api?town=" + town.encode()
    return b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def _is_waiting(dispatcher: Dispatcher, count: int) -> bool:
    pools = dispatcher.on_demand("ap-1")
    return sum(dispatcher.waiting(pool.function_id) for pool in pools) == count


async def until_waiting(scene: Scene, count: int) -> None:
    """Return once so many requests wait for containers with parameters."""
    dispatcher = scene.services.kernel.dispatcher
    async with asyncio.timeout(60):
        while not _is_waiting(dispatcher, count):  # noqa: ASYNC110  # nobody tells of it
            await asyncio.sleep(0)


def test_more_requests_than_may_wait_for_the_containers_of_one_set_of_parameters_are_told_so():
    async def scenario(scene: Scene):
        await register(scene, max_waiting=2)
        held = [asyncio.create_task(scene.raw(get("Ulm"))) for _ in range(2)]
        await until_waiting(scene, 2)

        full = asyncio.create_task(scene.raw(get("Ulm")))
        assert (await full).startswith(b"HTTP/1.1 429 ")
        held.append(asyncio.create_task(scene.raw(get("Bern"))))
        await until_waiting(scene, 3)

        working = asyncio.create_task(scene.worker.work())
        assert all([(await one).startswith(b"HTTP/1.1 200 ") for one in held])
        scene.worker.session.close()
        await working

    play(scenario, works=False)


def test_a_body_that_breaks_off_while_the_containers_are_chosen_is_refused():
    async def scenario(scene: Scene):
        await register(scene)
        scene.store.gate.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", scene.port)
        post = get("Ulm").replace(b"GET", b"POST").removesuffix(b"\r\n")

        writer.write(post + b"Transfer-Encoding: chunked\r\n\r\n")
        async with asyncio.timeout(60):
            dispatcher = scene.services.kernel.dispatcher
            while not dispatcher.on_demand("ap-1"):  # noqa: ASYNC110  # nobody tells of it
                await asyncio.sleep(0)
        writer.write(b"no length\r\n")
        # Whether this comes before its container is chosen or after, the answer is the same.
        for _ in range(100):
            await asyncio.sleep(0)
        scene.store.gate.set()
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()

        assert answer.startswith(b"HTTP/1.1 400 ")

    play(scenario, works=False)
