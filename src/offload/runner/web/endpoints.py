"""From a function with the mark of a web endpoint to what answers its requests."""

from __future__ import annotations

import contextlib
import importlib

from offload.runner.callee import is_async
from offload.sdk.web_marks import ASGI, FASTAPI, FUNCTION, ON_LOOP, SERVER, WSGI, Endpoint
from offload.wire.guest import web

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import Callable, Protocol

    from offload.runner.bodies import Prepared
    from offload.runner.callee import UserFunction

    WaitFor = Callable[[object], object]

    class Server(Protocol):
        """What answers the requests of one endpoint."""

        wants_loop: bool  # it is async, and the loop also runs between requests

        def __call__(self, *args: object, **kwargs: object) -> object:
            """Return the input's result for the request given, or what to await for it. Raises `TypeError` for anything else."""

        def start(self, wait_for: WaitFor) -> None:
            """Get ready; whatever user code raises passes through."""

        def stop(self, wait_for: WaitFor) -> None:
            """End what was started."""


def serve(function: UserFunction, endpoint: Endpoint) -> Server:
    """Return what answers the requests of this function."""
    preload(endpoint)
    if endpoint.kind == ASGI:
        return AsgiServer(function)
    if endpoint.kind == FASTAPI:
        from offload.runner.web.fastapi import make_app  # noqa: PLC0415 - it needs the user's FastAPI

        app = make_app(function, endpoint)
        return AsgiServer(lambda: app, answers_head=False)
    if endpoint.kind == WSGI:
        return WsgiServer(function)
    if endpoint.kind == FUNCTION:
        return FunctionServer(function, endpoint)
    if endpoint.kind == SERVER:
        return ProgramServer(function, endpoint)
    raise TypeError(f"this runner knows no web endpoint of kind {endpoint.kind!r}")


def preload(endpoint: Endpoint) -> None:
    """Import what is slow to import and will be needed: in a template, for all containers that are forked from it."""
    if endpoint.kind in ON_LOOP:
        importlib.import_module("offload.runner.web.asgi")
    if endpoint.kind == FASTAPI:
        # Where it is missing, whoever makes the app says so.
        with contextlib.suppress(ImportError):
            importlib.import_module("fastapi")


def request_of(args: tuple[object, ...]) -> web.RequestHead:
    """Return what an input of a web endpoint is for. Raises `TypeError`."""
    head = args[0] if args else None
    if not isinstance(head, web.RequestHead):
        raise TypeError("it is a web endpoint: ask its URL, or call it with .local()")
    return head


def _result_of(function: Callable[[], object], wait_for: WaitFor) -> object:
    result = function()
    return wait_for(result) if hasattr(result, "__await__") else result


def _no_app(given: object, decorator: str, app: str) -> TypeError:
    return TypeError(
        f"a function with @offload.{decorator}() returns {app}, not {type(given).__name__}"
    )


class AsgiServer:
    """An ASGI app that the user's function returns."""

    wants_loop = True

    def __init__(self, make_app: Callable[[], object], *, answers_head: bool = True) -> None:
        self._make_app = make_app
        self._answers_head = answers_head

    def start(self, wait_for: WaitFor) -> None:
        """See `Server`."""
        from offload.runner.web.lifespan import Lifespan  # noqa: PLC0415 - beside asyncio

        app = _result_of(self._make_app, wait_for)
        if not callable(app):
            raise _no_app(app, "asgi_app", "an ASGI app")
        self._app = app
        self._lifespan = Lifespan(self._app)
        wait_for(self._lifespan.start())

    async def __call__(self, *args: object, **_: object) -> Prepared:
        """See `Server`."""
        from offload.runner.web.asgi import answer  # noqa: PLC0415 - beside asyncio

        head = request_of(args)
        shown = head.method if self._answers_head or head.method != "HEAD" else "GET"
        return await answer(self._app, head, self._lifespan.state, method=shown)

    def stop(self, wait_for: WaitFor) -> None:
        """See `Server`."""
        wait_for(self._lifespan.stop())


class WsgiServer:
    """A WSGI app that the user's function returns."""

    wants_loop = False

    def __init__(self, make_app: UserFunction) -> None:
        from offload.runner.web.wsgi import answer  # noqa: PLC0415 - few endpoints are of this kind

        self._make_app = make_app
        self._answer = answer

    def start(self, wait_for: WaitFor) -> None:
        """See `Server`."""
        app = _result_of(self._make_app, wait_for)
        if not callable(app):
            raise _no_app(app, "wsgi_app", "a WSGI app")
        self._app = app

    def __call__(self, *args: object, **_: object) -> Prepared:
        """See `Server`."""
        return self._answer(self._app, request_of(args))

    def stop(self, wait_for: WaitFor) -> None:
        """See `Server`."""


class FunctionServer:
    """A function that is called for each request."""

    def __init__(self, function: UserFunction, endpoint: Endpoint) -> None:
        from offload.runner.web import functions  # noqa: PLC0415 - few endpoints are of this kind
        from offload.runner.web.routes import Route  # noqa: PLC0415 - as above

        self.wants_loop = is_async(function)
        self._route = Route(function, endpoint)
        self._answer = functions.answer_async if self.wants_loop else functions.answer

    def start(self, wait_for: WaitFor) -> None:
        """See `Server`."""

    def __call__(self, *args: object, **_: object) -> object:
        """See `Server`."""
        return self._answer(self._route, request_of(args))

    def stop(self, wait_for: WaitFor) -> None:
        """See `Server`."""


class ProgramServer:
    """A program that listens at a port in this container, which the user's function has started."""

    wants_loop = True

    def __init__(self, start: UserFunction, endpoint: Endpoint) -> None:
        from offload.runner.web import proxy  # noqa: PLC0415 - few endpoints are of this kind

        self._start = start
        self._port = endpoint.port
        self._startup_timeout = endpoint.startup_timeout
        self._proxy = proxy

    def start(self, wait_for: WaitFor) -> None:
        """See `Server`."""
        _result_of(self._start, wait_for)
        wait_for(self._proxy.wait_until_open(self._port, self._startup_timeout))

    async def __call__(self, *args: object, **_: object) -> Prepared:
        """See `Server`."""
        return await self._proxy.answer(self._port, request_of(args))

    def stop(self, wait_for: WaitFor) -> None:
        """See `Server`; the program ends with its container."""
