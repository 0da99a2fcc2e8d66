"""A WSGI app, driven by requests that are inputs. See PEP 3333."""

from __future__ import annotations

import io
import sys

from offload.runner.web.blocking import BodyFile, Cycle
from offload.wire.guest import web
from offload.wire.limits import INLINE_PAYLOAD_BYTES

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from offload.runner.bodies import Prepared

    App = Callable[[dict[str, object], Callable[..., object]], Iterable[bytes]]  # type: ignore[explicit-any]  # `start_response`


def answer(app: App, head: web.RequestHead) -> Prepared:
    """Have the app answer a request; return the input's result. What the app raises passes through."""
    if head.is_websocket:
        raise TypeError("a WSGI app cannot answer a WebSocket: use @offload.asgi_app()")
    with Cycle(head) as cycle:
        response = _Response(cycle)
        body = app(environ_of(cycle), response.start)
        try:
            for piece in body:
                if piece:
                    response.write(piece)
            response.begin()
        finally:
            close = getattr(body, "close", None)
            if close is not None:
                close()
        return cycle.finish()


def environ_of(cycle: Cycle) -> dict[str, object]:
    """Return what an app is told of a request."""
    head = cycle.head
    environ: dict[str, object] = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": _native(head.root_path),
        "PATH_INFO": _native(head.path),
        "QUERY_STRING": head.query.decode("latin-1"),
        "REQUEST_URI": (head.raw_path + (b"?" + head.query if head.query else b"")).decode(
            "latin-1"
        ),
        "SERVER_NAME": head.server[0],
        "SERVER_PORT": str(head.server[1]),
        "SERVER_PROTOCOL": "HTTP/" + head.http_version,
        "REMOTE_ADDR": head.client[0],
        "REMOTE_PORT": str(head.client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": head.scheme,
        "wsgi.input": io.BufferedReader(BodyFile(cycle)),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in head.headers:
        key = name.decode("latin-1").upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = "HTTP_" + key
        text = value.decode("latin-1")
        separator = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = f"{environ[key]}{separator}{text}" if key in environ else text
    return environ


def _native(text: str) -> str:
    # As the PEP has it: the bytes of the path, each as one character.
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


class _Response:
    """What an app says of its response. It begins with the first piece of its body, and may be another one until then."""

    def __init__(self, cycle: Cycle) -> None:
        self._cycle = cycle
        self._head: web.ResponseHead | None = None
        self._has_begun = False
        self._is_gathered = False

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], None]:
        """See `start_response` in the PEP."""
        if exc_info is not None and self._has_begun:
            _, error, trace = exc_info  # type: ignore[misc]  # as `sys.exc_info` gives it
            raise error.with_traceback(trace)  # type: ignore[has-type]  # as above
        if self._head is not None and exc_info is None:
            raise RuntimeError("start_response() was called twice")
        encoded = tuple(
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers
        )
        self._head = web.ResponseHead(int(status.split(" ", 1)[0]), encoded)
        # Its size says that it is at hand, or soon will be; another may be a stream, of which each piece is to be seen at once.
        size = dict(encoded).get(b"content-length", b"")
        self._is_gathered = size.isdigit() and int(size) <= INLINE_PAYLOAD_BYTES
        return self.write

    def begin(self) -> None:
        """Say how the response begins, where that is not done."""
        if self._head is None:
            raise RuntimeError("the app has not called start_response()")
        if not self._has_begun:
            self._has_begun = True
            self._cycle.begin(self._head)

    def write(self, piece: bytes) -> None:
        """Add to the body."""
        self.begin()
        self._cycle.write(piece, at_once=not self._is_gathered)
