"""ASGI apps in a real runner: requests go in as inputs, and parts of an exchange both ways."""

# The apps here run in another process and bring their imports along.
# ruff: noqa: PLC0415, T201

from __future__ import annotations

import pytest
from tests.support.web_runner import WebRunner, get

from offload.sdk.web_marks import ASGI, Endpoint
from offload.wire import guest
from offload.wire.guest import web

ENDPOINT = Endpoint(ASGI)


def echo_path():
    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError("only requests")
        path = scope["root_path"] + "|" + scope["path"] + "|" + scope["query_string"].decode()
        await send({"type": "http.response.start", "status": 201, "headers": [(b"X-A", b"1")]})
        await send({"type": "http.response.body", "body": path.encode()})

    return app


def stream_what_comes():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        more = True
        while more:
            event = await receive()
            more = event["more_body"]
            body = event["body"].upper()
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body"})

    return app


def with_lifespan():
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["model"] = "loaded"
            await send({"type": "lifespan.startup.complete"})
            await receive()
            print("unloaded")
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["state"]["model"].encode()})

    return app


def with_failing_lifespan():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no model"})

    return app


def no_app():
    return 42


def failing():
    async def app(scope, receive, send):
        if scope["path"] == "/late":
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"its own page"})
        raise ValueError("no such thing")

    return app


def wait_for_the_client_to_go():
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await receive()
        event = await receive()
        print("then:", event["type"])

    return app


def wait_for_ever():
    async def app(scope, receive, send):
        import asyncio

        assert scope["type"] == "http"
        try:
            await asyncio.sleep(600)
        finally:
            print("ended")

    return app


def work_on():
    async def app(scope, receive, send):
        import asyncio

        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})
        await asyncio.sleep(0.2)
        print("and more")

    return app


def print_what_is_asked():
    async def app(scope, receive, send):
        import asyncio

        print("begins", scope["path"])
        await asyncio.sleep(0.01)
        print("ends", scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return app


def chat():
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            raise RuntimeError("no lifespan here")
        await receive()
        if scope["path"] == "/closed":
            await send({"type": "websocket.close", "code": 4001, "reason": "not here"})
            return
        await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0]})
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                print("left with", event["code"])
                return
            if event.get("text") == "bye":
                await send({"type": "websocket.close", "code": 1000, "reason": "bye"})
                return
            await send(
                {
                    "type": "websocket.send",
                    "text": event.get("text"),
                    "bytes": event.get("bytes"),
                }
            )

    return app


def test_a_small_response_is_the_result_of_its_input() -> None:
    with WebRunner(echo_path, ENDPOINT) as runner:
        head, body = runner.whole(get("/users", b"a=1", root_path="/web/app/f"))

    assert head == web.ResponseHead(201, ((b"x-a", b"1"),))
    assert body == b"/web/app/f|/web/app/f/users|a=1"


def test_what_the_response_to_head_would_have_said_is_not_sent() -> None:
    with WebRunner(echo_path, ENDPOINT) as runner:
        head, body = runner.whole(get("/users", method="HEAD"))

    assert (head.status, body) == (201, b"")


def test_bodies_stream_both_ways() -> None:
    with WebRunner(stream_what_comes, ENDPOINT) as runner:
        runner.ask(get(method="POST", body=b"first ", is_whole=False))
        exchange = runner.exchange()
        exchange.send(web.Body(b"second ", last=False))
        received = [exchange.receive()]
        while b"SECOND" not in getattr(received[-1], "data", b""):
            received.append(exchange.receive())
        exchange.send(web.Body(b"third", last=True))
        received += exchange.rest()
        result = runner.result()

    assert exchange.input_id == "in-1"
    assert received[0] == web.ResponseHead(200, ())
    assert b"".join(part.data for part in received[1:]) == b"FIRST SECOND THIRD"
    assert received[-1].last
    assert result.value.inline == b""


def test_a_large_response_goes_out_in_parts_within_the_credit_of_its_reader() -> None:
    def make_large():
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x" * 1_000_000})

        return app

    with WebRunner(make_large, ENDPOINT) as runner:
        runner.ask(get())
        head, *parts = runner.exchange().rest()
        result = runner.result()

    assert head.status == 200
    assert sum(len(part.data) for part in parts) == 1_000_000
    assert max(len(part.data) for part in parts) <= web.MAX_PART_BYTES
    assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
    assert result.fault is None


def test_an_app_is_started_before_its_first_request_and_ended_after_the_last() -> None:
    with WebRunner(with_lifespan, ENDPOINT) as runner:
        _, body = runner.whole(get())
        runner.send(guest.Stop())
        code, _ = runner.read_to_end()

    assert body == b"loaded"
    assert code == 0
    assert ("", "stdout", "unloaded") in runner.lines()


@pytest.mark.parametrize(
    ("make", "said"),
    [(with_failing_lifespan, "no model"), (no_app, "returns an ASGI app, not int")],
)
def test_an_app_that_cannot_start_says_why(make, said) -> None:
    with WebRunner(make, ENDPOINT) as runner:
        fault = runner.fault

    assert fault is not None
    assert said in fault.message


def test_an_error_fails_the_input_and_is_shown_in_its_output() -> None:
    with WebRunner(failing, ENDPOINT) as runner:
        runner.ask(get())
        result = runner.result()

    assert result.fault.type_name == "ValueError"
    assert ("in-1", "stderr", "ValueError: no such thing") in runner.lines()


