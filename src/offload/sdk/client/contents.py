"""Requests about what is in dicts and queues."""

from __future__ import annotations

from contextlib import aclosing
from typing import IO, TYPE_CHECKING, TypeVar

from google.protobuf.message import Message

from offload.sdk.client import bodies
from offload.sdk.client.requests import Requests
from offload.sdk.ids import new_id
from offload.sdk.serialize import ENCODING
from offload.wire.gen import common_pb2, dicts_pb2, queues_pb2
from offload.wire.limits import BATCH_BYTES, INLINE_PAYLOAD_BYTES
from offload.wire.status import WireError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from offload.sdk.client.connection import Connection

M = TypeVar("M", bound=Message)

Body = bytes | IO[bytes]
Reply = bytes | WireError

_ENTRY_BYTES = 64  # what an entry or an item takes beside its bytes
_REMEMBERED = 100  # requests whose answers have arrived, until the server is told


class ContentRequests(Requests):
    """One method for each request. Every coroutine runs on the connection's loop. Values are pickles."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._received: list[str] = []

    # --- dicts ---

    def ask_value(self, request: bytes, tell: Callable[[Reply], None]) -> Callable[[], None] | None:
        """Send an encoded `DictGetRequest` from any thread; return how its loop gives it up, None where it cannot be sent."""
        link = self._connection.open_link
        number = link.ask("offload.v1.Dicts/Get", request, tell) if link else None
        if link is None or number is None:
            return None
        return lambda: link.forget(number, tell=True)

    async def get(self, object_id: str, key: bytes, *, without_value: bool = False) -> Body | None:
        """Return the value of a key; None where it has none."""
        request = dicts_pb2.DictGetRequest(
            object_id=object_id, key=key, without_value=without_value
        )
        reply = await self._unary("Dicts/Get", request, dicts_pb2.DictGetReply)
        if not reply.found:
            return None
        return b"" if without_value else await bodies.fetch(self._connection, reply.value)

    async def put(
        self, object_id: str, entries: Sequence[tuple[bytes, bytes]], *, skip_if_exists: bool
    ) -> int:
        """Set entries, as many at once as fit a message; return how many were set."""
        count = 0
        for part in _parts(entries, lambda entry: len(entry[0]) + _inline_bytes(entry[1])):
            request = dicts_pb2.DictPutRequest(
                object_id=object_id, skip_if_exists=skip_if_exists, request_id=new_id("rq-")
            )
            for key, value in part:
                entry = request.entries.add(key=key)
                await self._fill(entry.value, value)
            reply = await self._once("Dicts/Put", request, dicts_pb2.DictPutReply)
            count += reply.created
        return count

    async def pop(self, object_id: str, key: bytes) -> Body | None:
        """Remove an entry; return its value, None where there was none."""
        request = dicts_pb2.DictPopRequest(object_id=object_id, key=key, request_id=new_id("rq-"))
        reply = await self._once("Dicts/Pop", request, dicts_pb2.DictPopReply)
        return await bodies.fetch(self._connection, reply.value) if reply.found else None

    async def length_of_dict(self, object_id: str) -> int:
        """Return how many entries there are."""
        request = dicts_pb2.DictLengthRequest(object_id=object_id)
        return (await self._unary("Dicts/Length", request, dicts_pb2.DictLengthReply)).length

    async def clear_dict(self, object_id: str) -> None:
        """Remove all entries."""
        request = dicts_pb2.DictClearRequest(object_id=object_id)
        await self._unary("Dicts/Clear", request, dicts_pb2.DictClearReply)

    async def entries(
        self, object_id: str, *, without_values: bool
    ) -> AsyncGenerator[list[tuple[bytes, Body]], None]:
        """Yield all entries, going on behind the last one where the connection breaks."""
        request = dicts_pb2.DictEntriesRequest(object_id=object_id, without_values=without_values)
        async with aclosing(
            self._replies("Dicts/Entries", request, dicts_pb2.DictEntries)
        ) as pages:
            async for page in pages:
                yield [
                    (entry.key, await bodies.fetch(self._connection, entry.value))
                    for entry in page.entries
                ]
                request.after_key = page.entries[-1].key

    # --- queues ---

    async def put_items(
        self, place: tuple[str, str], items: Sequence[bytes], ttl: float, wait_seconds: float
    ) -> bool:
        """Append items to a partition, as many at once as fit a message; False where there was no room in time."""
        for part in _parts(items, _inline_bytes):
            request = queues_pb2.QueuePutRequest(
                object_id=place[0],
                partition=place[1],
                ttl_seconds=ttl,
                wait_seconds=wait_seconds,
                request_id=new_id("rq-"),
            )
            for item in part:
                await self._fill(request.items.add(), item)
            if (await self._once("Queues/Put", request, queues_pb2.QueuePutReply)).is_full:
                return False
        return True

    async def get_items(
        self, place: tuple[str, str], count: int, wait_seconds: float
    ) -> list[Body]:
        """Take the first items of a partition away, at most `count`; none where none came in time."""
        received, self._received = self._received, []
        request = queues_pb2.QueueGetRequest(
            object_id=place[0],
            partition=place[1],
            count=count,
            wait_seconds=wait_seconds,
            request_id=new_id("rq-"),
            received=received,
        )
        reply = await self._once("Queues/Get", request, queues_pb2.QueueGetReply)
        items = [await bodies.fetch(self._connection, item) for item in reply.items]
        if items and len(self._received) < _REMEMBERED:
            self._received.append(request.request_id)
        return items

    async def peek(
        self, place: tuple[str, str], after: int, wait_seconds: float
    ) -> list[tuple[int, Body]]:
        """Return items behind a position with theirs, without taking them."""
        request = queues_pb2.QueuePeekRequest(
            object_id=place[0], partition=place[1], after=after, wait_seconds=wait_seconds
        )
        reply = await self._unary("Queues/Peek", request, queues_pb2.QueuePeekReply)
        return [
            (item.position, await bodies.fetch(self._connection, item.value))
            for item in reply.items
        ]

    async def length_of_queue(self, object_id: str, partition: str | None) -> int:
        """Return how many items there are, in a partition or with None in all."""
        request = queues_pb2.QueueLengthRequest(
            object_id=object_id, partition=partition or "", all=partition is None
        )
        return (await self._unary("Queues/Length", request, queues_pb2.QueueLengthReply)).length

    async def clear_queue(self, object_id: str, partition: str | None) -> None:
        """Remove the items of a partition, or with None of all."""
        request = queues_pb2.QueueClearRequest(
            object_id=object_id, partition=partition or "", all=partition is None
        )
        await self._unary("Queues/Clear", request, queues_pb2.QueueClearReply)

    # --- both ---

    async def _fill(self, payload: common_pb2.Payload, value: bytes) -> None:
        if len(value) <= INLINE_PAYLOAD_BYTES:
            payload.encoding = ENCODING
            payload.inline = value
        else:
            payload.CopyFrom(await bodies.send(self._connection, value, ENCODING))


class DirectGet:
    """A `Dicts.Get` that fits one exchange of frames, made and read in the caller's own thread."""

    __slots__ = ("body",)

    def __init__(self, object_id: str, key: bytes) -> None:
        self.body = dicts_pb2.DictGetRequest(object_id=object_id, key=key).SerializeToString()

    @staticmethod
    def read(reply: Reply) -> tuple[bool, bytes] | None:
        """Return whether there is a value, and the inline one; None: more is to be done about it."""
        if isinstance(reply, WireError):
            return None
        message = dicts_pb2.DictGetReply.FromString(reply)
        if message.found and message.value.WhichOneof("body") == "blob":
            return None
        return message.found, message.value.inline


def _inline_bytes(value: bytes) -> int:
    return len(value) if len(value) <= INLINE_PAYLOAD_BYTES else 0


T = TypeVar("T")


def _parts(things: Sequence[T], size_of: Callable[[T], int]) -> Iterator[Sequence[T]]:
    """Cut what is to be sent into lists that make messages far below the maximum."""
    start = size_bytes = 0
    for index, thing in enumerate(things):
        more = size_of(thing) + _ENTRY_BYTES
        if index > start and size_bytes + more > BATCH_BYTES:
            yield things[start:index]
            start, size_bytes = index, 0
        size_bytes += more
    if start < len(things):
        yield things[start:]
