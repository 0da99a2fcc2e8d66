"""One response on its way to the client: framed as its request wants it, and never longer or shorter than it says."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Protocol

from offload.control.frontends.web.heads import connection_options, encode, has_body, passed_on

if TYPE_CHECKING:
    from offload.control.frontends.web.incoming import IncomingBody
    from offload.wire.guest.web import Headers


class Connection(Protocol):
    """What a response is written to."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def finished(self, *, keeps_alive: bool) -> None:
        """Take note that the response is whole."""

    def abort(self) -> None:
        """End it: the response will never be whole."""


class Response:
    """`whole`, or `begin`, `write` and `end`. What cannot be right any more ends the connection."""

    def __init__(
        self, connection: Connection, method: str, version: str, keeps_alive: bool
    ) -> None:
        self._connection = connection
        self._method = method
        self._version = version
        self._keeps_alive = keeps_alive
        self._left: int | None = None  # of a body whose length was said
        self._is_chunked = False
        self._has_body = True
        self.has_begun = False
        self.is_over = False
        self.extra: Headers = ()  # that every response to this request has
        self.body: IncomingBody | None = (
            None  # of the request; what is left of it goes with the connection
        )

    def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Send it all."""
        self._has_body = has_body(self._method, status)
        kept = [pair for pair in _own(headers) if pair[0] != b"content-length"]
        if self._has_body or (self._method == "HEAD" and body):
            kept.append((b"content-length", b"%d" % len(body)))
        elif self._method == "HEAD":
            kept += [pair for pair in headers if pair[0] == b"content-length"][:1]
        head = self._head(status, kept)
        self._connection.write(head + body if self._has_body else head)
        self._finish()

    def begin(self, status: int, headers: Headers) -> None:
        """Send the head of one whose body follows."""
        self._has_body = has_body(self._method, status)
        kept = list(_own(headers))
        lengths = {value for name, value in kept if name == b"content-length"}
        if len(lengths) > 1 or not all(value.isdigit() for value in lengths):
            self.abort()
            return
        if lengths:
            self._left = int(lengths.pop())
        elif self._has_body and self._version == "1.1":
            self._is_chunked = True
            kept.append((b"transfer-encoding", b"chunked"))
        elif self._has_body:
            self._keeps_alive = False  # the end of the connection is the end of the body
        self._connection.write(self._head(status, kept))

    def write(self, data: bytes) -> None:
        """Send a piece of the body."""
        if not data or not self._has_body or self.is_over:
            return
        if self._left is not None:
            if len(data) > self._left:
                self.abort()
                return
            self._left -= len(data)
        self._connection.write(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)

    def end(self) -> None:
        """Say that the body is whole."""
        if self.is_over:
            return
        if self._left and self._has_body:
            self.abort()
            return
        if self._is_chunked:
            self._connection.write(b"0\r\n\r\n")
        self._finish()

    def abort(self) -> None:
        """End the connection, so that nobody takes what was sent for the whole. Idempotent."""
        if not self.is_over:
            self.is_over = True
            self._connection.abort()

    def _head(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        self.has_begun = True
        if self.body is not None and not self.body.is_complete:
            self._keeps_alive = False
        headers += self.extra
        if not any(name == b"date" for name, _ in headers):
            headers.append((b"date", _date()))
        if not self._keeps_alive:
            headers.append((b"connection", b"close"))
        elif self._version == "1.0":
            headers.append((b"connection", b"keep-alive"))
        return encode(status, headers)

    def _finish(self) -> None:
        self.is_over = True
        self._connection.finished(keeps_alive=self._keeps_alive)


def _own(headers: Headers) -> Headers:
    return passed_on(headers, connection_options(headers))


_last_date: tuple[int, bytes] = (0, b"")


def _date() -> bytes:
    global _last_date  # noqa: PLW0603  # one text a second for all connections
    now = int(time.time())  # noqa: TID251  # of the response, for people and caches
    if _last_date[0] != now:
        _last_date = now, formatdate(now, usegmt=True).encode()
    return _last_date[1]
