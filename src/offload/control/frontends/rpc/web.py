"""The service `Web`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from offload.control.frontends.rpc.errors import invalid
from offload.control.frontends.web.routes import path_of
from offload.wire.gen import web_pb2
from offload.wire.guest import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offload.control.core.web_keys import WebKey
    from offload.control.frontends.web.routes import Routes
    from offload.control.services.assembly import Services
    from offload.control.services.exchanges import Party
    from offload.wire.rpc import RequestContext

# Of what a container says it has room for. It could say anything, and what it gets waits here until its link takes it.
MAX_CREDIT = 64


class WebHandlers:
    """Translates for the services."""

    def __init__(self, services: Services, routes: Routes) -> None:
        self._exchanges = services.exchanges
        self._keys = services.web_keys
        self._routes = routes

    async def addresses(
        self, request: web_pb2.AddressesRequest, _context: RequestContext
    ) -> web_pb2.AddressesReply:
        """See `Web.Addresses`."""
        return web_pb2.AddressesReply(
            addresses=[
                web_pb2.Address(
                    function_id=function_id,
                    target=endpoint.web.target,
                    path=path_of(endpoint),
                    label=label,
                )
                for function_id in request.function_ids
                for endpoint, label in self._routes.of_function(function_id)
            ]
        )

    async def create_key(
        self, request: web_pb2.CreateKeyRequest, _context: RequestContext
    ) -> web_pb2.CreateKeyReply:
        """See `Web.CreateKey`."""
        key, secret = await self._keys.create(request.workspace, request.name)
        return web_pb2.CreateKeyReply(key=_key_message(key), secret=secret)

    async def list_keys(
        self, request: web_pb2.ListKeysRequest, _context: RequestContext
    ) -> web_pb2.ListKeysReply:
        """See `Web.ListKeys`."""
        return web_pb2.ListKeysReply(keys=map(_key_message, self._keys.list(request.workspace)))

    async def revoke_key(
        self, request: web_pb2.RevokeKeyRequest, _context: RequestContext
    ) -> web_pb2.RevokeKeyReply:
        """See `Web.RevokeKey`."""
        await self._keys.revoke(request.workspace, request.key_id)
        return web_pb2.RevokeKeyReply()

    async def exchange(
        self, requests: AsyncIterator[web_pb2.WebPart], _context: RequestContext
    ) -> AsyncIterator[web_pb2.WebPart]:
        """See `Web.Exchange`."""
        messages = aiter(requests)
        who = await anext(messages, None)
        if who is None or not who.container_id:
            raise invalid("The first message of an exchange says whose it is.")
        first = await anext(messages, None)
        opened = _opened(first)
        party = self._exchanges.require(opened.input_id, who.function_id, who.container_id)
        run = _Exchange(party, first.credit if first is not None else 0)
        reading = asyncio.create_task(run.read(messages))
        try:
            async for message in run.replies(reading):
                yield message
            await reading
        finally:
            reading.cancel()
            party.end(is_broken=not run.is_complete)


def _key_message(key: WebKey) -> web_pb2.WebKey:
    return web_pb2.WebKey(key_id=key.key_id, name=key.name, created_at=key.created_at)


def _opened(message: web_pb2.WebPart | None) -> web.Open:
    try:
        part = web.decode_part(message.part if message is not None else b"", (web.Open,))
    except web.WebFormatError as error:
        raise invalid(f"An exchange begins with an Open: {error}.") from error
    assert isinstance(part, web.Open)  # noqa: S101  # the only kind that was allowed
    return part


class _Exchange:
    """Both directions of one exchange: parts go out as the container grants credit, and credit as its own parts are taken."""

    def __init__(self, party: Party, credit: int) -> None:
        self._party = party
        self._credit = min(credit, MAX_CREDIT)  # parts that the container has room for
        self._taken = 1  # parts of it that it does not know to be taken: the first one
        self._ready: list[bytes] = []
        self._granted = asyncio.Event()
        self._changed = asyncio.Event()
        self.is_complete = False

    async def read(self, messages: AsyncIterator[web_pb2.WebPart]) -> None:
        """Take what comes from the container until it says that this is all."""
        try:
            async for message in messages:
                if message.credit:
                    self._credit = min(self._credit + message.credit, MAX_CREDIT)
                    self._granted.set()
                if message.part:
                    await self._party.take(message.part)
                    self._taken += 1
                    self._changed.set()
            self.is_complete = True
        finally:
            self._changed.set()

    async def replies(self, reading: asyncio.Task[None]) -> AsyncIterator[web_pb2.WebPart]:
        """Yield what goes to the container, until it has sent everything."""
        writing = asyncio.create_task(self._write())
        try:
            while not reading.done():
                ready, self._ready = self._ready, []
                for part in ready:
                    yield web_pb2.WebPart(part=part)
                taken, self._taken = self._taken, 0
                if taken:
                    yield web_pb2.WebPart(credit=taken)
                if not (self._ready or self._taken or reading.done()):
                    self._changed.clear()
                    await self._changed.wait()
        finally:
            writing.cancel()

    async def _write(self) -> None:
        async for part in self._party.parts():
            while self._credit <= 0:
                self._granted.clear()
                await self._granted.wait()
            self._credit -= 1
            self._ready.append(part)
            self._changed.set()
