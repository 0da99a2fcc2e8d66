"""Requests about volumes: trees, and the chunks of their files on the way up and down."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from offload.sdk.client import bodies
from offload.sdk.client.refusals import from_wire
from offload.sdk.ids import new_id
from offload.wire import volume_requests as requests
from offload.wire import volume_transfer
from offload.wire.gen import volumes_pb2
from offload.wire.status import LinkClosedError, WireError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from offload.sdk.client.connection import Connection
    from offload.wire.chunking import Batch
    from offload.wire.trees import Chunk, Entry
    from offload.wire.volume_requests import Change, Snapshot, TreeRequest


class VolumeRequests:
    """One method for each request. Every coroutine runs on the connection's loop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def commit(self, volume_id: str, cause: str, changes: Sequence[Change]) -> int:
        """Make changes one version; return the number of the newest version."""
        order = requests.Commit(volume_id, new_id("vc-"), cause, changes)
        return await self._connection.repeat(lambda link: requests.commit(link, order))

    async def ask_worker(self, method: str, volume_id: str) -> None:
        """Have the worker of this container commit or reload a mount."""
        request = volumes_pb2.MountRequest(volume_id=volume_id)
        await self._connection.repeat(
            lambda link: link.unary(method, request, volumes_pb2.MountReply)
        )

    async def restore(self, volume_id: str, version: int) -> int:
        """Make an earlier version the newest; return the number it has then."""
        commit_id = new_id("vc-")
        return await self._connection.repeat(
            lambda link: requests.restore(link, volume_id, version, commit_id)
        )

    async def snapshots(self, volume_id: str, limit: int) -> list[Snapshot]:
        """List versions, newest first."""
        return await self._connection.repeat(
            lambda link: requests.snapshots(link, volume_id, limit)
        )

    async def entries(self, request: TreeRequest) -> AsyncGenerator[list[Entry], None]:
        """Yield what stands in a version, in the order of the paths, in pages."""
        last = ""
        while True:
            link = await self._connection.link()
            try:
                async with aclosing(requests.read_tree(link, request)) as pages:
                    async for version, page in pages:
                        # After a break it goes on in the version that it began with.
                        request = request._replace(version=version)
                        new = [entry for entry in page if entry.path > last]
                        if new:
                            last = new[-1].path
                            yield new
            except LinkClosedError:
                await link.close()
            except WireError as error:
                raise from_wire(error) from None
            else:
                return

    async def upload(
        self,
        next_batch: Callable[[], Batch],
        on_sent: Callable[[int], None] = lambda _: None,
    ) -> volume_transfer.Uploaded:
        """See `volume_transfer.upload`."""
        if self._connection.is_inside:
            return await self._upload_unasked(next_batch, on_sent)
        return await volume_transfer.upload(self._connection.repeat, next_batch, on_sent)

    async def _upload_unasked(
        self, next_batch: Callable[[], Batch], on_sent: Callable[[int], None]
    ) -> volume_transfer.Uploaded:
        """Store chunks one by one: a container that asked which are there would learn what other tenants have."""
        names: list[str] = []
        sent_bytes = 0
        while batch := await asyncio.to_thread(next_batch):
            for chunk in batch.chunks():
                names.append(await bodies.store(self._connection, chunk))
                sent_bytes += len(chunk)
                on_sent(len(chunk))
        return volume_transfer.Uploaded(names, sent_bytes)

    def contents(self, chunks: Sequence[Chunk]) -> AsyncGenerator[bytes, None]:
        """See `volume_transfer.contents`."""
        return volume_transfer.contents(self._connection.repeat, chunks)
