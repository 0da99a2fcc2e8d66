"""What decorators of web endpoints leave on functions: a plain value under a name of our own, which travels with the function.

Valid on CPython 3.9, because the runner reads it in containers.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from offload.wire.records import NamedTuple

WEB_MARK = "__offload_web__"

ASGI, WSGI, SERVER, FASTAPI, FUNCTION = "asgi", "wsgi", "server", "fastapi", "function"

# Those whose requests are answered on an event loop, whatever the user's function is.
ON_LOOP = (ASGI, SERVER, FASTAPI)


class CrossOrigin(NamedTuple):
    """Which pages of other sites may call an endpoint from a browser; pickles name this, so never renamed."""

    origins: tuple[str, ...]
    methods: tuple[str, ...] = ()  # none: those of the endpoint
    headers: tuple[str, ...] = ()  # that a page may send; none: those it asks for
    with_credentials: bool = False
    max_age: float = 600.0  # seconds for which a browser need not ask again


class Endpoint(NamedTuple):
    """How a function answers web requests; pickles name this, so never renamed."""

    kind: str
    methods: tuple[str, ...] = ()  # none: any
    path: str = ""
    label: str = ""  # empty: made of the app's name and the function's
    auth: str = ""  # empty: as the server has it
    cors: CrossOrigin | None = None
    port: int = 0
    startup_timeout: float = 0.0  # seconds
    docs: bool = False
    max_waiting: int = 0  # 0: as the server has it


def endpoint_of(function: object) -> Endpoint | None:
    """Return how a function answers web requests; None where it does not."""
    marks = getattr(getattr(function, "__func__", function), "__dict__", {})
    found: Endpoint | None = marks.get(WEB_MARK)
    return found
