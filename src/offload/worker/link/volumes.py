"""Volumes, as the server keeps them. See `offload.worker.ports.VolumeServer`."""

from __future__ import annotations

import secrets
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

from offload.wire import volume_requests as requests
from offload.wire import volume_transfer
from offload.wire.status import LinkClosedError
from offload.wire.volume_requests import Commit, TreeRequest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from offload.wire.chunking import Batch
    from offload.wire.link import Link
    from offload.wire.trees import Chunk, Entry
    from offload.wire.volume_requests import Change
    from offload.worker.link.blobs import Connection

T = TypeVar("T")


class VolumeLink:
    """See `VolumeServer`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def tree(self, volume_id: str, unless_version: int) -> tuple[int, list[Entry] | None]:
        """See `VolumeServer`."""
        request = TreeRequest(volume_id, unless_version=unless_version)

        async def attempt(link: Link) -> tuple[int, list[Entry] | None]:
            entries: list[Entry] = []
            newest = 0
            async with aclosing(requests.read_tree(link, request)) as pages:
                async for newest, page in pages:  # noqa: B007 - the same in each
                    entries += page
            return newest, None if newest == unless_version else entries

        return await self._repeat(attempt)

    def contents(self, chunks: Sequence[Chunk]) -> AsyncGenerator[bytes, None]:
        """See `VolumeServer`."""
        return volume_transfer.contents(self._repeat, chunks)

    async def upload(self, next_batch: Callable[[], Batch]) -> list[str]:
        """See `VolumeServer`."""
        return (await volume_transfer.upload(self._repeat, next_batch)).names

    async def commit(self, volume_id: str, cause: str, changes: Sequence[Change]) -> int:
        """See `VolumeServer`."""
        order = Commit(volume_id, f"wc-{secrets.token_hex(13)}", cause, changes)
        return await self._repeat(lambda link: requests.commit(link, order))

    async def _repeat(self, attempt: Callable[[Link], Awaitable[T]]) -> T:
        while True:
            link = await self._connection.link()
            try:
                return await attempt(link)
            except LinkClosedError:
                continue
