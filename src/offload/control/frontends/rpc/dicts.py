"""The service `Dicts`."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from offload.control.frontends.rpc.values import by_size
from offload.control.services.contents import Entry, Request
from offload.wire.gen import common_pb2, dicts_pb2
from offload.wire.rpc import Promise

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from offload.control.services.assembly import Services
    from offload.control.services.contents import Value
    from offload.wire.rpc import RequestContext


class DictsHandlers:
    """Translates for the services."""

    def __init__(self, services: Services) -> None:
        self._dicts = services.dicts
        self._clock = services.kernel.clock

    def get(
        self, request: dicts_pb2.DictGetRequest, _context: RequestContext
    ) -> Promise[dicts_pb2.DictGetReply] | Awaitable[dicts_pb2.DictGetReply]:
        """See `Dicts.Get`."""
        known = self._dicts.peek(request.object_id, request.key)
        if known is None:
            return self._read(request)
        reply: Promise[dicts_pb2.DictGetReply] = Promise(lambda made: made)
        reply.settle(_found(known.value, without_value=request.without_value))
        return reply

    async def _read(self, request: dicts_pb2.DictGetRequest) -> dicts_pb2.DictGetReply:
        value = await self._dicts.get(request.object_id, request.key)
        return _found(value, without_value=request.without_value)

    async def put(
        self, request: dicts_pb2.DictPutRequest, _context: RequestContext
    ) -> dicts_pb2.DictPutReply:
        """See `Dicts.Put`."""
        entries = [
            Entry(e.key, e.value.SerializeToString(), e.value.blob.sha256) for e in request.entries
        ]
        asked = Request(request.request_id, self._clock.now(), request.is_repeat)
        count = await self._dicts.put(
            request.object_id, entries, asked, only_new=request.skip_if_exists
        )
        return dicts_pb2.DictPutReply(created=count)

    async def pop(
        self, request: dicts_pb2.DictPopRequest, _context: RequestContext
    ) -> dicts_pb2.DictPopReply:
        """See `Dicts.Pop`."""
        asked = Request(request.request_id, self._clock.now(), request.is_repeat)
        value = await self._dicts.pop(request.object_id, request.key, asked)
        if value is None:
            return dicts_pb2.DictPopReply()
        return dicts_pb2.DictPopReply(found=True, value=common_pb2.Payload.FromString(value.value))

    async def length(
        self, request: dicts_pb2.DictLengthRequest, _context: RequestContext
    ) -> dicts_pb2.DictLengthReply:
        """See `Dicts.Length`."""
        return dicts_pb2.DictLengthReply(length=await self._dicts.length(request.object_id))

    async def clear(
        self, request: dicts_pb2.DictClearRequest, _context: RequestContext
    ) -> dicts_pb2.DictClearReply:
        """See `Dicts.Clear`."""
        await self._dicts.clear(request.object_id)
        return dicts_pb2.DictClearReply()

    async def entries(
        self, request: dicts_pb2.DictEntriesRequest, _context: RequestContext
    ) -> AsyncIterator[dicts_pb2.DictEntries]:
        """See `Dicts.Entries`."""
        pages = self._dicts.entries(
            request.object_id, request.after_key, without_values=request.without_values
        )
        async with aclosing(pages):
            async for page in pages:
                for part in by_size(page, lambda entry: len(entry.key) + len(entry.value) + 32):
                    answer = dicts_pb2.DictEntries()
                    for entry in part:
                        answer.entries.add(key=entry.key).value.ParseFromString(entry.value)
                    yield answer


def _found(value: Value | None, *, without_value: bool) -> dicts_pb2.DictGetReply:
    if value is None:
        return dicts_pb2.DictGetReply()
    reply = dicts_pb2.DictGetReply(found=True)
    if not without_value:
        reply.value.ParseFromString(value.value)
    return reply
