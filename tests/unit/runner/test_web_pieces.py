"""What an ASGI app has said or heard of only in part when it fails, or stops waiting."""

# The apps here run in another process and bring their imports along.
# ruff: noqa: PLC0415

from __future__ import annotations

from tests.support.web_runner import WebRunner, get

from offload.sdk.web_marks import ASGI, Endpoint
from offload.wire.guest import asks, web

ENDPOINT = Endpoint(ASGI)


def fail_between_pieces():
    async def app(scope, receive, send):
        import asyncio

        await asyncio.sleep(0.05 if scope["path"] == "/later" else 0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/later":
            await send({"type": "http.response.body", "body": b"well"})
            return
        await send({"type": "http.response.body", "body": b"not", "more_body": True})
        raise ValueError("no such thing")

    return app


def wait_only_so_long():
    async def app(scope, receive, send):
        import asyncio

        await receive()
        await send({"type": "websocket.accept"})
        try:
            await asyncio.wait_for(receive(), 0.1)
        except TimeoutError:
            await send({"type": "websocket.send", "text": "nothing yet"})
        event = await receive()
        await send({"type": "websocket.send", "text": event["text"]})

    return app


def test_nothing_of_a_response_leaves_after_its_app_has_failed() -> None:
    with WebRunner(fail_between_pieces, ENDPOINT) as runner:
        runner.ask(get())
        failed = runner.result()
        _, body = runner.whole(get("/later"))
        exchanges = [each for each in runner.seen if isinstance(each, asks.Ask)]

    assert failed.fault.type_name == "ValueError"
    assert body == b"well"
    assert exchanges == []


def test_an_app_that_waits_for_a_message_only_so_long_loses_no_piece_of_it() -> None:
    with WebRunner(wait_only_so_long, ENDPOINT) as runner:
        runner.ask(get(scheme="ws", is_websocket=True))
        exchange = runner.exchange()
        exchange.receive()
        exchange.send(web.Text(b"h", last=False))
        waited = exchange.receive()
        exchange.send(web.Text(b"ello", last=True))
        rest = exchange.rest()
        runner.result()

    assert waited == web.Text(b"nothing yet", last=True)
    assert rest[0] == web.Text(b"hello", last=True)
