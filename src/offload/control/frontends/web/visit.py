"""One request from its head to the end of its response.

A small request is the arguments of an input, and a small response its result: neither has a task, and each step happens in the
callback that made it possible. Whatever does not fit goes through an exchange, which the container opens.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.ids import input_id as make_input_id
from offload.control.core.inputs import InputState
from offload.control.core.model import FailureKind
from offload.control.frontends.web.admission import cors_headers, preflight
from offload.control.frontends.web.heads import BadRequestError, passed_on, problem
from offload.control.services.submission import NewInput
from offload.wire.gen import common_pb2
from offload.wire.guest import web
from offload.wire.limits import INLINE_PAYLOAD_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offload.control.frontends.web.connection import HttpConnection, Request
    from offload.control.frontends.web.ingress import Ingress
    from offload.control.frontends.web.responses import Response
    from offload.control.frontends.web.routes import Endpoint, Route
    from offload.control.services.views import OutcomeRow

MAX_PARAMETERS = 1_000  # in a query that may set those of a class
PART_BYTES = 64 * 1024  # of a body, on its way to a container
BODY_SECONDS = 60.0  # for a small body, from its head to its end
# How much later than its result an exchange may be heard of, which comes another way. A guess, and far too long.
LATE_SECONDS = 10.0
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Visit:
    """See `connection.Visitor` and `exchanges.Party`."""

    def __init__(
        self, ingress: Ingress, connection: HttpConnection, request: Request, response: Response
    ) -> None:
        self._ingress = ingress
        self._connection = connection
        self._request = request
        self._response = response
        self._route: Route | None = None
        self._call_id: str | None = None
        self._input_id = ""
        self._pool_id = ""  # of a class, with the parameters that are asked for
        self._choosing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._more = asyncio.Event()
        self._is_gone = False
        self._is_over = False  # the input has its outcome
        self._has_ended = False  # the container has said everything
        self._is_answered = False  # by a head, or by the opening of a WebSocket

    # --- the connection ---

    def begin(self) -> None:
        """See `Visitor`."""
        try:
            self._admit()
        except BadRequestError as error:
            self._fail(error)

    def leave(self) -> None:
        """See `Visitor`."""
        self._is_gone = True
        self._stop_timer()
        self._more.set()
        if self._call_id is not None and not self._is_over:
            self._ingress.calls.cancel_transient(self._call_id, "its client went away")
        self._forget()

    def _admit(self) -> None:
        request, ingress = self._request, self._ingress
        head = request.head
        if not ingress.routes.is_named(request.target.host):
            answer = ingress.answer(request.target.path)
            if answer is not None:
                headers = ((b"content-type", answer.content_type.encode()),)
                self._response.whole(answer.status, headers, answer.body)
                return
        route = self._route = ingress.routes.find(request.target)
        endpoint = route.endpoint.web
        asked = preflight(endpoint, head)
        if asked is not None:
            self._response.whole(204, asked, b"")
            return
        self._response.extra = cors_headers(endpoint, head)
        ingress.admission.admit(endpoint, route.endpoint.function.workspace, head)
        if not endpoint.docs:  # which are pages of its app, beside its route
            _check_method(endpoint.methods, head.method)
        self._require_room()
        self._await_body()

    def _require_room(self) -> None:
        route = self._route
        assert route is not None  # noqa: S101  # it was found
        limit = route.endpoint.web.max_waiting or self._ingress.max_waiting
        waiting = self._ingress.waiting(self.function_id)
        if waiting >= limit:
            raise BadRequestError(
                429,
                f"{waiting} requests wait for {route.endpoint.name!r} already, and no more may: try again in a moment.",
                ((b"retry-after", b"1"),),
            )

    def _await_body(self) -> None:
        head, body = self._request.head, self._request.body
        if body.problem:
            raise BadRequestError(400, body.problem)
        length = head.first(b"content-length")
        is_small = bool(length) and int(length) <= INLINE_PAYLOAD_BYTES
        if head.first(b"expect") and not body.is_complete and not body.size_bytes:
            self._connection.write(_CONTINUE)
        if body.is_complete or not is_small:
            self._dispatch()
            return
        body.changed = self._small_body_changed
        self._start_timer(BODY_SECONDS, self._body_is_late)

    def _body_changed(self) -> None:
        self._more.set()
        body = self._request.body
        if body.problem and not self._is_gone and not self._response.is_over:
            self._fail(BadRequestError(400, body.problem))

    def _small_body_changed(self) -> None:
        self._body_changed()
        if self._request.body.is_complete:
            self._stop_timer()
            self._request.body.changed = lambda: None
            try:
                self._dispatch()
            except BadRequestError as error:
                self._fail(error)

    def _body_is_late(self) -> None:
        text = f"The body of the request did not come within {BODY_SECONDS:g} s."
        self._fail(BadRequestError(408, text))

    # --- the input ---

    @property
    def function_id(self) -> str:
        """See `Party`."""
        if self._pool_id:
            return self._pool_id
        return self._route.endpoint.function.function_id if self._route is not None else ""

    def _dispatch(self) -> None:
        # Its function may have been replaced while its body came in.
        route = self._route = self._ingress.routes.find(self._request.target)
        if route.endpoint.web.target:
            self._choosing = asyncio.create_task(self._choose_pool(route.endpoint))
        else:
            self._submit(route)

    async def _choose_pool(self, endpoint: Endpoint) -> None:
        """Have the containers of the class answer that have the parameters which the query names."""
        query = self._request.target.query.decode("latin-1")
        try:
            try:
                texts = dict(
                    parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
                )
            except ValueError as error:
                raise BadRequestError(400, "The query string has too many fields.") from error
            try:
                pool = await self._ingress.classes.pool_for_texts(
                    endpoint.function.function_id, texts
                )
            except DomainError as error:
                raise _refusal(error) from error
            self._pool_id = pool.function_id
            route, body = self._route, self._request.body
            if route is None or self._is_gone:
                return
            if body.problem:
                raise BadRequestError(400, body.problem)
            self._submit(route)
        except BadRequestError as error:
            self._fail(error)

    def _submit(self, route: Route) -> None:
        # Others may have come meanwhile, and which containers of a class are meant is known only now.
        self._require_room()
        body = self._request.body
        first = body.take(INLINE_PAYLOAD_BYTES)
        is_whole = body.is_complete and not body.size_bytes
        body.changed = self._body_changed
        payload = common_pb2.Payload(
            encoding=web.ENCODING, inline=web.encode_request(self._head(route, first, is_whole))
        ).SerializeToString()
        hold = max(self._ingress.hold_seconds, route.endpoint.function.startup_timeout_seconds)
        self._start_timer(hold, self._is_held_too_long)
        try:
            call_id = self._ingress.calls.run_transient(
                self.function_id, NewInput(0, payload), self._tell
            )
        except DomainError as error:
            raise _refusal(error) from error
        if call_id is None:
            raise BadRequestError(503, f"{route.endpoint.name!r} takes no requests now.")
        if not self._is_over:
            self._call_id = call_id
            self._input_id = make_input_id(call_id, 0)
            self._ingress.exchanges.add(self._input_id, self)

    def _head(self, route: Route, body: bytes, is_whole: bool) -> web.RequestHead:
        head, connection = self._request.head, self._connection
        headers = passed_on(head.headers, head.options)
        return web.RequestHead(
            method=head.method,
            scheme="https" if connection.is_tls else "http",
            http_version=head.version,
            path=route.path,
            raw_path=route.raw_path,
            query=self._request.target.query,
            root_path=route.root_path,
            headers=self._ingress.admission.passed_on(head, headers),
            client=connection.client,
            server=connection.server,
            body=body,
            is_whole=is_whole,
            target=route.endpoint.web.target,
        )

    def _is_held_too_long(self) -> None:
        self._timer = None
        if self._call_id is None or self._ingress.is_begun(self._input_id):
            return
        why = self._ingress.why_waits(self._call_id) or "its containers are all busy"
        call_id, self._call_id = self._call_id, None
        self._is_over = True
        self._ingress.calls.cancel_transient(call_id, "it was held too long")
        self._fail(
            BadRequestError(
                503, f"No container took the request in time: {why}.", ((b"retry-after", b"5"),)
            )
        )

    def _tell(self, row: OutcomeRow) -> None:
        was_over, self._is_over = self._is_over, True
        self._stop_timer()
        if was_over or self._is_gone or self._response.is_over:
            self._forget()
            return
        outcome = common_pb2.Outcome.FromString(row.body)
        if row.state is not InputState.SUCCEEDED:
            self._fail(_failure(row, outcome))
            return
        try:
            answer = web.decode_response(outcome.value.inline)
        except web.WebFormatError as error:
            self._fail(BadRequestError(502, f"The container's answer cannot be read: {error}."))
            return
        if answer is not None:
            head, body = answer
            self._response.whole(head.status, head.headers, body)
            self._forget()
        elif self._has_ended:
            self._settle()
        else:
            self._start_timer(LATE_SECONDS, self._settle)

    # --- the exchange ---

    async def take(self, part: bytes) -> None:
        """See `Party`."""
        if self._is_gone or self._response.is_over:
            return
        try:
            what = web.decode_part(part, web.FROM_CONTAINER)
        except web.WebFormatError as error:
            self._fail(BadRequestError(502, f"The container's answer cannot be read: {error}."))
            raise DomainError(ErrorCode.INVALID, f"{error}.") from error
        self._take(what)
        if not self._connection.gate.is_open:
            await self._connection.gate.wait()

    def _take(self, part: web.Part) -> None:
        response = self._response
        if isinstance(part, web.ResponseHead) and not response.has_begun:
            self._stop_timer()
            self._is_answered = True
            response.begin(part.status, part.headers)
        elif isinstance(part, web.Body) and response.has_begun:
            response.write(part.data)
            if part.last:
                response.end()
        else:
            self._fail(BadRequestError(502, "The container's answer is out of order."))

    async def parts(self) -> AsyncIterator[bytes]:
        """See `Party`."""
        body = self._request.body
        has_last = body.is_complete and not body.size_bytes
        while True:
            if self._is_gone or body.problem:
                yield web.encode_part(web.Disconnect())
                return
            if body.size_bytes or (body.is_complete and not has_last):
                data = body.take(PART_BYTES)
                has_last = body.is_complete and not body.size_bytes
                yield web.encode_part(web.Body(data, has_last))
            else:
                self._more.clear()
                await self._more.wait()

    def end(self, *, is_broken: bool) -> None:
        """See `Party`."""
        self._has_ended = True
        if self._is_over or is_broken:
            self._settle()

    def _settle(self) -> None:
        """Nothing more comes from the container: a response that is not whole by now never will be."""
        self._stop_timer()
        if not self._response.is_over and not self._is_gone:
            self._fail(BadRequestError(502, "The container ended its answer before it was whole."))
        self._forget()

    # --- endings ---

    def _fail(self, error: BadRequestError) -> None:
        """Say what is wrong, where that can still be said."""
        self._stop_timer()
        if self._response.has_begun:
            self._response.abort()
        else:
            headers, body = problem(error)
            self._response.whole(error.status, headers, body)
        if self._call_id is not None and not self._is_over:
            self._ingress.calls.cancel_transient(self._call_id, error.message)
        self._forget()

    def _forget(self) -> None:
        if self._input_id and self._is_over:
            self._ingress.exchanges.remove(self._input_id)

    def _start_timer(self, seconds: float, then: object) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, then)  # type: ignore[arg-type]

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _refusal(error: DomainError) -> BadRequestError:
    status = {ErrorCode.RESOURCE_EXHAUSTED: 503, ErrorCode.INVALID: 400}.get(error.code, 500)
    return BadRequestError(status, error.message)


def _check_method(methods: object, method: str) -> None:
    allowed = list(methods)  # type: ignore[call-overload]
    if "GET" in allowed:
        allowed.append("HEAD")
    if allowed and method not in allowed:
        text = f"{method} is not allowed here, only {', '.join(allowed)}."
        raise BadRequestError(405, text, ((b"allow", ", ".join(allowed).encode()),))


def _failure(row: OutcomeRow, outcome: common_pb2.Outcome) -> BadRequestError:
    """Return what the client is told. What the user's code raised is in its output, and nobody else's business."""
    if row.state is InputState.TIMED_OUT:
        return BadRequestError(504, "The request took longer than its function's timeout.")
    if row.state is InputState.CANCELLED:
        return BadRequestError(503, f"The request was cancelled: {row.reason}.")
    if row.failure is FailureKind.START:
        return BadRequestError(503, f"The container could not start: {row.reason}.")
    if row.failure is FailureKind.EXCEPTION:
        return BadRequestError(500, "The endpoint failed: its output says why.")
    return BadRequestError(502, f"The container failed: {row.reason or outcome.failure.reason}.")
