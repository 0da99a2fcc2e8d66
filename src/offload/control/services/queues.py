"""Queues, and those who wait for their items or for room in them.

Whoever waits is an entry in a list and a timer: nothing looks again and again. Who puts items wakes as many as those can
serve, first those that waited longest: their takes are submitted together with the put, so that one transaction does both
and the disk is waited for once. One that is woken in vain goes back to the head of its line.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.objects import ObjectKind
from offload.control.ports.contents import ClearItems, PutItems, Request, TakeItems, Value
from offload.control.ports.objects import Refusal
from offload.control.services.objects import gone
from offload.wire.limits import BATCH_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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

T = TypeVar("T")
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
        self._takes: dict[str, _Waiting] = {}  # those under way, by their request
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

        def again() -> asyncio.Future[Answer]:
            request = replace(put.request, at=self._clock.now())
            answer = self._writing.submit(replace(put, request=request))
            self._wake(self._for_items, place, len(put.items))
            return answer

        with _Waiting(self._for_room, place, again) as waiting:
            was_put = await waiting.until(_deadline(wait_seconds), partial(_put, put.object_id))
        if was_put:
            self._came(place)
        return bool(was_put)

    async def take(self, take: TakeItems, wait_seconds: float) -> Sequence[bytes]:
        """Take the first items away, at most `count`; none where none came in time."""
        await self._require(take.object_id, take.partition)
        if take.count < 1:
            raise DomainError(ErrorCode.INVALID, "Ask for at least 1 item.")
        place = (take.object_id, take.partition)

        def again() -> asyncio.Future[Answer]:
            request = replace(take.request, at=self._clock.now())
            return self._writing.submit(replace(take, request=request))

        request_id = take.request.request_id
        earlier = self._takes.get(request_id)
        if earlier is not None:
            # Its link is dead although this side does not know it yet: what it took would go to nobody.
            earlier.dismiss()
        with _Waiting(self._for_items, place, again) as waiting:
            self._takes[request_id] = waiting
            try:
                items = await waiting.until(
                    _deadline(wait_seconds), partial(_taken, take.object_id)
                )
            finally:
                if self._takes.get(request_id) is waiting:
                    del self._takes[request_id]
        if items:
            self._wake(self._for_room, place, len(items))
        return items or ()

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
        if await self._writing.answer(ClearItems(object_id, partition)) is Refusal.GONE:
            raise gone(object_id, ObjectKind.QUEUE)
        for place in [each for each in self._for_room if each[0] == object_id]:
            self._wake(self._for_room, place, self._max_items)

    def _check(self, put: PutItems) -> None:
        if not 0 <= put.expires_at <= MAX_TTL_SECONDS:
            raise DomainError(
                ErrorCode.INVALID,
                f"A ttl of {put.expires_at:.0f} s is out of range: at most {MAX_TTL_SECONDS:.0f} s, "
                f"{MAX_TTL_SECONDS / 86_400:g} days.",
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

    def _came(self, place: Place) -> None:
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
            self._came(place)

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
    """One who tries, and waits for another try where that was in vain.

    A wake that comes while it tries counts too, so that none is missed; one that it leaves with goes to the next.
    """

    def __init__(
        self,
        lines: dict[Place, _Line],
        place: Place,
        again: Callable[[], asyncio.Future[Answer]],
    ) -> None:
        self._lines = lines
        self._place = place
        self._again = again  # submits another try
        self._trying: asyncio.Future[Answer] | None = None
        self._woken: asyncio.Future[None] | None = None  # while it waits
        self._owes_a_wake = False  # it was woken, and that try has not ended
        self._is_dismissed = False
        self.is_woken = False  # while it tried

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

    @property
    def is_waiting(self) -> bool:
        """Whether it does nothing but wait."""
        return self._woken is not None and not self._woken.done()

    def wake(self) -> None:
        """Have it try again: at once where it waits, in the turn of the loop of whoever wakes it."""
        if self._woken is None or self._woken.done():
            self.is_woken = True
            return
        self._owes_a_wake = True
        self._trying = self._again()
        self._woken.set_result(None)

    def dismiss(self) -> None:
        """Have it find nothing, after the try that is under way."""
        self._is_dismissed = True
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    async def until(self, deadline: float | None, found: Callable[[Answer], T | None]) -> T | None:
        """Try until `found` makes something of an answer; return that, or None where there was nothing in time."""
        self._trying = self._again()
        while True:
            result = found(await self._trying)
            self._owes_a_wake = False
            if result or self._is_dismissed:
                return result
            if self.is_woken:
                self.is_woken, self._owes_a_wake = False, True
                self._trying = self._again()
                continue
            self._woken = asyncio.get_running_loop().create_future()
            try:
                if not await _wait(self._woken, deadline) or self._is_dismissed:
                    return None
            finally:
                self._woken = None


def _put(object_id: str, answer: Answer) -> bool | None:
    if answer is Refusal.GONE:
        raise gone(object_id, ObjectKind.QUEUE)
    return bool(answer)


def _taken(object_id: str, answer: Answer) -> tuple[bytes, ...] | None:
    if answer is Refusal.GONE:
        raise gone(object_id, ObjectKind.QUEUE)
    return answer if isinstance(answer, tuple) else None


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
        return future.done()  # in the same moment: then it was in time
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
