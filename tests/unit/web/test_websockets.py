"""WebSockets through the ingress, with a well-known client."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.web_scene import Scene, play
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from offload.wire.guest import web


async def echo(scene: Scene, *, accept: web.Accept | web.Close) -> None:
    """Be the container that sends back what it hears."""
    await scene.container.wait_for(lambda: scene.container.tasks)
    task = scene.container.tasks[0]
    exchange = scene.container.exchange(task)
    await exchange.send(accept)
    while isinstance(accept, web.Accept):
        part = await exchange.receive()
        if isinstance(part, web.Close | web.Disconnect):
            break
        await exchange.send(part)  # type: ignore[arg-type]
        if isinstance(part, web.Text) and part.data == b"bye":
            await exchange.send(web.Close(4001, "you said it"))
    await exchange.end()
    await scene.container.succeed(task)


def test_messages_of_both_kinds_and_of_any_size_come_back():
    async def scenario(scene: Scene):
        await scene.register()
        scene.container.answer = lambda _: None
        answering = asyncio.create_task(echo(scene, accept=web.Accept("chat", ((b"x-a", b"b"),))))
        url = scene.url.replace("http", "ws") + "/room?who=me"
        messages: list[str | bytes] = ["hällo", b"\x00\x01", "", "x" * 1_000_000]

        async with connect(url, subprotocols=["other", "chat"], max_size=None) as socket:  # type: ignore[list-item]
            for message in messages:
                await socket.send(message)
            got = [await socket.recv() for _ in messages]
        await answering

        assert got == messages
        assert socket.subprotocol == "chat"
        assert socket.response is not None
        assert socket.response.headers["x-a"] == "b"
        request = scene.container.requests[0]
        assert (request.scheme, request.subprotocols) == ("ws", ("other", "chat"))
        assert (request.path, request.query) == ("/room", b"who=me")

    play(scenario)


def test_the_container_may_refuse_it():
    async def scenario(scene: Scene):
        await scene.register()
        scene.container.answer = lambda _: None
        answering = asyncio.create_task(echo(scene, accept=web.Close(1000, "")))

        with pytest.raises(InvalidStatus) as refused:
            await connect(scene.url.replace("http", "ws"))
        await answering

        assert refused.value.response.status_code == 403

    play(scenario)


def test_the_containers_close_reaches_the_client_with_its_code():
    async def scenario(scene: Scene):
        await scene.register()
        scene.container.answer = lambda _: None
        answering = asyncio.create_task(echo(scene, accept=web.Accept("", ())))

        async with connect(scene.url.replace("http", "ws")) as socket:
            await socket.send("bye")
            await socket.recv()
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        await answering

        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "you said it")

    play(scenario)


def test_a_client_that_vanishes_cancels_the_input():
    async def scenario(scene: Scene):
        await scene.register()
        scene.container.answer = lambda _: None
        answering = asyncio.create_task(echo(scene, accept=web.Accept("", ())))

        socket = await connect(scene.url.replace("http", "ws"))
        socket.transport.abort()

        await scene.container.wait_for(lambda: scene.container.cancelled)
        await answering

    play(scenario)


def test_a_client_that_answers_no_ping_has_vanished():
    async def scenario(scene: Scene):
        await scene.register()
        scene.container.answer = lambda _: None
        answering = asyncio.create_task(echo(scene, accept=web.Accept("", ())))
        _, writer = await asyncio.open_connection("127.0.0.1", scene.port)

        writer.write(
            b"GET /web/app/square HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )

        await scene.container.wait_for(lambda: scene.container.cancelled)
        await answering
        writer.close()

    play(scenario, ping_seconds=0.02)
