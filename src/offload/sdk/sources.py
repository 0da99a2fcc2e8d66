"""What a user may map over: iterables of either kind, turned into one plain iterator of arguments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, TypeVar

from offload.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from offload.sdk.map_call import Arguments

T = TypeVar("T")

Source = Iterable[T] | AsyncIterable[T]


def check_sources(sources: tuple[object, ...], method: str) -> None:
    """Refuse what cannot be iterated over. Raises `InvalidError`."""
    if not sources:
        raise InvalidError(
            f".{method}() needs something to iterate over, as in .{method}(range(10))"
        )
    for source in sources:
        if not isinstance(source, Iterable | AsyncIterable):
            raise InvalidError(
                f".{method}() iterates over its arguments, and {type(source).__name__} is not iterable; "
                f"for one call write .remote({source!r:.40})"
            )


def zipped(
    sources: tuple[Source[object], ...], loop: asyncio.AbstractEventLoop | None
) -> Iterator[Arguments]:
    """Yield the arguments of each input, one from each source, until the shortest ends."""
    for values in zip(*(_plain(source, loop) for source in sources), strict=False):
        yield values, {}


def starred(
    source: Source[Iterable[object]], loop: asyncio.AbstractEventLoop | None
) -> Iterator[Arguments]:
    """Yield the arguments of each input, all of them from one item of the source."""
    for values in _plain(source, loop):
        yield tuple(values), {}


def _plain(source: Source[T], loop: asyncio.AbstractEventLoop | None) -> Iterator[T]:
    if isinstance(source, Iterable):
        return iter(source)
    return _pull(source, loop) if loop is not None else _pull_alone(source)


def _pull(source: AsyncIterable[T], loop: asyncio.AbstractEventLoop) -> Iterator[T]:
    # An async iterable belongs to the loop of whoever made it, so each step runs there.
    iterator = aiter(source)
    while step := asyncio.run_coroutine_threadsafe(_step(iterator), loop).result():
        yield from step


def _pull_alone(source: AsyncIterable[T]) -> Iterator[T]:
    with asyncio.Runner() as runner:
        iterator = aiter(source)
        while step := runner.run(_step(iterator)):
            yield from step


async def _step(iterator: AsyncIterator[T]) -> list[T]:
    """Return the next item alone in a list; an empty list at the end."""
    try:
        return [await anext(iterator)]
    except StopAsyncIteration:
        return []


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the caller's loop, where it runs in one."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
