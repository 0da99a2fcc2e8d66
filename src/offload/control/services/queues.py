"""Queues, and those who wait for their items or for room in them.

Whoever waits is an entry in a list and a timer: nothing looks again and again. A change that is on disk wakes as many as it
can serve, first those that waited longest; one that wakes in vain goes back to the head of its line.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.objects import ObjectKind
from offload.control.ports.contents import ClearItems, PutItems, Request, TakeItems, Value
from offload.control.ports.objects import Refusal
from offload.control.services.objects import gone
from offload.wire.limits import BATCH_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offload.control.ports.clock import Clock
    from offload.control.ports.contents import Item
    from offload.control.ports.objects import Answer, Operation
    from offload.control.services.grouping import Grouping
    from offload.control.services.objects import Objects
    from offload.control.services.reading import Reading

MAX_ITEMS = 1_000_000  # of one partition
MAX_PARTITION_BYTES = 64
TTL_SECONDS = 86_400.0
MAX_TTL_SECONDS = 30 * 86_400.0
PAGE_ITEMS = 256

Place = tuple[str, str]  # the object's id and the partition


class Queues:
    """Puts, takes and shows items. Every method raises `DomainError`."""

    def __init__(
        self,
        reading: Reading,
        writing: Grouping[Operation, Answer],
        objects: Objects,
        clock: Clock,
        max_items: int = MAX_ITEMS,
    ) -> None:
        self._reading = reading
        self._store = reading.store.objects
        self._writing = writing
        self._objects = objects
        self._clock = clock
        self._max_items = max_items
        self._for_items: dict[Place, _Line] = {}
        self._for_room: dict[Place, _Line] = {}
        self._watchers: dict[Place, set[asyncio.Future[None]]] = {}
        objects.on_delete(self._wake_all)

    async def put(self, put: PutItems, wait_seconds: float) -> bool:
        """Append items, all or none; return False where there was no room in time."""
        await self._require(put.object_id, put.partition)
        self._check(put)
        put = replace(
            put,
            max_items=self._max_items,
            expires_at=put.request.at + (put.expires_at or TTL_SECONDS),
        )
        place = (put.object_id, put.partition)
        if not put.items:
            return True
        with _Waiting(self._for_room, place) as waiting:
            deadline = _deadline(wait_seconds)
            while True:
                put = replace(put, request=replace(put.request, at=self._clock.now()))
                if await self._change(put):
                    waiting.served()
                    self._came(place, len(put.items))
                    return True
                if not await waiting.until(deadline):
                    return False

    async def take(self, take: TakeItems, wait_seconds: float) -> Sequence[bytes]:
        """Take the first items away, at most `count`; none where none came in time."""
        await self._require(take.object_id, take.partition)
        if take.count < 1:
            raise DomainError(ErrorCode.INVALID, "Ask for at least 1 item.")
        place = (take.object_id, take.partition)
        with _Waiting(self._for_items, place) as waiting:
            deadline = _deadline(wait_seconds)
            while True:
                take = replace(take, request=replace(take.request, at=self._clock.now()))
                items = await self._change(take)
                if isinstance(items, tuple) and items:
                    waiting.served()
                    self._wake(self._for_room, place, len(items))
                    return items
                if not await waiting.until(deadline):
                    return ()
                take = replace(take, received=())

    async def peek(
        self, object_id: str, partition: str, after: int, wait_seconds: float
    ) -> Sequence[Item]:
        """Return items behind a position, without taking them; none where none came in time."""
        await self._require(object_id, partition)
        deadline = _deadline(wait_seconds)
        place = (object_id, partition)
        while True:
            came = self._watch(place)
            try:
                now = self._clock.now()
                found = await self._reading.get(
                    self._store.items, object_id, partition, after, now, PAGE_ITEMS
                )
                if found or not await _wait(came, deadline):
                    return found
            finally:
                self._unwatch(place, came)

    async def length(self, object_id: str, partition: str | None) -> int:
        """Return how many items there are, in a partition or with None in all."""
        await self._require(object_id, partition or "")
        now = self._clock.now()
        return await self._reading.get(self._store.item_count, object_id, partition, now)

    async def clear(self, object_id: str, partition: str | None) -> None:
        """Remove the items of a partition, or with None of all."""
        await self._require(object_id, partition or "")
        await self._change(ClearItems(object_id, partition))
        for place in [each for each in self._for_room if each[0] == object_id]:
            self._wake(self._for_room, place, self._max_items)

    def _check(self, put: PutItems) -> None:
        if not 0 <= put.expires_at <= MAX_TTL_SECONDS:
            raise DomainError(
                ErrorCode.INVALID,
                f"A ttl of {put.expires_at:g} s is out of range: at most {MAX_TTL_SECONDS:g} s.",
            )
        if len(put.items) > self._max_items:
            raise DomainError(
                ErrorCode.INVALID,
                f"{len(put.items)} items at once never fit: a partition holds {self._max_items}.",
            )

    async def _require(self, object_id: str, partition: str) -> None:
        await self._objects.require(object_id, ObjectKind.QUEUE, None)
        if len(partition.encode()) > MAX_PARTITION_BYTES:
            raise DomainError(
                ErrorCode.INVALID,
                f"{partition[:80]!r} is no name of a partition: at most {MAX_PARTITION_BYTES} bytes.",
            )

    async def _change(self, operation: PutItems | TakeItems | ClearItems) -> Answer:
        answer = await self._writing.answer(operation)
        if answer is Refusal.GONE:
            raise gone(operation.object_id, ObjectKind.QUEUE)
        return answer

    def _came(self, place: Place, count: int) -> None:
        self._wake(self._for_items, place, count)
        for watcher in self._watchers.get(place, ()):
            if not watcher.done():
                watcher.set_result(None)

    def _wake(self, lines: dict[Place, _Line], place: Place, count: int) -> None:
        line = lines.get(place)
        if line is not None:
            line.wake(count)

    def _wake_all(self, object_ids: Sequence[str]) -> None:
        """Let those who wait at objects that are gone find that out."""
        gone_ids = set(object_ids)
        for lines in (self._for_items, self._for_room):
            for (object_id, _), line in lines.items():
                if object_id in gone_ids:
                    line.wake(self._max_items)
        for place in [each for each in self._watchers if each[0] in gone_ids]:
            self._came(place, 0)

    def _watch(self, place: Place) -> asyncio.Future[None]:
        came: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.setdefault(place, set()).add(came)
        return came

    def _unwatch(self, place: Place, came: asyncio.Future[None]) -> None:
        watchers = self._watchers[place]
        watchers.discard(came)
        if not watchers:
            del self._watchers[place]


class _Line:
    """Those who wait at one place, in the order they came."""

    def __init__(self) -> None:
        self.waiting: OrderedDict[_Waiting, None] = OrderedDict()

    def wake(self, count: int) -> None:
        """Wake so many of those who have not been woken yet."""
        for each in self.waiting:
            if count <= 0:
                return
            if not each.is_woken:
                each.wake()
                count -= 1


class _Waiting:
    """One who may have to wait; a change that comes while it looks counts too, so that none is missed."""

    def __init__(self, lines: dict[Place, _Line], place: Place) -> None:
        self._lines = lines
        self._place = place
        self._future: asyncio.Future[None] | None = None
        self._owes_a_wake = False  # it was woken, and has not looked since
        self.is_woken = False

    def __enter__(self) -> Self:
        self._line = self._lines.setdefault(self._place, _Line())
        self._line.waiting[self] = None
        return self

    def __exit__(self, *_: object) -> None:
        line = self._line
        del line.waiting[self]
        if self.is_woken or self._owes_a_wake:
            line.wake(1)  # what it was woken for is there for another
        if not line.waiting and self._lines.get(self._place) is line:
            del self._lines[self._place]

    def wake(self) -> None:
        self.is_woken = True
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def served(self) -> None:
        """Note that it has found what it was woken for."""
        self._owes_a_wake = False

    async def until(self, deadline: float | None) -> bool:
        """Wait to be woken; return False where nobody did in time."""
        self._owes_a_wake = False
        if self.is_woken:
            self.is_woken, self._owes_a_wake = False, True
            return True
        self._future = asyncio.get_running_loop().create_future()
        try:
            was_woken = await _wait(self._future, deadline)
        finally:
            self._future = None
        if was_woken:
            self.is_woken, self._owes_a_wake = False, True
        return was_woken


def _deadline(wait_seconds: float) -> float | None:
    if wait_seconds < 0:
        return None
    return asyncio.get_running_loop().time() + wait_seconds


async def _wait(future: asyncio.Future[None], deadline: float | None) -> bool:
    """Wait for a future up to a time in the loop's own; None: for ever."""
    loop = asyncio.get_running_loop()
    if deadline is not None and deadline <= loop.time():
        return future.done()
    try:
        async with asyncio.timeout_at(deadline):
            await future
    except TimeoutError:
        return False
    return True


def new_put(
    object_id: str, partition: str, items: Sequence[Value], ttl_seconds: float, request: Request
) -> PutItems:
    """Return the operation for items that are to be put, whose ttl the service makes a time."""
    return PutItems(object_id, partition, tuple(items), ttl_seconds, 0, request)


def new_take(
    object_id: str, partition: str, count: int, request: Request, received: Sequence[str]
) -> TakeItems:
    """Return the operation for as many items as fit a message."""
    return TakeItems(object_id, partition, count, BATCH_BYTES, request, tuple(received))
