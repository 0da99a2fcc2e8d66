"""What decorators of web endpoints accept, and what they make of functions and classes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

import offload
from offload.errors import InvalidError
from offload.sdk.client.web_endpoints import describe
from offload.sdk.web import WebOptions
from offload.sdk.web_marks import CrossOrigin, Endpoint, endpoint_of
from offload.sdk.web_paths import PathError, parse_path

app = offload.App("shop")


@dataclass
class Item:
    name: str


def test_each_decorator_says_how_requests_are_answered():
    @offload.asgi_app(label="shop", auth="token", cors="*", max_waiting=10)
    def asgi():
        """Return an app."""

    @offload.wsgi_app()
    def wsgi():
        """Return an app."""

    @offload.fastapi_endpoint(method="post", docs=True)
    def fast(item: int):
        """Be a route."""

    @offload.web_server(8000, startup_timeout=5)
    def program():
        """Start one."""

    @app.web_endpoint(path="/users/{user_id}", method=["GET", "delete"])
    def user(user_id: int):
        """Be called."""

    cors = CrossOrigin(("*",))
    assert endpoint_of(asgi) == Endpoint(
        "asgi", label="shop", auth="token", cors=cors, max_waiting=10
    )
    assert endpoint_of(wsgi) == Endpoint("wsgi")
    assert endpoint_of(fast) == Endpoint("fastapi", ("POST",), docs=True)
    assert endpoint_of(program) == Endpoint("server", port=8000, startup_timeout=5)
    assert endpoint_of(user) == Endpoint("function", ("GET", "DELETE"), "/users/{user_id}")


@pytest.mark.parametrize("is_above", [False, True])
def test_a_function_is_an_endpoint_whichever_decorator_stands_above(is_above):
    def function():
        """Return an app."""

    if is_above:
        made = offload.asgi_app()(app.function(name="above")(function))
    else:
        made = app.function(name="below")(offload.asgi_app()(function))

    assert made.options.web == WebOptions((("", Endpoint("asgi")),))
    assert made.local() is None


def test_methods_of_a_class_are_endpoints_by_their_names():
    @app.cls()
    class Shop:
        @app.web_endpoint(path="/items")
        def items(self):
            """Be called."""

        @offload.method()
        def count(self):
            """Be called by functions."""

    assert [name for name, _ in Shop.options.web.endpoints] == ["items"]
    assert [message.target for message in describe(Shop.options.web)] == ["items"]


def test_the_schema_says_all_of_an_endpoint():
    cors = CrossOrigin(("https://a.example",), ("PUT",), ("x-a",), True, 5)
    given = Endpoint(
        "server", ("GET",), "/a", "label", "key", cors, port=80, startup_timeout=2, max_waiting=3
    )

    [message] = describe(WebOptions((("m", given),)))

    assert (message.kind, message.target, message.path) == ("server", "m", "/a")
    assert (list(message.methods), message.label, message.auth) == (["GET"], "label", "key")
    assert (message.port, message.startup_seconds, message.max_waiting) == (80, 2, 3)
    assert list(message.cors.origins) == ["https://a.example"]
    assert message.cors.with_credentials
    assert message.cors.max_age_seconds == 5


@pytest.mark.parametrize(
    ("decorate", "said"),
    [
        (lambda: offload.asgi_app(lambda: None), "needs brackets"),
        (lambda: offload.asgi_app(label="My Shop"), "no part of a host's name"),
        (lambda: offload.asgi_app(auth="password"), "none of public, token, key"),
        (lambda: offload.asgi_app(max_waiting=0), "max_waiting"),
        (lambda: offload.asgi_app(lable="x"), "unknown option 'lable'"),
        (lambda: offload.asgi_app(cors="example.org"), "names no origins"),
        (lambda: offload.asgi_app(cors=CrossOrigin(("*",), with_credentials=True)), "name the or"),
        (lambda: offload.fastapi_endpoint(method="FETCH"), "none of GET, HEAD"),
        (lambda: offload.fastapi_endpoint(docs=1), "neither True nor False"),
        (lambda: offload.web_server(0), "port"),
        (lambda: offload.web_server(80, startup_timeout=0), "startup_timeout"),
        (lambda: app.web_endpoint(path="users"), "begins with a slash"),
        (lambda: app.web_endpoint(path="/{a-b}"), "no name of a parameter"),
        (lambda: app.web_endpoint(path="/{a}/{a}"), "stands there twice"),
        (lambda: app.web_endpoint(path="/{a"), "is not closed"),
    ],
)
def test_what_can_be_no_endpoint_is_refused(decorate, said):
    with pytest.raises(InvalidError, match=said):
        decorate()


def of_generator():
    yield 1


def with_argument(x):
    """Take something."""


def of_names(*names):
    """Take anything."""


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (of_generator, "and yields"),
        (with_argument, "called without arguments"),
        (7, "decorates functions, not int"),
        (offload.asgi_app()(lambda: None), "endpoint already"),
    ],
)
def test_what_cannot_answer_requests_is_refused(function, said):
    with pytest.raises(InvalidError, match=said):
        offload.asgi_app()(function)


@pytest.mark.parametrize(
    ("path", "function", "said"),
    [("/{y}", with_argument, "has no parameter 'y'"), ("/", of_names, "without names")],
)
def test_a_path_and_the_parameters_of_its_function_belong_together(path, function, said):
    with pytest.raises(InvalidError, match=said):
        app.web_endpoint(path=path)(function)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"retries": 2}, "is not repeated"),
        ({"schedule": offload.Period(minutes=5)}, "a schedule calls a function"),
        ({"web": None}, "write @offload.asgi_app"),
    ],
)
def test_options_that_an_endpoint_cannot_have_are_refused(options, said):
    with pytest.raises(InvalidError, match=said):
        app.function(**options)(offload.asgi_app()(lambda: None))


def test_a_batched_endpoint_is_refused():
    def function(x):
        """Take a list."""

    with pytest.raises(InvalidError, match="cannot be batched"):
        app.function()(offload.batched(max_batch_size=2, wait_ms=1)(app.web_endpoint()(function)))


def test_an_endpoint_is_asked_by_its_address_and_not_called():
    @app.function(name="asked")
    @offload.asgi_app()
    def asked():
        """Return an app."""

    with pytest.raises(InvalidError, match="get_web_url"):
        asked.remote()


def test_type_hints_travel_as_what_they_name():
    def add(item: Item) -> None:
        """Take one."""

    web = WebOptions((("", Endpoint("function", ("GET",), "/")),))

    web.resolve_hints(add)

    assert add.__annotations__ == {"item": Item, "return": type(None)}


@pytest.mark.parametrize(
    ("path", "asked", "found"),
    [
        ("/", "/", {}),
        ("/users", "/users/", {}),
        ("/users/{a}", "/users/7", {"a": "7"}),
        ("/users/{a}", "/users/7/8", None),
        ("/users/{a}", "/users/", None),
        ("/{a}/x/{b:path}", "/1/x/2/3", {"a": "1", "b": "2/3"}),
        ("/a.b", "/aXb", None),
    ],
)
def test_a_path_is_matched_by_its_places(path, asked, found):
    assert parse_path(path).match(asked) == found


def test_a_path_of_an_unknown_kind_is_refused():
    with pytest.raises(PathError, match="no name of a parameter"):
        parse_path("/{a:int}")
