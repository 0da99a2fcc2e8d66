"""Programs that listen at a port of their container, behind a real runner."""

# The functions here run in another process and bring their imports along.
# ruff: noqa: PLC0415

from __future__ import annotations

import json
import socket

import pytest
from tests.support.web_runner import WebRunner, get

from offload.sdk.web_marks import SERVER, Endpoint
from offload.wire.guest import web


def start_server(port: int):
    def start():
        from tests.support.web_program import serve

        serve(port)

    return start


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_program_gets_requests_below_its_own_path(port: int) -> None:
    with WebRunner(start_server(port), Endpoint(SERVER, port=port, startup_timeout=30)) as runner:
        head, body = runner.answer(
            get("/a b", b"x=1", raw_path=b"/web/app/f/a%20b", root_path="/web/app/f")
        )

    assert head.status == 200
    assert json.loads(body) == {"path": "/a%20b?x=1", "prefix": "/web/app/f"}
    assert not {b"connection", b"transfer-encoding"} & {name for name, _ in head.headers}


def test_bodies_of_unknown_size_go_through_both_ways(port: int) -> None:
    with WebRunner(start_server(port), Endpoint(SERVER, port=port, startup_timeout=30)) as runner:
        runner.ask(get(method="POST", body=b"hel", is_whole=False))
        exchange = runner.exchange()
        exchange.send(web.Body(b"lo", last=True))
        parts = exchange.rest()
        result = runner.result()

    assert parts[0].status == 201
    assert b"".join(part.data for part in parts[1:]) == b"HELLO"
    assert result.fault is None


def test_a_websocket_goes_through_both_ways(port: int) -> None:
    with WebRunner(start_server(port), Endpoint(SERVER, port=port, startup_timeout=30)) as runner:
        runner.ask(get("/ws", scheme="ws", is_websocket=True))
        exchange = runner.exchange()
        accepted = exchange.receive()
        exchange.send(web.Text(b"hello", last=True))
        text = exchange.receive()
        exchange.send(web.Binary(b"x" * 300, last=True))
        data = exchange.receive()
        exchange.send(web.Close(1000, "done"))
        exchange.rest()
        result = runner.result()

    assert isinstance(accepted, web.Accept)
    assert text == web.Text(b"hello", last=True)
    assert data == web.Binary(b"x" * 300, last=True)
    assert result.fault is None


def test_a_program_that_does_not_listen_in_time_says_so(port: int) -> None:
    def start():
        """Start nothing."""

    with WebRunner(start, Endpoint(SERVER, port=port, startup_timeout=0.05)) as runner:
        fault = runner.fault

    assert fault is not None
    assert f"nothing listens at port {port}" in fault.message
