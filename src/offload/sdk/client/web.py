"""Requests about web endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from offload.sdk.client.requests import Requests
from offload.sdk.values import WebAddress
from offload.wire.gen import web_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence


class WebRequests(Requests):
    """Made over the connection of a `Client`."""

    async def addresses(self, function_ids: Sequence[str]) -> list[WebAddress]:
        """Return where the endpoints of these functions are, on the server as this client reaches it."""
        request = web_pb2.AddressesRequest(function_ids=function_ids)
        reply = await self._unary("Web/Addresses", request, web_pb2.AddressesReply)
        server = urlsplit(self._connection.url)
        base = f"{'https' if server.scheme == 'wss' else 'http'}://{server.netloc}"
        return [
            WebAddress(each.function_id, each.target, base + each.path) for each in reply.addresses
        ]
