"""Functions with a path, in a real runner: requests become arguments, results become responses."""

# The functions here run in another process and bring their imports along.
# ruff: noqa: PLC0415

from __future__ import annotations

import json

import pytest
from tests.support.web_runner import WebRunner, get

from offload.sdk.web_marks import FUNCTION, Endpoint
from offload.sdk.web_values import WebRequest, WebResponse
from offload.wire.guest import web

JSON = (b"content-type", b"application/json")


def endpoint(path: str = "/", *methods: str) -> Endpoint:
    return Endpoint(FUNCTION, methods or ("GET",), path)


def find_user(user_id: int, verbose: bool = False):
    return {"id": user_id, "verbose": verbose}


async def find_user_async(user_id: int, verbose: bool = False):
    return {"id": user_id, "verbose": verbose}


def add(item: dict, tags: list[str] = ()):  # type: ignore[type-arg,assignment]
    return {"item": item, "tags": list(tags)}, 201


def add_fields(name: str, price: float):
    return [name, price]


def show_request(request):
    return {
        "same": request["method"] == request.method,
        "path": request["path_params"],
        "query": dict(request.query_params),
        "agent": request.headers["User-Agent"],
        "body": request.body.decode(),
        "keys": sorted(request),
    }


def respond():
    from offload.sdk.web_values import WebResponse

    return WebResponse("hello", 202, {"X-A": "1"}, content_type="text/html")


def stream():
    from offload.sdk.web_values import WebResponse

    return WebResponse(iter([b"one ", "two"]))


async def stream_async():
    from offload.sdk.web_values import WebResponse

    async def pieces():
        yield b"one "
        yield "two"

    return WebResponse(pieces())


def unspeakable():
    return object()


def reach_nothing():
    raise ConnectionRefusedError("the database is down")


def read_all(body: bytes):
    return len(body)


def fail():
    raise ValueError("no such thing")


def typed(given: WebRequest, body: bytes):
    return [given.path, len(body)]


@pytest.mark.parametrize("function", [find_user, find_user_async])
def test_the_path_and_the_query_are_arguments_by_their_types(function) -> None:
    with WebRunner(function, endpoint("/users/{user_id}")) as runner:
        head, body = runner.whole(get("/users/7", b"verbose=yes"))

    assert head == web.ResponseHead(
        200, ((b"content-type", b"application/json"), (b"content-length", b"23"))
    )
    assert json.loads(body) == {"id": 7, "verbose": True}


@pytest.mark.parametrize(
    ("request_head", "status", "detail"),
    [
        (get("/users/x"), 422, [{"loc": ["path", "user_id"], "msg": "it must be an integer"}]),
        (
            get("/users/7", b"verbose=maybe"),
            422,
            [{"loc": ["query", "verbose"], "msg": "it must be true or false"}],
        ),
        (get("/other"), 404, "Not Found"),
        (get("/users/7/more"), 404, "Not Found"),
        (get("/users/7", method="POST"), 405, "Method Not Allowed"),
    ],
)
def test_what_cannot_be_an_argument_is_said(request_head, status: int, detail: object) -> None:
    with WebRunner(find_user, endpoint("/users/{user_id}")) as runner:
        head, body = runner.whole(request_head)

    assert head.status == status
    assert json.loads(body) == {"detail": detail}
    assert (b"allow", b"GET, HEAD") in head.headers or status != 405


def test_a_body_is_an_argument_and_a_tuple_says_the_status() -> None:
    request = get("/", b"tags=a&tags=b", method="POST", headers=(JSON,), body=b'{"n": 1}')
    with WebRunner(add, endpoint("/", "POST")) as runner:
        head, body = runner.whole(request)
        _, missing = runner.whole(get("/", method="POST"))
        _, broken = runner.whole(request._replace(body=b"{"))

    assert head.status == 201
    assert json.loads(body) == {"item": {"n": 1}, "tags": ["a", "b"]}
    assert json.loads(missing) == {"detail": [{"loc": ["body", "item"], "msg": "it is missing"}]}
    assert "it is no JSON" in json.loads(broken)["detail"][0]["msg"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"application/json; charset=utf-8", b'{"name": "tea", "price": 2}'),
        (b"application/x-www-form-urlencoded", b"name=tea&price=2"),
    ],
)
def test_fields_of_a_body_are_arguments(kind: bytes, body: bytes) -> None:
    request = get(method="POST", headers=((b"content-type", kind),), body=body)
    with WebRunner(add_fields, endpoint("/", "POST")) as runner:
        _, answer = runner.whole(request)

    assert json.loads(answer) == ["tea", 2.0]


