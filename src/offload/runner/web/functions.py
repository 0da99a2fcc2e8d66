"""Functions with a path: from a request to a call, and from its result to a response."""

from __future__ import annotations

from offload.runner.web.blocking import Cycle
from offload.runner.web.routes import RefusedError, Route, head_of, response_of

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from offload.runner.bodies import Prepared
    from offload.runner.web.asgi import Message
    from offload.sdk.web_values import WebResponse
    from offload.wire.guest.web import RequestHead


def answer(route: Route, head: RequestHead) -> Prepared:
    """Call a function that is not async; return the input's result. What it raises passes through, and is shown."""
    with Cycle(head) as cycle:
        try:
            params = route.accept(head)
            result = route.function(**route.arguments(head, params, cycle.read()))
            response, data = response_of(result, route.name)
        except RefusedError as refused:
            response, data = response_of(refused.response, route.name)
        cycle.begin(head_of(response, None if data is None else len(data)))
        if data is not None:
            cycle.write(data, at_once=False)
        else:
            for piece in response.body:  # type: ignore[union-attr]  # it can be iterated over
                cycle.write(_as_bytes(piece), at_once=True)
        return cycle.finish()


async def answer_async(route: Route, head: RequestHead) -> Prepared:
    """Await an async function; return the input's result. What it raises passes through, and is shown."""
    from offload.runner.web import asgi  # noqa: PLC0415 - slow to import, and most functions are not async

    async def app(
        _: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        try:
            params = route.accept(head)
            body = await _read(receive)
            result = await route.function(**route.arguments(head, params, body))  # type: ignore[misc]  # it is async
            response, data = response_of(result, route.name)
        except RefusedError as refused:
            response, data = response_of(refused.response, route.name)
        start = head_of(response, None if data is None else len(data))
        await send(
            {
                "type": "http.response.start",
                "status": start.status,
                "headers": start.headers,
            }
        )
        if data is None:
            async for piece in _pieces(response):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": data or b""})

    return await asgi.answer(app, head, {})


async def _read(receive: Callable[[], Awaitable[Message]]) -> bytes:
    pieces: list[bytes] = []
    more = True
    while more:
        event = await receive()
        if event["type"] != "http.request":
            raise ConnectionResetError("the client has gone before the end of its request")
        pieces.append(event["body"])  # type: ignore[arg-type]  # by the specification
        more = bool(event["more_body"])
    return b"".join(pieces)


async def _pieces(response: WebResponse) -> AsyncIterator[bytes]:
    body: object = response.body
    if hasattr(body, "__aiter__"):
        async for piece in body:
            yield _as_bytes(piece)
    else:
        for piece in body:  # type: ignore[attr-defined]  # it can be iterated over
            yield _as_bytes(piece)


def _as_bytes(piece: object) -> bytes:
    if isinstance(piece, str):
        return piece.encode()
    if isinstance(piece, (bytes, bytearray, memoryview)):
        return bytes(piece)
    raise TypeError(
        f"the body of a WebResponse has a {type(piece).__name__}: yield bytes, or texts"
    )
