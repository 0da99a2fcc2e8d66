"""Blobs on this machine: fetched once, verified, bounded in bytes, the least recently used ones dropped first."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections import OrderedDict
from typing import IO, TYPE_CHECKING

from offload.wire.pipeline import WriteBehind
from offload.wire.status import Status, WireError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from offload.worker.core.values import Content

_NAME_CHARS = 64


class BlobCache:
    """A directory of blobs, each named by the SHA-256 of its content."""

    def __init__(
        self, directory: Path, max_bytes: int, fetch: Callable[[str], AsyncIterator[bytes]]
    ) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._fetch = fetch
        self._sizes: OrderedDict[str, int] = OrderedDict()  # least recently used first
        self._fetches: dict[str, asyncio.Task[None]] = {}
        directory.mkdir(parents=True, exist_ok=True)
        self._take_stock()

    @property
    def used_bytes(self) -> int:
        """How much disk the blobs take."""
        return sum(self._sizes.values())

    async def open(self, content: Content) -> IO[bytes]:
        """Return the blob's file, fetching it where it is not here; the caller closes it.

        Raises OSError with one line that says why it cannot be had.
        """
        sha256 = content.sha256
        if len(sha256) != _NAME_CHARS or not set(sha256) <= set("0123456789abcdef"):
            raise OSError(f"{sha256[:_NAME_CHARS]!r} is not the name of a blob")
        if sha256 in self._sizes and not await asyncio.to_thread(self._is_whole, sha256):
            # Damaged on this disk; the server has another copy.
            self._drop(sha256)
        if sha256 not in self._sizes:
            fetch = self._fetches.get(sha256)
            if fetch is None:
                fetch = asyncio.get_running_loop().create_task(self._bring(sha256))
                self._fetches[sha256] = fetch
                fetch.add_done_callback(lambda _: self._fetches.pop(sha256, None))
            # Others may wait for the same blob, so one that gives up does not end the fetching.
            await asyncio.shield(fetch)
        self._sizes.move_to_end(sha256)
        try:
            # Opened at once: what is open survives being dropped from the directory.
            return (self._directory / sha256).open("rb")
        except FileNotFoundError:
            self._sizes.pop(sha256, None)
            raise

    async def kept(self, sha256: str) -> IO[bytes] | None:
        """Return the blob's file where it is here and whole; the caller closes it."""
        if sha256 not in self._sizes or not await asyncio.to_thread(self._is_whole, sha256):
            return None
        return (self._directory / sha256).open("rb")

    def _is_whole(self, sha256: str) -> bool:
        try:
            with (self._directory / sha256).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except OSError:
            return False

    def _drop(self, sha256: str) -> None:
        self._sizes.pop(sha256, None)
        (self._directory / sha256).unlink(missing_ok=True)

    async def close(self) -> None:
        """End what is being fetched. Idempotent."""
        fetches = list(self._fetches.values())
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)

    async def _bring(self, sha256: str) -> None:
        try:
            try:
                await self._bring_once(sha256)
            except WireError as error:
                if error.status is not Status.DATA_LOSS:
                    raise
                # It was damaged there; the server may have got another copy since.
                await self._bring_once(sha256)
        except WireError as error:
            raise OSError(error.message) from error

    async def _bring_once(self, sha256: str) -> None:
        partial = self._directory / f"{sha256}.{secrets.token_hex(4)}.partial"
        digest = hashlib.sha256()
        size_bytes = 0
        try:
            with partial.open("wb") as file:
                behind = WriteBehind(
                    lambda batch: asyncio.to_thread(_append, file, digest.update, batch)
                )
                try:
                    async for chunk in self._fetch(sha256):
                        size_bytes += len(chunk)
                        await behind.add(chunk)
                    await behind.flush()
                finally:
                    await behind.abandon()
            if digest.hexdigest() != sha256:
                raise OSError("what the server sent does not have the promised SHA-256")
            self._make_room(size_bytes)
            partial.rename(self._directory / sha256)
            self._sizes[sha256] = size_bytes
        finally:
            partial.unlink(missing_ok=True)

    def _make_room(self, size_bytes: int) -> None:
        """Drop blobs until the new one fits; one that is larger than the whole cache is kept alone."""
        while self._sizes and self.used_bytes + size_bytes > self._max_bytes:
            oldest, _ = self._sizes.popitem(last=False)
            (self._directory / oldest).unlink(missing_ok=True)

    def _take_stock(self) -> None:
        found = []
        for path in self._directory.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.suffix == ".partial":
                    path.unlink()
                else:
                    facts = path.stat()
                    found.append((facts.st_mtime, path.name, facts.st_size))
        for _, name, size_bytes in sorted(found):
            self._sizes[name] = size_bytes
        self._make_room(0)


def _append(file: IO[bytes], update: Callable[[bytes], None], batch: list[bytes]) -> None:
    for chunk in batch:
        update(chunk)
        file.write(chunk)
