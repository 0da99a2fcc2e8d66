"""Requests that become inputs, and results that become responses."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import httpx
from tests.support.web_scene import Scene, play, said

from offload.control.core.inputs import InputState
from offload.control.core.model import FailureKind
from offload.control.ports.records import SaveCall, SaveInputs, SaveOutcomes
from offload.wire.guest import web


def test_a_get_is_answered_by_the_function_at_its_path():
    async def scenario(scene: Scene):
        await scene.register()

        async with httpx.AsyncClient() as client:
            answer = await client.get(scene.url + "/users/7?x=1", headers={"X-Me": "you"})

        assert (answer.status_code, answer.text) == (200, "hello")
        request = scene.container.requests[0]
        assert (request.method, request.path, request.query) == ("GET", "/users/7", b"x=1")
        assert request.root_path == "/web/app/square"
        assert (b"x-me", b"you") in request.headers

    play(scenario)


def test_a_small_body_comes_with_its_request():
    async def scenario(scene: Scene):
        await scene.register()
        scene.container.answer = lambda request: said(request.body[::-1])

        async with httpx.AsyncClient() as client:
            answer = await client.post(scene.url, content=b"abc")

        assert answer.text == "cba"
        assert scene.container.requests[0].is_whole

    play(scenario)


def test_an_endpoint_has_a_host_of_its_own():
    async def scenario(scene: Scene):
        await scene.register()
        await scene.register("fu-2", "other", label="mine")

        async with httpx.AsyncClient() as client:
            base = f"http://127.0.0.1:{scene.port}/live"
            hosts = ("app-square.localhost:8000", "mine.apps.example.org", "nobody.localhost")
            answers = [await client.get(base, headers={"Host": host}) for host in hosts]

        assert [answer.status_code for answer in answers] == [200, 200, 404]
        assert [request.path for request in scene.container.requests] == ["/live", "/live"]

    play(scenario)


def test_the_servers_own_pages_stay_where_they_are():
    async def scenario(scene: Scene):
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{scene.port}/live")

        assert (answer.status_code, answer.text) == (200, "live\n")

    play(scenario)


def test_nothing_of_a_request_is_kept():
    async def scenario(scene: Scene):
        await scene.register()

        async with httpx.AsyncClient() as client:
            await client.get(scene.url)
        await scene.services.kernel.journal.flush()

        kinds = (SaveCall, SaveInputs, SaveOutcomes)
        kept = [record for records in scene.store.commits for record in records]
        assert not [record for record in kept if isinstance(record, kinds)]
        assert scene.services.kernel.dispatcher.calls_total == 0
        assert not scene.services.kernel.calls

    play(scenario)


def test_a_request_that_no_container_takes_is_told_why_in_the_end():
    async def scenario(scene: Scene):
        await scene.register(startup_seconds=0.05)

        async with httpx.AsyncClient() as client:
            answer = await client.get(scene.url)

        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["message"] == (
            "No container took the request in time: waiting for a container: 1 starting."
        )
        assert not scene.services.kernel.calls

    play(scenario, works=False, hold_seconds=0.05)


def test_what_becomes_of_a_container_is_said_in_the_status():
    async def scenario(scene: Scene):
        await scene.register()
        scene.container.answer = lambda _: None
        wanted = {
            (FailureKind.EXCEPTION, InputState.FAILED): 500,
            (FailureKind.SIGNAL, InputState.FAILED): 502,
            (FailureKind.START, InputState.FAILED): 503,
            (FailureKind.TIMEOUT, InputState.TIMED_OUT): 504,
        }

        got = {}
        async with httpx.AsyncClient() as client:
            for number, (kind, state) in enumerate(wanted):
                asking = asyncio.create_task(client.get(scene.url))
                await scene.container.wait_for(lambda n=number: len(scene.container.tasks) > n)
                await scene.container.fail(scene.container.tasks[-1], kind, state)
                answer = await asking
                got[kind, state] = answer.status_code
                assert json.loads(answer.text)["message"]

        assert got == wanted

    play(scenario)


def test_a_client_that_leaves_cancels_its_input():
    async def scenario(scene: Scene):
        await scene.register()
        scene.container.answer = lambda _: None
        _, writer = await asyncio.open_connection("127.0.0.1", scene.port)
        writer.write(b"GET /web/app/square HTTP/1.1\r\nHost: x\r\n\r\n")
        await scene.container.wait_for(lambda: scene.container.tasks)

        writer.close()

        await scene.container.wait_for(lambda: scene.container.cancelled)
        assert scene.container.cancelled == [scene.container.tasks[0].input_id]

    play(scenario)


def test_a_response_streams_as_the_container_sends_it():
    async def scenario(scene: Scene):
        await scene.register()
        scene.container.answer = lambda _: None
        pieces = []

        async def answer() -> None:
            await scene.container.wait_for(lambda: scene.container.tasks)
            task = scene.container.tasks[0]
            exchange = scene.container.exchange(task)
            await exchange.send(web.ResponseHead(200, ((b"content-type", b"text/event-stream"),)))
            for number in range(10):
                await exchange.send(web.Body(b"data: %d\n\n" % number, False))
            await exchange.send(web.Body(b"", True))
            await exchange.end()
            await scene.container.succeed(task)

        answering = asyncio.create_task(answer())
        async with httpx.AsyncClient() as client, client.stream("GET", scene.url) as response:
            pieces = [piece async for piece in response.aiter_text()]
        await answering

        assert "".join(pieces) == "".join(f"data: {number}\n\n" for number in range(10))
        assert response.headers["transfer-encoding"] == "chunked"

    play(scenario)


def test_a_response_longer_than_it_said_ends_its_connection_and_its_input():
    async def scenario(scene: Scene):
        await scene.register()
        scene.container.answer = lambda _: None
        asking = asyncio.create_task(scene.raw(b"GET /web/app/square HTTP/1.1\r\nHost: x\r\n\r\n"))
        await scene.container.wait_for(lambda: scene.container.tasks)
        exchange = scene.container.exchange(scene.container.tasks[0])

        await exchange.send(web.ResponseHead(200, ((b"content-length", b"5"),)))
        await exchange.send(web.Body(b"too much", False))

        assert isinstance(await exchange.receive(), web.Disconnect)
        await scene.container.wait_for(lambda: scene.container.cancelled)
        with suppress(ConnectionResetError):
            assert b"too much" not in await asking
        await exchange.end()

    play(scenario)


def test_a_large_body_streams_to_the_container_as_it_takes_it():
    async def scenario(scene: Scene):
        await scene.register()
        scene.container.answer = lambda _: None
        size = 3_000_000

        async def answer() -> None:
            await scene.container.wait_for(lambda: scene.container.tasks)
            task = scene.container.tasks[0]
            exchange = scene.container.exchange(task)
            got = len(scene.container.requests[0].body)
            while True:
                part = await exchange.receive()
                assert isinstance(part, web.Body)
                got += len(part.data)
                if part.last:
                    break
            await exchange.send(web.ResponseHead(200, ((b"content-length", b"7"),)))
            await exchange.send(web.Body(b"%d" % got, True))
            await exchange.end()
            await scene.container.succeed(task)

        answering = asyncio.create_task(answer())
        async with httpx.AsyncClient() as client:
            response = await client.post(scene.url, content=b"x" * size)
        await answering

        assert response.text == str(size)
        assert not scene.container.requests[0].is_whole

    play(scenario)