def test_an_app_may_answer_with_a_page_of_its_own_before_it_fails() -> None:
    with WebRunner(failing, ENDPOINT) as runner:
        head, body = runner.whole(get("/late"))

    assert (head.status, body) == (500, b"its own page")
    assert ("in-1", "stderr", "ValueError: no such thing") in runner.lines()


def test_an_app_is_told_that_its_client_has_gone() -> None:
    with WebRunner(wait_for_the_client_to_go, ENDPOINT) as runner:
        runner.ask(get())
        runner.wait_for(guest.Begun)
        runner.send(guest.Cancel(("in-1",), timed_out=False, reason="the client has gone"))
        runner.result()

    assert ("in-1", "stdout", "then: http.disconnect") in runner.lines()


def test_an_app_that_does_not_listen_is_cancelled_a_little_later() -> None:
    with WebRunner(wait_for_ever, ENDPOINT) as runner:
        runner.ask(get())
        runner.wait_for(guest.Begun)
        runner.send(guest.Cancel(("in-1",), timed_out=False, reason="the client has gone"))
        result = runner.result()

    assert result.interrupted
    assert ("in-1", "stdout", "ended") in runner.lines()


def test_a_response_does_not_wait_for_what_its_app_does_after_it() -> None:
    with WebRunner(work_on, ENDPOINT) as runner:
        runner.ask(get())
        exchange = runner.exchange()
        parts = [exchange.receive(), exchange.receive()]
        has_ended = any(isinstance(message, guest.Results) for message in runner.seen)
        exchange.rest()
        runner.result()

    assert parts == [web.ResponseHead(200, ()), web.Body(b"done", last=True)]
    assert not has_ended
    assert ("in-1", "stdout", "and more") in runner.lines()


def test_what_requests_print_at_the_same_time_is_told_apart() -> None:
    with WebRunner(print_what_is_asked, ENDPOINT, max_calls=8) as runner:
        for number in range(8):
            runner.ask(get(f"/{number}"), f"in-{number}")
        runner.results(8)

    for number in range(8):
        own = [text for input_id, _, text in runner.lines() if input_id == f"in-{number}"]
        assert own == [f"begins /{number}", f"ends /{number}"]


def websocket(path: str = "/") -> web.RequestHead:
    return get(path, scheme="ws", is_websocket=True, subprotocols=("chat", "other"))


def test_a_websocket_carries_messages_both_ways_until_the_app_closes_it() -> None:
    with WebRunner(chat, ENDPOINT) as runner:
        runner.ask(websocket())
        exchange = runner.exchange()
        accepted = exchange.receive()
        exchange.send(web.Text(b"h", last=False), web.Text(b"ello", last=True))
        text = exchange.receive()
        exchange.send(web.Binary(b"\0\1", last=True))
        data = exchange.receive()
        exchange.send(web.Text(b"bye", last=True))
        rest = exchange.rest()
        result = runner.result()

    assert accepted == web.Accept("chat", ())
    assert (text, data) == (web.Text(b"hello", last=True), web.Binary(b"\0\1", last=True))
    assert rest == [web.Close(1000, "bye")]
    assert result.fault is None


def test_an_app_hears_how_its_client_closed_a_websocket() -> None:
    with WebRunner(chat, ENDPOINT) as runner:
        runner.ask(websocket())
        exchange = runner.exchange()
        exchange.receive()
        exchange.send(web.Close(4000, "enough"))
        rest = exchange.rest()
        runner.result()

    assert rest == []
    assert ("in-1", "stdout", "left with 4000") in runner.lines()


def test_a_websocket_can_be_refused() -> None:
    with WebRunner(chat, ENDPOINT) as runner:
        runner.ask(websocket("/closed"))
        parts = runner.exchange().rest()
        runner.result()

    assert parts == [web.Close(4001, "not here")]


def test_a_large_message_of_a_websocket_travels_in_parts() -> None:
    message = b"m" * (2 * web.MAX_PART_BYTES + 10)
    with WebRunner(chat, ENDPOINT) as runner:
        runner.ask(websocket())
        exchange = runner.exchange()
        exchange.receive()
        exchange.send(
            web.Binary(message[: web.MAX_PART_BYTES], last=False),
            web.Binary(message[web.MAX_PART_BYTES : 2 * web.MAX_PART_BYTES], last=False),
            web.Binary(message[2 * web.MAX_PART_BYTES :], last=True),
        )
        parts = [exchange.receive() for _ in range(3)]
        exchange.send(web.Text(b"bye", last=True))
        exchange.rest()
        runner.result()

    assert b"".join(part.data for part in parts) == message
    assert [part.last for part in parts] == [False, False, True]


def test_what_is_no_request_is_refused() -> None:
    with WebRunner(echo_path, ENDPOINT) as runner:
        result = runner.call(1)

    assert result.fault.type_name == "TypeError"
    assert "ask its URL" in result.fault.message


def test_methods_of_a_class_are_endpoints_beside_others() -> None:
    from offload.sdk.life_cycle import ENTER, MARK, METHOD, Blueprint
    from offload.sdk.web_marks import WEB_MARK

    class Shop:
        def open(self):
            self.stock = 3

        def count(self):
            return self.stock

        def web(self):
            async def app(scope, receive, send):
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"%d left" % self.stock})

            return app

    Shop.__module__ = "__main__"
    Shop.open.__dict__[MARK] = ENTER
    Shop.count.__dict__[MARK] = METHOD
    Shop.web.__dict__.update({MARK: METHOD, WEB_MARK: ENDPOINT})

    with WebRunner(Blueprint(Shop, {}, False)) as runner:
        called = runner.call_method("count")
        _, body = runner.whole(get(target="web"))

        assert runner.value(called) == 3
    assert body == b"3 left"
