"""From a function with the mark of a web endpoint to what answers its requests."""

from __future__ import annotations

from offload.sdk.web_marks import ASGI, Endpoint
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
    if endpoint.kind == ASGI:
        return AsgiServer(function)
    raise TypeError(f"this runner knows no web endpoint of kind {endpoint.kind!r}")


def request_of(args: tuple[object, ...]) -> web.RequestHead:
    """Return what an input of a web endpoint is for. Raises `TypeError`."""
    head = args[0] if args else None
    if not isinstance(head, web.RequestHead):
        raise TypeError("it is a web endpoint: ask its URL, or call it with .local()")
    return head


class AsgiServer:
    """An ASGI app that the user's function returns."""

    wants_loop = True

    def __init__(self, make_app: UserFunction) -> None:
        self._make_app = make_app

    def start(self, wait_for: WaitFor) -> None:
        """See `Server`."""
        from offload.runner.web.lifespan import Lifespan  # noqa: PLC0415 - beside asyncio

        app = self._make_app()
        if hasattr(app, "__await__"):
            app = wait_for(app)
        if not callable(app):
            raise TypeError(
                f"a function with @offload.asgi_app() returns an ASGI app, not {type(app).__name__}"
            )
        self._lifespan = Lifespan(app)
        self._app = app
        wait_for(self._lifespan.start())

    async def __call__(self, *args: object, **_: object) -> Prepared:
        """See `Server`."""
        from offload.runner.web.asgi import answer  # noqa: PLC0415 - beside asyncio

        return await answer(self._app, request_of(args), self._lifespan.state)

    def stop(self, wait_for: WaitFor) -> None:
        """See `Server`."""
        wait_for(self._lifespan.stop())
