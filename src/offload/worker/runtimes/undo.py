"""Starts that are cancelled: none is left half done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine


class _Closable(Protocol):
    async def close(self) -> None: ...


_C = TypeVar("_C", bound=_Closable)


async def finish_or_undo(start: Coroutine[object, object, _C], name: str) -> _C:
    """Await a start; where that is cancelled, finish it and take it back: it takes milliseconds and has no safe middle."""
    starting = asyncio.create_task(start, name=name)
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting])
        if starting.exception() is None:
            await starting.result().close()
        raise
