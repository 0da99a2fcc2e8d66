"""How long the ingress waits for a client: for a head, for a small body, between requests, and for one behind a WebSocket."""

from __future__ import annotations

import base64

from tests.support.leaping import Peer
from tests.support.web_scene import Scene, play

from offload.control.frontends.web.connection import DRAIN_SECONDS, HEAD_SECONDS, IDLE_SECONDS
from offload.control.frontends.web.ingress import PING_SECONDS
from offload.control.frontends.web.visit import BODY_SECONDS
from offload.wire.guest import web

PATH = b"/web/app/square"
PING = b"\x89\x00"
PONG = b"\x8a\x80abcd"  # masked, as all that a client sends
LONG_ENOUGH = 1  # before its time


def test_a_client_that_says_nothing_is_not_kept():
    async def scenario(scene: Scene):
        client = Peer(scene.server.protocol())

        await scene.pass_seconds(HEAD_SECONDS - LONG_ENOUGH)
        before = client.is_ended
        await scene.pass_seconds(LONG_ENOUGH)

        assert (before, client.is_ended, client.received) == (False, True, b"")

    play(scenario, leaps=True)


def test_a_head_that_comes_in_drops_is_refused_when_its_time_is_over():
    async def scenario(scene: Scene):
        await scene.register()
        client = Peer(scene.server.protocol())

        client.say(b"GET %b HTTP/1.1\r\nHost: x\r\n" % PATH)
        for _ in range(int(HEAD_SECONDS) - 1):
            client.say(b"A: b\r\n")
            await scene.pass_seconds(1)
        before = client.received
        await scene.pass_seconds(1)
        client.say(b"\r\n")
        refused, is_ended = client.received, client.is_ended
        await scene.pass_seconds(DRAIN_SECONDS)

        assert before == b""
        assert refused.startswith(b"HTTP/1.1 408 ")
        assert b"within 20 s" in refused
        assert (is_ended, client.is_ended) == (False, True)
        assert (client.received, scene.container.requests) == (refused, [])

    play(scenario, leaps=True)


def test_a_small_body_that_does_not_come_is_refused_and_reaches_no_container():
    async def scenario(scene: Scene):
        await scene.register()
        client = Peer(scene.server.protocol())

        client.say(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf" % PATH)
        await scene.pass_seconds(BODY_SECONDS - LONG_ENOUGH)
        before = client.received
        await scene.pass_seconds(LONG_ENOUGH)

        assert before == b""
        assert client.received.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in client.received
        assert scene.container.requests == []

    play(scenario, leaps=True)


def test_a_connection_waits_for_its_next_request_and_then_goes():
    async def scenario(scene: Scene):
        await scene.register()
        client = Peer(scene.server.protocol())
        client.say(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % PATH)
        await client.heard(b"hello")

        await scene.pass_seconds(IDLE_SECONDS - LONG_ENOUGH)
        client.received = b""
        client.say(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % PATH)
        await client.heard(b"hello")
        await scene.pass_seconds(IDLE_SECONDS - LONG_ENOUGH)
        before = client.is_ended
        await scene.pass_seconds(LONG_ENOUGH)

        assert (before, client.is_ended) == (False, True)

    play(scenario, leaps=True)


async def _open_a_socket(scene: Scene) -> Peer:
    await scene.register()
    scene.container.answer = lambda _: None
    client = Peer(scene.server.protocol())
    key = base64.b64encode(bytes(16))
    client.say(
        b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % (PATH, key)
    )
    await scene.container.wait_for(lambda: scene.container.tasks)
    exchange = scene.container.exchange(scene.container.tasks[0])
    await exchange.send(web.Accept("", ()))
    await client.heard(PING)
    return client


def test_a_websocket_of_a_client_that_answers_pings_stays_open():
    async def scenario(scene: Scene):
        client = await _open_a_socket(scene)

        for _ in range(10):
            client.received = b""
            client.say(PONG)
            await scene.pass_seconds(PING_SECONDS)
            assert client.received == PING

        assert (client.is_ended, scene.container.cancelled) == (False, [])

    play(scenario, leaps=True)


def test_a_websocket_of_a_client_that_answers_no_ping_ends_and_cancels_its_input():
    async def scenario(scene: Scene):
        client = await _open_a_socket(scene)

        await scene.pass_seconds(PING_SECONDS - LONG_ENOUGH)
        before = client.is_ended
        await scene.pass_seconds(LONG_ENOUGH)
        await scene.container.wait_for(lambda: scene.container.cancelled)

        assert (before, client.is_ended) == (False, True)
        assert scene.container.cancelled == [scene.container.tasks[0].input_id]

    play(scenario, leaps=True)
