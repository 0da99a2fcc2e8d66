"""Puts the ingress together."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from offload.control.frontends.link.server import is_token, own_answer
from offload.control.frontends.web.admission import Admission
from offload.control.frontends.web.connection import HttpConnection
from offload.control.frontends.web.ingress import HOLD_SECONDS, PING_SECONDS, Ingress
from offload.control.frontends.web.routes import Routes
from offload.control.frontends.web.visit import Visit
from offload.control.frontends.web.websocket import SocketVisit

if TYPE_CHECKING:
    import asyncio

    from offload.control.frontends.web.connection import Request
    from offload.control.frontends.web.responses import Response
    from offload.control.services.assembly import Services


class WebServer:
    """Speaks with every client that the server's HTTP port hands to it."""

    def __init__(self, ingress: Ingress) -> None:
        self._ingress = ingress
        self._connections: set[HttpConnection] = set()

    def protocol(self) -> asyncio.Protocol:
        """Return what speaks with one more client."""
        return HttpConnection(self._visit, self._connections)

    def _visit(self, connection: HttpConnection, request: Request, response: Response) -> Visit:
        kind = SocketVisit if request.head.is_websocket else Visit
        return kind(self._ingress, connection, request, response)

    def close(self) -> None:
        """End every connection. Idempotent."""
        for connection in tuple(self._connections):
            connection.close()


def web_server(
    services: Services,
    token: str,
    domain: str,
    auth: str,
    hold_seconds: float = HOLD_SECONDS,
    ping_seconds: float = PING_SECONDS,
) -> WebServer:
    """Return the ingress of a server: hosts of endpoints are below "localhost" and `domain`, if it is not empty.

    `auth` is for endpoints that say nothing about who may ask them.
    """
    apps = services.apps
    return WebServer(
        Ingress(
            routes=Routes(apps.serving, lambda: apps.changes, domain),
            admission=Admission(partial(is_token, token), services.web_keys.check, auth),
            calls=services.calls,
            classes=services.classes,
            exchanges=services.exchanges,
            dispatcher=services.kernel.dispatcher,
            answer=partial(own_answer, services),
            hold_seconds=hold_seconds,
            ping_seconds=ping_seconds,
        )
    )
