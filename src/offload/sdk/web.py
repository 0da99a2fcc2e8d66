"""`@asgi_app`, `@fastapi_endpoint` and the others: functions that answer web requests. Pure.

They leave a mark on what they decorate, which `@app.function()` above them takes for its options, as `@concurrent` does. On methods of a
class they stand alone.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, TypeVar, get_type_hints

from offload.errors import InvalidError
from offload.sdk.life_cycle import MARK, METHOD, roles_of
from offload.sdk.option_checks import check_number, check_whole
from offload.sdk.web_marks import (
    ASGI,
    FASTAPI,
    FUNCTION,
    SERVER,
    WEB_MARK,
    WSGI,
    CrossOrigin,
    Endpoint,
    endpoint_of,
)
from offload.sdk.web_paths import PathError, check_parameters, parse_path

if TYPE_CHECKING:
    from typing import NamedTuple, TypedDict, Unpack

    from offload.sdk.options import FunctionOptions

    class WebArguments(TypedDict, total=False):
        """What every kind of web endpoint takes, by name."""

        label: str | None
        auth: str | None
        cors: str | Sequence[str] | CrossOrigin | None
        max_waiting: int | None

else:
    from offload.wire.records import NamedTuple

F = TypeVar("F")

AUTHS = ("public", "token", "key")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MAX_WAITING = 100_000
MAX_STARTUP_SECONDS = 86_400

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ORIGIN = re.compile(r"\*|https?://[A-Za-z0-9.\-_\[\]:]+")
_NAMES = {
    ASGI: "@offload.asgi_app",
    WSGI: "@offload.wsgi_app",
    SERVER: "@offload.web_server",
    FASTAPI: "@offload.fastapi_endpoint",
    FUNCTION: "@app.web_endpoint",
}


class WebOptions(NamedTuple):
    """The web endpoints of a function or class."""

    endpoints: tuple[tuple[str, Endpoint], ...]  # with the name of its method; empty for a function
    parameters: tuple[
        tuple[str, str, str], ...
    ] = ()  # of the class: name, type, default as written

    def check(self, max_retries: int, batching: object, schedule: object) -> None:
        """Refuse options that a web endpoint cannot have. Raises `InvalidError`."""
        if max_retries:
            raise InvalidError(
                "retries= of a web endpoint: a request that has begun is not repeated, as nobody knows what it has done; leave it out"
            )
        if batching is not None:
            raise InvalidError(
                "a web endpoint answers one request in each call, and cannot be batched: leave @offload.batched(…) out"
            )
        if schedule is not None:
            raise InvalidError(
                "schedule= of a web endpoint: a schedule calls a function; write one for it"
            )

    def resolve_hints(self, owner: object) -> None:
        """Have the type hints of endpoints travel as what they name: as texts they would name nothing in the container.

        One that cannot be resolved stays a text, and the container says so where it matters.
        """
        for method, endpoint in self.endpoints:
            function = getattr(owner, method) if method else owner
            if endpoint.kind in (FASTAPI, FUNCTION) and isinstance(function, FunctionType):
                with contextlib.suppress(NameError, TypeError):
                    function.__annotations__ = get_type_hints(function, include_extras=True)

    def added_to(self, options: FunctionOptions) -> FunctionOptions:
        """Return the options with these. Raises `InvalidError`."""
        self.check(options.retry_policy.max_retries, options.batching, options.schedule)
        return options._replace(web=self)


def asgi_app(*misused: object, **options: Unpack[WebArguments]) -> Callable[[F], F]:
    """Return a decorator for a function that returns an ASGI app (FastAPI, Starlette, Django, Quart): the app answers requests.

    The function is called once in each container, and the app's lifespan events are run there.
    """
    return _decorator(ASGI, misused, Endpoint(ASGI), options)


def wsgi_app(*misused: object, **options: Unpack[WebArguments]) -> Callable[[F], F]:
    """Return a decorator for a function that returns a WSGI app (Flask, Django, Bottle): the app answers requests, in threads."""
    return _decorator(WSGI, misused, Endpoint(WSGI), options)


def fastapi_endpoint(
    *misused: object, method: str = "GET", docs: bool = False, **options: Unpack[WebArguments]
) -> Callable[[F], F]:
    """Return a decorator that makes a function the only route of a FastAPI app: its parameters are FastAPI's.

    With `docs` there are FastAPI's pages of documentation at `/docs`. FastAPI must be in the function's image.
    """
    return _decorator(
        FASTAPI, misused, lambda: Endpoint(FASTAPI, _methods(method), docs=_flag(docs)), options
    )


def web_server(
    port: int, *misused: object, startup_timeout: float = 30.0, **options: Unpack[WebArguments]
) -> Callable[[F], F]:
    """Return a decorator for a function that starts a program which listens at `port` in its container, and returns.

    Requests go to that program. A container is ready when something listens there, which takes `startup_timeout` seconds at most.
    """

    def make() -> Endpoint:
        check_whole("port", port, 1, 65_535)
        check_number("startup_timeout", startup_timeout, 0.001, MAX_STARTUP_SECONDS)
        return Endpoint(SERVER, port=port, startup_timeout=startup_timeout)

    return _decorator(SERVER, misused, make, options)


def web_endpoint(
    misused: tuple[object, ...],
    path: str,
    method: str | Sequence[str],
    options: WebArguments,
) -> Callable[[F], F]:
    """See `App.web_endpoint`."""

    def make() -> Endpoint:
        return Endpoint(FUNCTION, _methods(method), _path(path))

    return _decorator(FUNCTION, misused, make, options)


def _decorator(
    kind: str,
    misused: tuple[object, ...],
    make: Endpoint | Callable[[], Endpoint],
    options: WebArguments,
) -> Callable[[F], F]:
    name = _NAMES[kind]
    try:
        if misused:
            example = {SERVER: "(8000)", FUNCTION: '(path="/users/{user_id}")'}.get(kind, "()")
            raise InvalidError(
                f"{name} needs brackets, and its options by name: write {name}{example}"
            )
        endpoint = _with_options(make if isinstance(make, Endpoint) else make(), options)
    except InvalidError as error:
        error.__traceback__ = None  # the caller's line is then the last
        raise

    def decorate(decorated: F) -> F:
        try:
            _mark(decorated, name, endpoint)
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise
        return decorated

    return decorate


def _with_options(endpoint: Endpoint, options: WebArguments) -> Endpoint:
    unknown = options.keys() - {"label", "auth", "cors", "max_waiting"}
    if unknown:
        raise InvalidError(
            f"unknown option {min(unknown)!r}: a web endpoint has label, auth, cors and max_waiting"
        )
    label, auth, waiting = options.get("label"), options.get("auth"), options.get("max_waiting")
    if label is not None and (not isinstance(label, str) or not _LABEL.fullmatch(label)):
        raise InvalidError(
            f"label={label!r} is no part of a host's name: write small letters, digits and hyphens, 63 at most"
        )
    if auth is not None and auth not in AUTHS:
        raise InvalidError(f"auth={auth!r} is none of {', '.join(AUTHS)}")
    if waiting is not None:
        check_whole("max_waiting", waiting, 1, MAX_WAITING)
    return endpoint._replace(
        label=label or "",
        auth=auth or "",
        max_waiting=waiting or 0,
        cors=_cross_origin(options.get("cors")),
    )


def _cross_origin(given: object) -> CrossOrigin | None:
    if given is None:
        return None
    cors = given if isinstance(given, CrossOrigin) else CrossOrigin(_texts(given))
    origins = _texts(cors.origins)
    if not origins or not all(_ORIGIN.fullmatch(origin) for origin in origins):
        raise InvalidError(
            f'cors={given!r} names no origins: write "*" or a list of them, as in ["https://example.org"]'
        )
    if cors.with_credentials and "*" in origins:
        raise InvalidError(
            'cors: with_credentials=True with "*" would let every page act for its visitor: name the origins'
        )
    check_number("max_age", cors.max_age, 0, MAX_STARTUP_SECONDS)
    return cors._replace(
        origins=origins,
        methods=tuple(method.upper() for method in _texts(cors.methods)),
        headers=_texts(cors.headers),
    )


def _texts(given: object) -> tuple[str, ...]:
    texts = (given,) if isinstance(given, str) else given
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        raise InvalidError(f"cors: {given!r} is neither a text nor a list of texts")
    return tuple(texts)


def _methods(given: object) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, Sequence) or not names:
        raise InvalidError(f'method={given!r} is no method: write method="POST", or a list of them')
    upper = tuple(str(name).upper() for name in names)
    for name in upper:
        if name not in METHODS:
            raise InvalidError(f"method={given!r} is none of {', '.join(METHODS)}")
    return upper


def _flag(docs: object) -> bool:
    if not isinstance(docs, bool):
        raise InvalidError(f"docs={docs!r} is neither True nor False")
    return docs


def _path(path: object) -> str:
    if not isinstance(path, str) or not path.startswith("/"):
        raise InvalidError(f'path={path!r} begins with a slash: write path="/users/{{user_id}}"')
    try:
        parse_path(path)
    except PathError as error:
        raise InvalidError(f"path={path!r}: {error}") from None
    return path


def _mark(decorated: object, name: str, endpoint: Endpoint) -> None:
    change = getattr(decorated, "answer_requests", None)
    if change is not None:  # it has been made a `Function` already
        _put(decorated.raw_function, name, endpoint)  # type: ignore[attr-defined]  # it is one
        change()
        return
    _put(decorated, name, endpoint)


def _put(function: object, name: str, endpoint: Endpoint) -> None:
    if not isinstance(function, FunctionType):
        raise InvalidError(f"{name}(…) decorates functions, not {type(function).__name__}")
    if endpoint_of(function) is not None:
        raise InvalidError(
            f"{function.__name__}() is a web endpoint already: it is one of one kind"
        )
    if function.__dict__.get(MARK, METHOD) != METHOD:
        raise InvalidError(f"{function.__name__}() is a hook of its class, and answers no requests")
    _check_code(function, name, endpoint.kind)
    if endpoint.kind == FUNCTION:
        try:
            check_parameters(function.__code__, function.__name__, endpoint.path)
        except PathError as error:
            raise InvalidError(f"path={endpoint.path!r}: {error}") from None
    function.__dict__[WEB_MARK] = endpoint
    if "." in function.__qualname__ and not function.__qualname__.split(".")[-2].endswith(">"):
        function.__dict__.setdefault(MARK, METHOD)


def _check_code(function: FunctionType, name: str, kind: str) -> None:
    code = function.__code__
    if code.co_flags & (0x20 | 0x200):  # inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
        hint = (
            "return a offload.WebResponse of a generator"
            if kind == FUNCTION
            else "return a StreamingResponse"
        )
        raise InvalidError(f"{function.__name__}() has {name} and yields: {hint}")
    takes = code.co_argcount + code.co_kwonlyargcount - len(function.__defaults__ or ())
    takes -= len(function.__kwdefaults__ or ()) + (code.co_varnames[:1] == ("self",))
    if kind in (ASGI, WSGI, SERVER) and takes > 0:
        raise InvalidError(
            f"{function.__name__}() has {name}, which is called without arguments, once in each container"
        )


def web_of_function(function: object) -> WebOptions | None:
    """Return what the decorators have left on a function; None where it is no web endpoint."""
    endpoint = endpoint_of(function)
    return None if endpoint is None else WebOptions((("", endpoint),))


def web_of_class(user_class: type) -> WebOptions | None:
    """Return what the decorators have left on the methods of a class; None where none is a web endpoint."""
    found = [
        (name, endpoint_of(getattr(user_class, name))) for name in roles_of(user_class).methods
    ]
    endpoints = tuple((name, endpoint) for name, endpoint in found if endpoint is not None)
    return WebOptions(endpoints) if endpoints else None
