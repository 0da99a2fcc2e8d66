"""The end of what a test has started on an event loop of its own."""

from __future__ import annotations

import asyncio
from typing import Protocol


class _Closable(Protocol):
    async def close(self) -> None: ...


def close_now(started: _Closable) -> None:
    """Close it, for a fixture, which must raise no `CancelledError`.

    A test that fails has all tasks of its loop cancelled, among them those that `close` waits for. pytest takes that error for
    no error, and leaves all other fixtures as they are: each later test then gets the `tmp_path` of this one.
    """
    try:
        asyncio.run(started.close())
    except asyncio.CancelledError as error:
        raise RuntimeError("it could not be closed in order: a failed test cancelled it") from error
