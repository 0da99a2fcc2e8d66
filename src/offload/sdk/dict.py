"""Dicts that programs and containers share."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import IO, TYPE_CHECKING

from offload.sdk import serialize
from offload.sdk.blocking import ExchangeWork, StreamWork, Work, blocking, blocking_stream
from offload.sdk.call import load
from offload.sdk.client import DirectGet
from offload.sdk.keys import decode_key, encode_key
from offload.sdk.objects import NamedObject
from offload.sdk.session import current_client

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Mapping

    from offload.sdk.client import Reply
    from offload.sdk.object_reference import Reference


Body = bytes | IO[bytes]
Found = tuple[bool, Body]  # whether there is a value, and its pickle

_MISSING = object()


class Dict(NamedObject):
    """A dict on the server. Keys and values are whatever can be pickled; keys are equal where their pickles are.

    Entries that nobody read or wrote for a week go.
    """

    kind = "dict"

    @blocking
    def get(self, key: object, default: object = None) -> Work[Found, object]:
        """Return the value of a key, or the default."""
        return self._get(key, default)

    @blocking
    def put(self, key: object, value: object, *, skip_if_exists: bool = False) -> Work[int, bool]:
        """Set the value of a key; with `skip_if_exists` only where it has none. Return whether it was set.

        Of any number of callers that put a missing key with `skip_if_exists` at the same time, one gets True.
        """
        entry = (encode_key(key), serialize.dumps(value, "the value"))
        putting = self._put([entry], skip_if_exists=skip_if_exists)
        return Work(putting, bool)

    @blocking
    def update(
        self,
        /,
        other: Mapping[object, object] | Iterable[tuple[object, object]] = (),
        **more: object,
    ) -> Work[int, None]:
        """Set many entries, as `dict.update` does. Each megabyte of them is set at once."""
        entries = [
            (encode_key(key), serialize.dumps(value, f"the value of {key!r:.60}"))
            for key, value in dict(other, **more).items()
        ]
        return Work(self._put(entries, skip_if_exists=False), lambda _: None)

    @blocking
    def pop(self, key: object, default: object = _MISSING) -> Work[Body | None, object]:
        """Remove a key and return its value. Where there is none return the default, or raise `KeyError`."""
        return Work(self._pop(encode_key(key)), partial(_popped, key, default))

    @blocking
    def contains(self, key: object) -> Work[bool, bool]:
        """Return whether the key has a value."""
        return Work(self._contains(encode_key(key)), bool)

    @blocking
    def len(self) -> Work[int, int]:
        """Return how many entries there are."""
        return Work(self._length(), int)

    @blocking
    def clear(self) -> Work[None, None]:
        """Remove all entries."""
        return Work(self._clear(), lambda _: None)

    @blocking_stream
    def keys(self) -> StreamWork[tuple[bytes, Body], object]:
        """Yield the keys, in no order that means anything. What changes meanwhile may be among them or not."""
        return StreamWork(partial(self._entries, without_values=True), _keys)

    @blocking_stream
    def values(self) -> StreamWork[tuple[bytes, Body], object]:
        """Yield the values, as `keys` does."""
        return StreamWork(partial(self._entries, without_values=False), _values)

    @blocking_stream
    def items(self) -> StreamWork[tuple[bytes, Body], tuple[object, object]]:
        """Yield pairs of keys and values, as `keys` does."""
        return StreamWork(partial(self._entries, without_values=False), _items)

    def __getitem__(self, key: object) -> object:
        work = self._get(key, _MISSING)
        value = work.finish(work.wait())
        if value is _MISSING:
            raise KeyError(key)
        return value

    def __setitem__(self, key: object, value: object) -> None:
        self.put(key, value)

    def __delitem__(self, key: object) -> None:
        self.pop(key)

    def __contains__(self, key: object) -> bool:
        return self.contains(key)

    def __len__(self) -> int:
        return self.len()

    def __bool__(self) -> bool:
        return True  # a handle, however many entries there are

    def __iter__(self) -> Iterator[object]:
        return self.keys()

    def _get(self, key: object, default: object) -> Work[Found, object]:
        get = _Get(self._reference, encode_key(key))
        return ExchangeWork(get, partial(_value, default))

    async def _put(self, entries: list[tuple[bytes, bytes]], *, skip_if_exists: bool) -> int:
        object_id = await self._reference.object_id()
        contents = current_client().contents
        return await contents.put(object_id, entries, skip_if_exists=skip_if_exists)

    async def _pop(self, key: bytes) -> Body | None:
        return await current_client().contents.pop(await self._reference.object_id(), key)

    async def _contains(self, key: bytes) -> bool:
        object_id = await self._reference.object_id()
        found = await current_client().contents.get(object_id, key, without_value=True)
        return found is not None

    async def _length(self) -> int:
        return await current_client().contents.length_of_dict(await self._reference.object_id())

    async def _clear(self) -> None:
        await current_client().contents.clear_dict(await self._reference.object_id())

    async def _entries(
        self, _loop: asyncio.AbstractEventLoop | None, *, without_values: bool
    ) -> AsyncGenerator[list[tuple[bytes, Body]], None]:
        object_id = await self._reference.object_id()
        contents = current_client().contents
        async with aclosing(contents.entries(object_id, without_values=without_values)) as pages:
            async for page in pages:
                yield page


class _Get:
    """The read of one key in one exchange with the server. See `blocking.Exchange`."""

    __slots__ = ("_key", "_reference")

    def __init__(self, reference: Reference, key: bytes) -> None:
        self._reference = reference
        self._key = key

    def send(self, tell: Callable[[Reply], None]) -> Callable[[], None] | None:
        """See `Exchange`."""
        known_id = self._reference.current_id
        if not known_id:
            return None
        return current_client().contents.ask_value(DirectGet(known_id, self._key).body, tell)

    def read(self, reply: Reply) -> Found | None:
        """See `Exchange`."""
        return DirectGet.read(reply)

    def in_full(self, reply: Reply | None) -> Coroutine[object, object, Found]:
        """See `Exchange`."""
        del reply  # reading once more changes nothing
        return self._read()

    async def _read(self) -> Found:
        object_id = await self._reference.object_id()
        found = await current_client().contents.get(object_id, self._key)
        return (False, b"") if found is None else (True, found)


def _value(default: object, found: Found) -> object:
    return load(found[1]) if found[0] else default


def _popped(key: object, default: object, body: Body | None) -> object:
    if body is not None:
        return load(body)
    if default is _MISSING:
        raise KeyError(key)
    return default


def _keys(page: list[tuple[bytes, Body]]) -> list[object]:
    return [decode_key(key) for key, _ in page]


def _values(page: list[tuple[bytes, Body]]) -> list[object]:
    return [load(value) for _, value in page]


def _items(page: list[tuple[bytes, Body]]) -> list[tuple[object, object]]:
    return [(decode_key(key), load(value)) for key, value in page]
