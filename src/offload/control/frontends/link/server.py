"""Listens for links, gives every other client to the ingress, and has what `GET /live`, `/ready` and `/metrics` answer."""

from __future__ import annotations

import hmac
from functools import partial
from typing import TYPE_CHECKING

from offload.control.telemetry import CONTENT_TYPE
from offload.wire.link import HttpAnswer, LinkServer, ServeOptions, serve

if TYPE_CHECKING:
    import asyncio
    import ssl
    from collections.abc import Callable, Mapping

    from offload.control.services.assembly import Services
    from offload.wire.rpc import Handler

_TEXT = "text/plain; charset=utf-8"


async def listen(
    services: Services,
    handlers: Mapping[str, Handler],
    address: tuple[str, int],
    token: str,
    tls: ssl.SSLContext | None,
    ingress: Callable[[], asyncio.BaseProtocol],
) -> LinkServer:
    """Serve on (host, port); `ingress` speaks with whoever wants no link. Raises OSError where the port cannot be had."""
    host, port = address
    return await serve(
        handlers,
        ServeOptions(
            host=host,
            port=port,
            check_token=partial(is_token, token),
            answer_http=partial(own_answer, services),
            other=ingress,
            tls=tls,
        ),
    )


def is_token(token: str, given: str) -> bool:
    """Whether this is the server's token."""
    return hmac.compare_digest(given.encode(), token.encode())


def own_answer(services: Services, path: str) -> HttpAnswer | None:
    """Return what the server itself has at this path."""
    if path == "/live":
        return HttpAnswer(200, _TEXT, b"live\n")
    if path == "/ready":
        reason = services.cluster.why_not_ready()
        if reason:
            return HttpAnswer(503, _TEXT, f"{reason}\n".encode())
        return HttpAnswer(200, _TEXT, b"ready\n")
    if path == "/metrics":
        return HttpAnswer(200, CONTENT_TYPE, services.telemetry.metrics())
    return None
