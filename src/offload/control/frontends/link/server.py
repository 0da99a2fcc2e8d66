"""Listens for links and answers `GET /live`, `/ready` and `/metrics`."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from offload.control.telemetry import CONTENT_TYPE
from offload.wire.link import HttpAnswer, LinkServer, ServeOptions, serve

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from offload.control.services.assembly import Services
    from offload.wire.rpc import Handler

_TEXT = "text/plain; charset=utf-8"


async def listen(
    services: Services,
    handlers: Mapping[str, Handler],
    address: tuple[str, int],
    token: str,
    tls: ssl.SSLContext | None,
) -> LinkServer:
    """Serve on (host, port). Raises OSError where the port cannot be had."""
    host, port = address
    return await serve(
        handlers,
        ServeOptions(
            host=host,
            port=port,
            check_token=lambda given: hmac.compare_digest(given.encode(), token.encode()),
            answer_http=lambda path: _answer(services, path),
            tls=tls,
        ),
    )


def _answer(services: Services, path: str) -> HttpAnswer | None:
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
