"""One client's connection: requests in, one after the other, and their responses out, as HTTP/1.1 has it.

The parser refuses what could be read in two ways (both lengths, two lengths, folded lines, bare line feeds); `heads.check`
refuses the rest. A request that cannot be trusted ends the connection: what follows it could be anything.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import httptools

from offload.control.frontends.web.heads import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    BadRequestError,
    Head,
    check,
    problem,
)
from offload.control.frontends.web.incoming import IncomingBody
from offload.control.frontends.web.responses import Response
from offload.wire.link.flow import Gate

if TYPE_CHECKING:
    from collections.abc import Callable

    from offload.control.frontends.web.heads import Target

HEAD_SECONDS = 20.0  # for the head of a request, from its first byte
IDLE_SECONDS = 75.0  # between requests
DRAIN_SECONDS = 2.0  # for what a client still sends that nobody wants, while it reads its answer
# Requests that a client may send before it has answers to those before them.
MAX_PIPELINED = 16


class Visitor(Protocol):
    """Answers one request."""

    def begin(self) -> None:
        """Start."""

    def leave(self) -> None:
        """Take note that the client has gone."""


class Switched(Protocol):
    """Takes the bytes of a connection that is HTTP no more."""

    def take(self, data: bytes) -> None:
        """Take what came."""


@dataclass(slots=True)
class Request:
    """One request as it comes in."""

    head: Head
    target: Target
    body: IncomingBody
    keeps_alive: bool


class HttpConnection(asyncio.Protocol):
    """Parses requests, has them answered in order, and writes the responses."""

    def __init__(
        self,
        visit: Callable[[HttpConnection, Request, Response], Visitor],
        connections: set[HttpConnection],
    ) -> None:
        self._visit = visit
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[Request | BadRequestError] = deque()
        self._reading: Request | None = None  # whose body is coming in
        self._current: tuple[Visitor, Request] | None = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._silent_bytes = 0  # that came to nothing yet
        self._is_in_head = False
        self._is_ending = False  # nothing more is read
        self._pauses = 0
        self._timer: asyncio.TimerHandle | None = None
        self._switched: Switched | None = None
        self._is_switching = False  # it has asked for another protocol, and has no answer yet
        self._rest = b""  # what has come since
        self._is_rest_held = False
        self.gate = Gate()
        self.is_tls = False
        self.client: tuple[str, int] = ("", 0)
        self.server: tuple[str, int] = ("", 0)

    # --- the transport ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_tls = transport.get_extra_info("sslcontext") is not None
        self.client = _address(transport.get_extra_info("peername"))
        self.server = _address(transport.get_extra_info("sockname"))
        self._connections.add(self)
        self._expect(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """See `asyncio.Protocol`."""
        self._connections.discard(self)
        self._transport = None
        self._is_ending = True
        self._expect(0.0)
        self._waiting.clear()
        self.gate.open()
        current, self._current = self._current, None
        if current is not None:
            current[0].leave()
            current[1].body.fail("its client went away")

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._switched is not None:
            self._switched.take(data)
            return
        if self._is_switching:
            self._rest += data
            self._hold_rest()
        if self._is_ending:
            return
        self._silent_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._rest = data[upgrade.args[0] :]
            self._is_ending = True  # of HTTP
            self._is_switching = True
            self._hold_rest()
        except httptools.HttpParserError as error:
            if not self._is_ending:
                self._refuse(BadRequestError(400, f"The request is malformed: {error}."))
        if self._silent_bytes > MAX_HEAD_BYTES and not self._is_ending:
            self._refuse(BadRequestError(431, f"A head has at most {MAX_HEAD_BYTES >> 10} KiB."))
        self._next()

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`."""
        return (
            False  # as good as gone: few clients close one half, and a crashed one looks the same
        )

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self.gate.close()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self.gate.open()
        self._next()

    # --- the parser ---

    def on_message_begin(self) -> None:
        """See `httptools`."""
        self._url = b""
        self._headers = []
        self._is_in_head = True
        if self._current is None and not self._waiting:
            self._expect(HEAD_SECONDS)

    def on_url(self, url: bytes) -> None:
        """See `httptools`."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """See `httptools`. What comes after a body is not passed on."""
        if self._is_in_head:
            self._headers.append((name.lower(), value))
            if len(self._headers) > MAX_HEADERS and not self._is_ending:
                self._refuse(BadRequestError(431, f"A head has at most {MAX_HEADERS} headers."))

    def on_headers_complete(self) -> None:
        """See `httptools`."""
        self._is_in_head = False
        size = len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)
        self._silent_bytes = 0
        if self._is_ending:
            return
        self._expect(0.0)
        method = self._parser.get_method().decode("latin-1")
        head = Head(method, self._url, self._parser.get_http_version(), self._headers)
        try:
            if size > MAX_HEAD_BYTES:
                raise BadRequestError(431, f"A head has at most {MAX_HEAD_BYTES >> 10} KiB.")
            target = check(head)
        except BadRequestError as error:
            self._refuse(error)
            return
        keeps_alive = self._parser.should_keep_alive() and b"upgrade" not in head.options
        body = IncomingBody(self.pause, self.resume)
        self._reading = Request(head, target, body, keeps_alive)
        self._waiting.append(self._reading)
        if len(self._waiting) == MAX_PIPELINED:
            self.pause()

    def on_body(self, data: bytes) -> None:
        """See `httptools`."""
        self._silent_bytes = 0
        if self._reading is not None:
            self._reading.body.add(data)

    def on_message_complete(self) -> None:
        """See `httptools`."""
        self._silent_bytes = 0
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.body.complete()

    # --- for whoever answers ---

    def write(self, data: bytes) -> None:
        """Send bytes, if the client is there."""
        if self._transport is not None:
            self._transport.write(data)

    def finished(self, *, keeps_alive: bool) -> None:
        """Go on with the next request, or end the connection."""
        current, self._current = self._current, None
        if current is None or self._transport is None:
            return
        body = current[1].body
        if keeps_alive and body.is_complete and not (self._is_ending and not self._waiting):
            self._expect(IDLE_SECONDS)
            self._loop.call_soon(
                self._next
            )  # not deeper into the stack with each one that is there
            return
        self._waiting.clear()
        if body.is_complete:
            self._close()
        else:
            body.drop()
            self._linger()

    def abort(self) -> None:
        """End the connection so that the client sees that the response is not whole; its visitor leaves."""
        if self._transport is not None:
            self._transport.abort()

    def switch(self, switched: Switched) -> bytes:
        """Give all that comes from now on to something else; return what has come already."""
        self._switched = switched
        self._is_switching = False
        if self._is_rest_held:
            self._is_rest_held = False
            self.resume()
        rest, self._rest = self._rest, b""
        return rest

    def _hold_rest(self) -> None:
        # A client may talk before it has an answer, but not for ever.
        if len(self._rest) > MAX_HEAD_BYTES and not self._is_rest_held:
            self._is_rest_held = True
            self.pause()

    def close(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.close()

    # --- the order of things ---

    def _next(self) -> None:
        if self._current is not None or not self._waiting or not self.gate.is_open:
            return
        if self._transport is None:
            return
        if len(self._waiting) == MAX_PIPELINED:
            self.resume()
        request = self._waiting.popleft()
        if isinstance(request, BadRequestError):
            self._answer_refusal(request)
            return
        response = Response(self, request.head.method, request.head.version, request.keeps_alive)
        response.body = request.body
        visitor = self._visit(self, request, response)
        self._current = visitor, request
        visitor.begin()

    def _refuse(self, error: BadRequestError) -> None:
        """Answer with this after all that came before, and end the connection."""
        self._is_ending = True
        reading, self._reading = self._reading, None
        if reading is None:
            self._waiting.append(error)
        else:
            reading.body.fail(error.message)

    def _answer_refusal(self, error: BadRequestError) -> None:
        self._expect(0.0)
        headers, body = problem(error)
        Response(self, "GET", "1.1", keeps_alive=False).whole(error.status, headers, body)
        self._linger()

    def _linger(self) -> None:
        # To close with bytes unread would reset the connection, and the client might lose the answer on its way.
        self._is_ending = True
        self._waiting.clear()
        if self._transport is None or not self._transport.can_write_eof():
            self._close()
            return
        self._transport.write_eof()
        self._expect(DRAIN_SECONDS)

    def _close(self) -> None:
        self._is_ending = True
        self._waiting.clear()
        if self._transport is not None:
            self._transport.close()

    def pause(self) -> None:
        """Read no more until as many `resume` have followed."""
        self._pauses += 1
        if self._pauses == 1 and self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Undo one `pause`."""
        self._pauses -= 1
        if self._pauses == 0 and self._transport is not None:
            self._transport.resume_reading()

    def _expect(self, seconds: float) -> None:
        """End the connection unless this is called again within so many seconds; 0: never mind."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds:
            self._timer = self._loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        if self._is_in_head and not self._is_ending:
            text = f"The head of the request did not come within {HEAD_SECONDS:g} s."
            self._answer_refusal(BadRequestError(408, text))
        else:
            self._close()


def _address(name: object) -> tuple[str, int]:
    if isinstance(name, tuple) and len(name) >= 2:
        return str(name[0]), int(name[1])
    return "", 0
