"""WSGI apps in a real runner."""

# The apps here run in another process and bring their imports along.
# ruff: noqa: PLC0415, T201

from __future__ import annotations

import json

import pytest
from tests.support.web_runner import WebRunner, get

from offload.sdk.web_marks import WSGI, Endpoint
from offload.wire import guest
from offload.wire.guest import web

ENDPOINT = Endpoint(WSGI)


def show_environ():
    def app(environ, start_response):
        import json

        names = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE")
        shown = {name: environ.get(name) for name in (*names, "HTTP_X_MANY", "HTTP_COOKIE")}
        shown["body"] = environ["wsgi.input"].read().decode()
        body = json.dumps(shown).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    return app


def upper_line_by_line():
    def app(environ, start_response):
        start_response("200 OK", [])
        for line in environ["wsgi.input"]:
            yield line.upper()

    return app


def failing():
    def app(environ, start_response):
        start_response("200 OK", [])
        raise ValueError("no such thing")

    return app


def changing_its_mind():
    def app(environ, start_response):
        import sys

        start_response("200 OK", [("X-A", "1")])
        try:
            raise ValueError
        except ValueError:
            start_response("500 Broken", [("Content-Length", "1")], sys.exc_info())
        return [b"!"]

    return app


def closing():
    class Body:
        def __iter__(self):
            yield b"x"

        def close(self):
            print("closed")

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "1")])
        return Body()

    return app


def test_an_app_is_told_of_its_request_and_its_response_is_the_result() -> None:
    headers = ((b"content-type", b"text/plain"), (b"x-many", b"1"), (b"x-many", b"2"))
    cookies = ((b"cookie", b"a=1"), (b"cookie", b"b=2"))
    request = get("/ä", b"q=1", method="POST", root_path="/web/app/f", body=b"hello")
    with WebRunner(show_environ, ENDPOINT) as runner:
        head, body = runner.whole(request._replace(headers=headers + cookies))

    shown = json.loads(body)
    assert head.status == 200
    assert shown == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/web/app/f",
        "PATH_INFO": "/ä".encode().decode("latin-1"),
        "QUERY_STRING": "q=1",
        "CONTENT_TYPE": "text/plain",
        "HTTP_X_MANY": "1,2",
        "HTTP_COOKIE": "a=1; b=2",
        "body": "hello",
    }


@pytest.mark.parametrize("max_calls", [1, 4])
def test_bodies_stream_both_ways(max_calls: int) -> None:
    with WebRunner(upper_line_by_line, ENDPOINT, max_calls=max_calls) as runner:
        runner.ask(get(method="POST", body=b"fir", is_whole=False))
        exchange = runner.exchange()
        exchange.send(web.Body(b"st\nsec", last=False))
        head, first = exchange.receive(), exchange.receive()
        exchange.send(web.Body(b"ond\n", last=True))
        rest = exchange.rest()
        result = runner.result()

    assert head == web.ResponseHead(200, ())
    assert first == web.Body(b"FIRST\n", last=False)
    assert b"".join(part.data for part in rest) == b"SECOND\n"
    assert rest[-1].last
    assert result.fault is None


def test_an_error_fails_the_input_and_is_shown_in_its_output() -> None:
    with WebRunner(failing, ENDPOINT) as runner:
        runner.ask(get())
        result = runner.result()

    assert result.fault.type_name == "ValueError"
    assert ("in-1", "stderr", "ValueError: no such thing") in runner.lines()


def test_an_app_may_begin_another_response_until_the_first_piece_of_a_body() -> None:
    with WebRunner(changing_its_mind, ENDPOINT) as runner:
        head, body = runner.whole(get())

    assert head == web.ResponseHead(500, ((b"content-length", b"1"),))
    assert body == b"!"


def test_a_body_is_closed_after_its_last_piece() -> None:
    with WebRunner(closing, ENDPOINT) as runner:
        runner.whole(get())

    assert ("in-1", "stdout", "closed") in runner.lines()


def test_a_client_that_goes_early_ends_the_reading_of_its_request() -> None:
    with WebRunner(upper_line_by_line, ENDPOINT) as runner:
        runner.ask(get(method="POST", is_whole=False))
        exchange = runner.exchange()
        exchange.send(web.Disconnect())
        result = runner.result()

    assert result.fault.type_name == "ConnectionResetError"


def test_a_request_that_waits_for_its_body_can_be_cancelled() -> None:
    with WebRunner(upper_line_by_line, ENDPOINT) as runner:
        runner.ask(get(method="POST", is_whole=False))
        runner.exchange()
        runner.send(guest.Cancel(("in-1",), timed_out=False, reason="the client has gone"))
        result = runner.result()

    assert result.interrupted
