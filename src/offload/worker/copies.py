"""Gives the server its own blobs back, where it has lost them and this machine still has what it fetched."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from offload.wire.status import WireError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import IO

    from offload.worker.cache import BlobCache
    from offload.worker.volumes import Volumes

_log = logging.getLogger(__name__)


class Copies:
    """What of this machine's caches the server has asked for."""

    def __init__(
        self,
        cache: BlobCache,
        volumes: Volumes,
        upload: Callable[[IO[bytes]], Awaitable[tuple[str, int]]],
    ) -> None:
        self._cache = cache
        self._volumes = volumes
        self._upload = upload
        self._wanted: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def give(self, names: Iterable[str]) -> None:
        """Upload what is here of these blobs, as far as that is not under way."""
        for name in set(names) - self._wanted:
            self._wanted.add(name)
            task = asyncio.create_task(self._give(name), name=f"copy of {name}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is under way. Idempotent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _give(self, name: str) -> None:
        try:
            file = await self._cache.kept(name)
            if file is not None:
                with file:
                    await self._upload(file)
            elif not await self._volumes.give_chunk(name):
                return
        except (WireError, OSError) as error:
            _log.warning("copy_not_given %s %s", name, error)
        else:
            _log.info("copy_given %s", name)
        finally:
            self._wanted.discard(name)
