"""How requests are made so that a break of the link is a pause and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import Message

from offload.sdk.client.refusals import from_wire
from offload.wire.status import LinkClosedError, WireError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from offload.sdk.client.connection import Connection
    from offload.wire.link import Link


M = TypeVar("M", bound=Message)


class Requests:
    """Makes requests over a connection, by their names below `offload.v1`. Each coroutine runs on the connection's loop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def _unary(self, method: str, request: Message, reply: type[M]) -> M:
        return await self._connection.repeat(
            lambda link: link.unary("offload.v1." + method, request, reply)
        )

    async def _once(self, method: str, request: Message, reply: type[M]) -> M:
        """Make a request that must not be done twice: the server is told when it may have seen it before."""

        async def attempt(link: Link) -> M:
            try:
                return await link.unary("offload.v1." + method, request, reply)
            except LinkClosedError:
                request.is_repeat = True  # type: ignore[attr-defined]  # whoever is to be told has it
                raise

        return await self._connection.repeat(attempt)

    async def _replies(
        self, method: str, request: Message, reply: type[M]
    ) -> AsyncGenerator[M, None]:
        """Yield what a stream says. Its consumer moves `request` on with what it has seen: a reopened stream continues there."""
        while True:
            link = await self._connection.link()
            stream = link.stream("offload.v1." + method, reply)
            try:
                await stream.send(request)
                await stream.end()
                while (message := await stream.receive()) is not None:
                    yield message
            except LinkClosedError:
                await link.close()
            except WireError as error:
                raise from_wire(error) from None
            else:
                return
            finally:
                stream.cancel()
