"""Waiting for descriptors on the event loop, without threads."""

from __future__ import annotations

import asyncio


async def readable(fd: int) -> None:
    """Return when `fd` can be read or its other end is gone; for a pidfd, when the process has ended."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(fd, tell)
    try:
        await ready
    finally:
        loop.remove_reader(fd)