def test_a_request_can_be_asked_for_and_reads_like_a_mapping() -> None:
    request = get("/a/b", b"x=1", headers=((b"user-agent", b"me"),), method="POST", body=b"raw")
    with WebRunner(show_request, endpoint("/{rest:path}", "POST")) as runner:
        _, body = runner.whole(request)

    assert json.loads(body) == {
        "same": True,
        "path": {"rest": "a/b"},
        "query": {"x": "1"},
        "agent": "me",
        "body": "raw",
        "keys": ["body", "headers", "method", "path", "path_params", "query_params"],
    }


def test_a_request_is_known_by_its_type_and_bytes_are_the_body() -> None:
    typed.__annotations__ = {"given": WebRequest, "body": bytes}  # as the SDK resolves them
    with WebRunner(typed, endpoint("/x", "POST")) as runner:
        _, body = runner.whole(get("/x", method="POST", body=b"four"))

    assert json.loads(body) == ["/x", 4]


def test_a_response_says_its_status_its_headers_and_its_type() -> None:
    with WebRunner(respond, endpoint()) as runner:
        head, body = runner.whole(get())

    assert head == web.ResponseHead(
        202, ((b"x-a", b"1"), (b"content-type", b"text/html"), (b"content-length", b"5"))
    )
    assert body == b"hello"


def test_the_answer_to_head_has_the_size_of_what_it_leaves_out() -> None:
    with WebRunner(respond, endpoint()) as runner:
        head, body = runner.whole(get(method="HEAD"))

    assert (b"content-length", b"5") in head.headers
    assert body == b""


@pytest.mark.parametrize("function", [stream, stream_async])
def test_an_iterable_body_is_sent_as_it_comes(function) -> None:
    with WebRunner(function, endpoint()) as runner:
        runner.ask(get())
        result = None
        if function is stream:
            head, *parts = runner.exchange().rest()
            body = b"".join(part.data for part in parts)
            result = runner.result()
            status = head.status
        else:  # it is over before anything has gone out
            result = runner.result()
            head, body = web.decode_response(result.value.inline)
            status = head.status

    assert (status, body) == (200, b"one two")
    assert result.fault is None


def test_a_result_that_json_cannot_say_is_an_error_that_says_so() -> None:
    with WebRunner(unspeakable, endpoint()) as runner:
        runner.ask(get())
        result = runner.result()

    assert "unspeakable() has returned what JSON cannot say" in result.fault.message


def test_a_connection_of_its_own_that_fails_is_an_error_like_any_other() -> None:
    with WebRunner(reach_nothing, endpoint()) as runner:
        runner.ask(get())
        result = runner.result()

    assert result.fault.type_name == "ConnectionRefusedError"
    assert ("in-1", "stderr", "ConnectionRefusedError: the database is down") in runner.lines()


def test_a_client_that_has_gone_is_no_error_of_the_function() -> None:
    with WebRunner(read_all, endpoint("/", "POST")) as runner:
        runner.ask(get(method="POST", body=b"first ", is_whole=False))
        exchange = runner.exchange()
        exchange.send(web.Disconnect())
        result = runner.result()

    assert result.fault is not None
    assert [text for _, stream, text in runner.lines() if stream == "stderr"] == []


def test_an_error_fails_the_input_and_is_shown_in_its_output() -> None:
    with WebRunner(fail, endpoint()) as runner:
        runner.ask(get())
        result = runner.result()

    assert result.fault.type_name == "ValueError"
    assert ("in-1", "stderr", "ValueError: no such thing") in runner.lines()


def test_a_large_upload_is_read_whole() -> None:
    def count(body: bytes):
        return len(body)

    count.__annotations__ = {"body": bytes}
    with WebRunner(count, endpoint("/", "POST")) as runner:
        runner.ask(get(method="POST", body=b"x", is_whole=False))
        exchange = runner.exchange()
        exchange.send(web.Body(b"y" * 10, last=False), web.Body(b"z" * 5, last=True))
        head, *parts = exchange.rest()
        result = runner.result()

    assert head.status == 200
    assert b"".join(part.data for part in parts) == b"16"
    assert result.value.inline == b""


def test_a_response_with_a_status_that_is_none_is_refused() -> None:
    for status in (199, 600, "200", True):
        with pytest.raises(ValueError, match="no status"):
            WebResponse(b"", status)
