"""A server of volumes in memory, for what a worker does with them."""

from __future__ import annotations

import asyncio
import hashlib
import io
from typing import TYPE_CHECKING

from tests.support.trees import VOLUME, commit, listing

from offload.control.core.trees import Changes
from offload.control.ports.volumes import TreeCommit
from offload.control.stores.memory import MemoryStore
from offload.wire.chunking import ChunkReader
from offload.wire.trees import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

    from offload.wire.chunking import Batch
    from offload.wire.trees import Chunk
    from offload.wire.volume_requests import Change


class KeptVolumes:
    """See `offload.worker.ports.VolumeServer`."""

    def __init__(self) -> None:
        self.trees = MemoryStore().volumes
        self.chunks: dict[str, bytes] = {}
        self.fetched_bytes = 0
        self.committed = asyncio.Event()  # by a container
        self.before_upload: Callable[[], Awaitable[None]] | None = None  # awaited by each

    def put(self, files: Mapping[str, str], removes: tuple[str, ...] = ()) -> None:
        """Commit files, as another container would."""
        reader = ChunkReader(
            (Entry(path, Kind.FILE), io.BytesIO(text.encode())) for path, text in files.items()
        )
        commit(self.trees, *reader.entries(self._keep(reader.next_batch)), remove_trees=removes)

    def put_folder(self, path: str, mode: int) -> None:
        """Commit a folder."""
        commit(self.trees, Entry(path, Kind.DIRECTORY, mode))

    def files(self) -> dict[str, str]:
        """Return what is in the files of the newest version."""
        return {
            path: b"".join(self.chunks[chunk.sha256] for chunk in entry.chunks).decode()
            for path, entry in sorted(listing(self.trees).items())
            if entry.kind is Kind.FILE
        }

    def newest(self) -> int:
        """Return the number of the newest version."""
        return self.trees.newest(VOLUME)

    async def tree(self, volume_id: str, unless_version: int) -> tuple[int, list[Entry] | None]:
        newest = self.trees.newest(volume_id)
        if newest and newest == unless_version:
            return newest, None
        return newest, list(listing(self.trees, newest, volume_id).values()) if newest else []

    async def contents(self, chunks: Sequence[Chunk]) -> AsyncGenerator[bytes, None]:
        for chunk in chunks:
            self.fetched_bytes += chunk.size_bytes
            yield self.chunks[chunk.sha256]

    async def upload(self, next_batch: Callable[[], Batch]) -> list[str]:
        if self.before_upload is not None:
            await self.before_upload()
        return self._keep(next_batch)

    def _keep(self, next_batch: Callable[[], Batch]) -> list[str]:
        names = []
        while batch := next_batch():
            for data in batch.chunks():
                names.append(hashlib.sha256(data).hexdigest())
                self.chunks[names[-1]] = bytes(data)
        return names

    async def commit(self, volume_id: str, cause: str, changes: Sequence[Change]) -> int:
        puts = tuple(change.put for change in changes if change.put is not None)
        removes = tuple(change.path for change in changes if change.kind == "remove")
        number = self.trees.newest(volume_id)
        wanted = Changes(puts, removes)
        self.committed.set()
        return self.trees.commit(TreeCommit(volume_id, f"w{number}", cause, 2.0, wanted)).number
