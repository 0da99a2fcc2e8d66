"""Volumes: commits and reads of their trees. What is in the files is uploaded before, as blobs."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.objects import ObjectKind
from offload.control.core.trees import Changes, check_changes
from offload.control.ports.store import Store, StoreError
from offload.control.ports.volumes import TreeCommit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from offload.control.ports.clock import Clock
    from offload.control.ports.volumes import TreeSnapshot, Version
    from offload.control.services.blobs import BlobStreams
    from offload.control.services.objects import Objects
    from offload.wire.trees import Entry

PAGE_ENTRIES = 2_000
MAX_SNAPSHOTS = 1_000
MAX_ID_CHARACTERS = 64
_NAMED_MISSING = 3  # of blobs that are missing, in the message

P = ParamSpec("P")
T = TypeVar("T")


class Volumes:
    """Reads and changes trees."""

    def __init__(self, store: Store, objects: Objects, blobs: BlobStreams, clock: Clock) -> None:
        self._trees = store.volumes
        self._objects = objects
        self._blobs = blobs
        self._clock = clock
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="volumes")

    async def commit(self, volume_id: str, commit_id: str, cause: str, changes: Changes) -> Version:
        """Make the changes one version, once it is on disk.

        Their blobs must be there: asking for them keeps them from being collected until the version names them.
        """
        await self._require(volume_id, commit_id)
        check_changes(changes)
        wanted = {chunk.sha256 for entry in changes.puts for chunk in entry.chunks}
        missing = await self._blobs.missing(sorted(wanted))
        if missing:
            named = ", ".join(missing[:_NAMED_MISSING])
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION,
                f"{len(missing)} chunks of this commit are not here ({named}): upload them, and commit again.",
            )
        commit = TreeCommit(volume_id, commit_id, cause, self._clock.now(), changes)
        return await self._call(self._trees.commit, commit)

    async def restore(self, volume_id: str, version: int, commit_id: str) -> Version:
        """Make the tree of an earlier version the newest."""
        await self._require(volume_id, commit_id)
        cause = f"restore of {version}"
        commit = TreeCommit(volume_id, commit_id, cause, self._clock.now(), Changes())
        made = await self._call(self._trees.restore, commit, version)
        if made is None:
            raise _not_kept(version)
        return made

    async def newest(self, volume_id: str) -> int:
        """Return the number of the newest version."""
        await self._require(volume_id)
        return await self._call(self._trees.newest, volume_id)

    async def entries(
        self, volume_id: str, version: int, path: str, *, shallow: bool
    ) -> AsyncIterator[list[Entry]]:
        """Yield what stands in a version, in pages; see `VolumeStore.entries`."""
        after = ""
        while True:
            page = await self._call(
                self._trees.entries, volume_id, version, path, after, PAGE_ENTRIES, shallow=shallow
            )
            if page is None:
                raise _not_kept(version)
            yield page
            if len(page) < PAGE_ENTRIES:
                return
            after = page[-1].path

    async def snapshots(self, volume_id: str, limit: int) -> list[TreeSnapshot]:
        """List the versions that can be read and restored, newest first."""
        await self._require(volume_id)
        return await self._call(
            self._trees.snapshots, volume_id, min(limit or MAX_SNAPSHOTS, MAX_SNAPSHOTS)
        )

    def close(self) -> None:
        """Let the threads go. Idempotent."""
        self._threads.shutdown(wait=True)

    async def _require(self, volume_id: str, commit_id: str = "-") -> None:
        await self._objects.require(volume_id, ObjectKind.VOLUME, None)
        if not 0 < len(commit_id) <= MAX_ID_CHARACTERS:
            raise DomainError(
                ErrorCode.INVALID,
                f"A commit needs an id of at most {MAX_ID_CHARACTERS} characters.",
            )

    async def _call(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, lambda: method(*args, **kwargs))
        except StoreError as error:
            raise DomainError(ErrorCode.RESOURCE_EXHAUSTED, error.message) from error


def _not_kept(version: int) -> DomainError:
    return DomainError(
        ErrorCode.NOT_FOUND,
        f"There is no version {version} of the volume (any more): `offload volume snapshots` lists those that are kept.",
    )
