"""Functions that are the only route of a FastAPI app, in a real runner."""

from __future__ import annotations

import json

from tests.support.web_runner import WebRunner, get

from offload.sdk.web_marks import FASTAPI, Endpoint


def square(number: int = 2):
    return {"square": number * number}


async def add(item: dict):
    return {"added": item}


square.__annotations__ = {"number": int}  # as the SDK resolves them
add.__annotations__ = {"item": dict}


def test_a_function_is_the_only_route_of_an_app() -> None:
    with WebRunner(square, Endpoint(FASTAPI, ("GET",))) as runner:
        head, body = runner.answer(get("/", b"number=7", root_path="/web/app/square"))
        missing, _ = runner.answer(get("/docs"))
        wrong, said = runner.answer(get("/", b"number=x"))

    assert (head.status, json.loads(body)) == (200, {"square": 49})
    assert missing.status == 404
    assert wrong.status == 422
    assert json.loads(said)["detail"][0]["loc"] == ["query", "number"]


def test_the_answer_to_head_is_that_to_get_without_its_body() -> None:
    with WebRunner(square, Endpoint(FASTAPI, ("GET",))) as runner:
        head, body = runner.answer(get("/", method="HEAD"))

    assert (head.status, body) == (200, b"")


def test_a_body_is_an_argument_of_an_async_function() -> None:
    request = get(
        method="POST", headers=((b"content-type", b"application/json"),), body=b'{"name": "tea"}'
    )
    with WebRunner(add, Endpoint(FASTAPI, ("POST",)), max_calls=4) as runner:
        _, body = runner.answer(request)

    assert json.loads(body) == {"added": {"name": "tea"}}


def test_the_pages_of_documentation_are_there_where_they_are_wanted() -> None:
    with WebRunner(square, Endpoint(FASTAPI, ("GET",), docs=True)) as runner:
        page, _ = runner.answer(get("/docs"))
        _, schema = runner.answer(get("/openapi.json", root_path="/web/app/square"))

    assert page.status == 200
    assert json.loads(schema)["servers"] == [{"url": "/web/app/square"}]
