"""The values of secrets, asked of the server for a container that is being started. See `offload.worker.ports.SecretSource`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from offload.wire.gen import secrets_pb2
from offload.wire.status import LinkClosedError, WireError
from offload.worker.ports import FunctionRefusedError

if TYPE_CHECKING:
    from offload.wire.link import Link


class Welcomed(Protocol):
    """Whoever has the link."""

    async def welcoming_link(self) -> Link:
        """Return the open link once the server knows over it who this is: it tells others nothing."""


class SecretLink:
    """See `SecretSource`. Asked over the link of the session: by it the server knows who asks."""

    def __init__(self, connection: Welcomed) -> None:
        self._connection = connection

    async def reveal(self, container_id: str, function_id: str) -> dict[str, str]:
        """See `SecretSource`."""
        asked = secrets_pb2.RevealSecretsRequest(container_id=container_id, function_id=function_id)
        while True:
            link = await self._connection.welcoming_link()
            try:
                reply = await link.unary(
                    "offload.v1.Secrets/Reveal", asked, secrets_pb2.RevealSecretsReply
                )
            except LinkClosedError:
                continue
            except WireError as error:
                raise FunctionRefusedError(
                    f"its secrets could not be had: {error.message}"
                ) from error
            return dict(reply.values)
