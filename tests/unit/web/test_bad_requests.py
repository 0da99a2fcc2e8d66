"""What no two parsers must read in two ways is refused, and ends its connection; none of it reaches a container."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.web_scene import TOKEN, Scene, play, said

PATH = b"/web/app/square"
BAD = {
    "both lengths": (400, b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "both lengths, turned": (400, b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
    "two lengths": (400, b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    "two equal lengths": (400, b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    "a list of lengths": (400, b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc"),
    "a signed length": (400, b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc"),
    "a huge length": (400, b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\nabc"),
    "bare line feeds": (400, b"GET %b HTTP/1.1\nHost: x\n\n"),
    "a bare line feed in the head": (400, b"GET %b HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"),
    "a bare carriage return": (400, b"GET %b HTTP/1.1\r\nHost: x\r\nA: a\rb\r\n\r\n"),
    "a folded line": (400, b"GET %b HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"),
    "a space before the colon": (400, b"GET %b HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc"),
    "a header without a name": (400, b"GET %b HTTP/1.1\r\nHost: x\r\n: x\r\n\r\n"),
    "a NUL": (400, b"GET %b HTTP/1.1\r\nHost: x\r\nA: a\x00b\r\n\r\n"),
    "another coding": (501, b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "nearly chunked": (501, b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "chunked before another": (400, b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    "two codings": (400, b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
    "chunks in HTTP/1.0": (400, b"POST %b HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "two hosts": (400, b"GET %b HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
    "no host": (400, b"GET %b HTTP/1.1\r\n\r\n"),
    "a host that is none": (400, b"GET %b HTTP/1.1\r\nHost: x/y\r\n\r\n"),
    "no version": (505, b"GET %b\r\n\r\n"),
    "a version to come": (505, b"GET %b HTTP/2.0\r\nHost: x\r\n\r\n"),
    "no method": (400, b"FOO %b HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a tunnel": (405, b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\nX: %b\r\n\r\n"),
    "an address with a space": (400, b"GET %b b HTTP/1.1\r\nHost: x\r\n\r\n"),
    "an expectation": (417, b"POST %b HTTP/1.1\r\nHost: x\r\nExpect: cake\r\nContent-Length: 0\r\n\r\n"),
    "an upgrade with a body": (400, b"POST %b HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc"),
    "a long head": (431, b"GET %b HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70_000 + b"\r\n\r\n"),
    "a long head without an end": (431, b"GET %b HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 200_000),
    "many headers": (431, b"GET %b HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 300 + b"\r\n"),
    "not HTTP": (400, b"\x16\x03\x01 %b"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_could_be_read_in_two_ways_is_refused(name: str):
    status, data = BAD[name]

    async def scenario(scene: Scene):
        await scene.register()
        second = b"GET %b/second HTTP/1.1\r\nHost: x\r\n\r\n" % PATH

        answer = await scene.raw(data.replace(b"%b", PATH) + second)

        assert answer.startswith(b"HTTP/1.1 %d " % status), answer
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"connection: close" in answer
        assert scene.container.requests == []

    play(scenario)


BAD_CHUNKS = {
    "line feeds alone": b"3\nabc\n0\n\n",
    "a chunk longer than it says": b"3\r\nabcdef\r\n0\r\n\r\n",
    "a space after the size": b"3 \r\nabc\r\n0\r\n\r\n",
    "a size that overflows": b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "an endless trailer": b"0\r\nX: " + b"y" * 200_000,
    "an endless extension": b"3;" + b"y" * 200_000,
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_a_body_that_cannot_be_read_ends_its_connection(name: str):
    async def scenario(scene: Scene):
        await scene.register()
        scene.container.answer = lambda _: None
        head = b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % PATH

        answer = await scene.raw(head + BAD_CHUNKS[name])

        assert answer.startswith(b"HTTP/1.1 400 ") or answer == b""
        await scene.container.wait_for(
            lambda: len(scene.container.cancelled) == len(scene.container.tasks)
        )

    play(scenario)


def test_requests_sent_together_are_answered_in_their_order():
    async def scenario(scene: Scene):
        await scene.register()
        scene.container.answer = lambda request: said(request.path.encode())
        one = b"GET %b/%d HTTP/1.1\r\nHost: x\r\n\r\n"
        last = b"GET %b/%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

        sent = b"".join(one % (PATH, number) for number in range(40)) + last % (PATH, 40)
        answer = await scene.raw(sent)

        bodies = [
            part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK\r\n")[1:]
        ]
        assert bodies == [b"/%d" % number for number in range(41)]

    play(scenario)


def test_head_has_the_head_of_get_and_no_body():
    async def scenario(scene: Scene):
        await scene.register(methods=["GET"])
        request = b" %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % PATH

        head, get = await scene.raw(b"HEAD" + request), await scene.raw(b"GET" + request)

        assert head == get.removesuffix(b"hello")
        assert b"content-length: 5" in head

    play(scenario)


def test_another_method_is_told_which_are_there():
    async def scenario(scene: Scene):
        await scene.register(methods=["POST"])

        answer = await scene.raw(b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % PATH)

        assert answer.startswith(b"HTTP/1.1 405 ")
        assert b"allow: POST\r\n" in answer

    play(scenario)


def test_what_is_of_one_connection_alone_is_not_passed_on():
    async def scenario(scene: Scene):
        await scene.register()
        headers = (
            (b"connection", b"x-mine"),
            (b"x-mine", b"1"),
            (b"keep-alive", b"5"),
            (b"x-yours", b"2"),
        )
        scene.container.answer = lambda _: said(b"", headers=headers)

        answer = await scene.raw(
            b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close, X-Private\r\nX-Private: 1\r\nTE: trailers\r\nX-Public: 2\r\n\r\n"
            % PATH
        )

        names = {name for name, _ in scene.container.requests[0].headers}
        assert names == {b"host", b"x-public"}
        assert b"x-yours" in answer
        assert b"keep-alive" not in answer
        assert b"x-mine" not in answer

    play(scenario)


def test_no_container_is_told_the_servers_token():
    async def scenario(scene: Scene):
        await scene.register(auth="token")
        plain = b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % PATH

        without = await scene.raw(plain + b"\r\n")
        answer = await scene.raw(plain + b"Authorization: Bearer %b\r\n\r\n" % TOKEN.encode())

        assert without.startswith(b"HTTP/1.1 401 ")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert [name for name, _ in scene.container.requests[0].headers] == [b"host"]

    play(scenario)


def test_a_key_opens_the_endpoints_that_want_one_until_it_is_revoked():
    async def scenario(scene: Scene):
        await scene.register(auth="key")
        keys = scene.services.web_keys
        key, secret = await keys.create("", "the shop's")
        other, _ = await keys.create("elsewhere", "another workspace's")

        async def ask(key_id: str, given: str) -> bytes:
            head = b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % PATH
            pair = f"Offload-Key: {key_id}\r\nOffload-Secret: {given}\r\n\r\n".encode()
            return (await scene.raw(head + pair))[9:12]

        right, wrong, strange = [
            await ask(*pair)
            for pair in ((key.key_id, secret), (key.key_id, "no"), (other.key_id, secret))
        ]
        await keys.revoke("", key.key_id)
        revoked = await ask(key.key_id, secret)

        assert (right, wrong, strange, revoked) == (b"200", b"401", b"401", b"401")
        assert {name for name, _ in scene.container.requests[0].headers} == {b"host"}
        assert [
            record
            for records in scene.store.commits
            for record in records
            if secret in repr(record)
        ] == []

    play(scenario)


def test_pages_of_other_sites_are_let_in_where_the_endpoint_says_so():
    async def scenario(scene: Scene):
        await scene.register(cors={"origins": ["https://a.example"], "methods": ["PUT"]})
        ask = (
            b"OPTIONS %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: https://%b.example\r\n"
            b"Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-a\r\n\r\n"
        )
        get = (
            b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: https://a.example\r\n\r\n"
        )

        allowed, refused = await scene.raw(ask % (PATH, b"a")), await scene.raw(ask % (PATH, b"b"))
        answer = await scene.raw(get % PATH)

        assert allowed.startswith(b"HTTP/1.1 204 ")
        assert b"access-control-allow-methods: PUT\r\n" in allowed
        assert b"access-control-allow-headers: x-a\r\n" in allowed
        assert b"access-control-allow-origin" not in refused
        assert b"access-control-allow-origin: https://a.example\r\n" in answer
        assert len(scene.container.requests) == 1

    play(scenario)


def test_more_requests_than_may_wait_are_told_to_come_back():
    async def scenario(scene: Scene):
        await scene.register(max_waiting=2)
        get = b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % PATH

        held = [asyncio.create_task(scene.raw(get)) for _ in range(2)]
        dispatcher = scene.services.kernel.dispatcher
        async with asyncio.timeout(60):
            while dispatcher.waiting("fu-1") < 2:  # noqa: ASYNC110  # nobody tells of it
                await asyncio.sleep(0)
        answer = await scene.raw(get)

        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"retry-after: 1\r\n" in answer
        working = asyncio.create_task(scene.worker.work())
        assert all([(await one).startswith(b"HTTP/1.1 200 ") for one in held])
        scene.worker.session.close()
        await working

    play(scenario, works=False)


def test_a_body_whose_end_nobody_waits_for_does_not_hold_its_answer():
    async def scenario(scene: Scene):
        await scene.register()
        scene.container.answer = lambda _: said(b"no", 413)
        reader, writer = await asyncio.open_connection("127.0.0.1", scene.port)

        writer.write(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc" % PATH)
        answer = await asyncio.wait_for(reader.readuntil(b"no"), 60)
        writer.close()

        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in answer

    play(scenario)
