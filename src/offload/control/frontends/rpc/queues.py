"""The service `Queues`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.services.contents import Request, Value
from offload.control.services.queues import new_put, new_take
from offload.wire.gen import queues_pb2

if TYPE_CHECKING:
    from offload.control.services.assembly import Services
    from offload.wire.rpc import RequestContext


class QueuesHandlers:
    """Translates for the services."""

    def __init__(self, services: Services) -> None:
        self._queues = services.queues
        self._clock = services.kernel.clock

    async def put(
        self, request: queues_pb2.QueuePutRequest, _context: RequestContext
    ) -> queues_pb2.QueuePutReply:
        """See `Queues.Put`."""
        items = [Value(item.SerializeToString(), item.blob.sha256) for item in request.items]
        asked = Request(request.request_id, self._clock.now(), request.is_repeat)
        put = new_put(request.object_id, request.partition, items, request.ttl_seconds, asked)
        was_put = await self._queues.put(put, request.wait_seconds)
        return queues_pb2.QueuePutReply(is_full=not was_put)

    async def get(
        self, request: queues_pb2.QueueGetRequest, _context: RequestContext
    ) -> queues_pb2.QueueGetReply:
        """See `Queues.Get`."""
        asked = Request(request.request_id, self._clock.now(), request.is_repeat)
        take = new_take(
            request.object_id, request.partition, request.count, asked, request.received
        )
        reply = queues_pb2.QueueGetReply()
        for value in await self._queues.take(take, request.wait_seconds):
            reply.items.add().ParseFromString(value)
        return reply

    async def peek(
        self, request: queues_pb2.QueuePeekRequest, _context: RequestContext
    ) -> queues_pb2.QueuePeekReply:
        """See `Queues.Peek`."""
        reply = queues_pb2.QueuePeekReply()
        for item in await self._queues.peek(
            request.object_id, request.partition, request.after, request.wait_seconds
        ):
            reply.items.add(position=item.position).value.ParseFromString(item.value)
        return reply

    async def length(
        self, request: queues_pb2.QueueLengthRequest, _context: RequestContext
    ) -> queues_pb2.QueueLengthReply:
        """See `Queues.Length`."""
        partition = None if request.all else request.partition
        return queues_pb2.QueueLengthReply(
            length=await self._queues.length(request.object_id, partition)
        )

    async def clear(
        self, request: queues_pb2.QueueClearRequest, _context: RequestContext
    ) -> queues_pb2.QueueClearReply:
        """See `Queues.Clear`."""
        await self._queues.clear(request.object_id, None if request.all else request.partition)
        return queues_pb2.QueueClearReply()
