"""Blobs through a few threads, a chunk at a time: one blob costs the server one chunk of memory."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, TypeVar

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.ports.blobs import BlobCorruptError, BlobError, BlobMissingError, Blobs
from offload.control.services.parked import ParkedUploads
from offload.wire.limits import BATCH_BYTES, CHUNK_BYTES
from offload.wire.pipeline import WriteBehind, read_ahead
from offload.wire.status import LinkClosedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence

    from offload.control.ports.blobs import BlobReader, BlobWriter
    from offload.control.services.copies import Copies

READ_BYTES = 1024 * 1024  # for each turn of a thread
MAX_CHUNK_BYTES = 1024 * 1024

# A volume's chunks: several are written at once, and none is a whole file.
MAX_MANY_BYTES = 4 * 1024 * 1024
MANY_BATCH_BYTES = 32 * 1024 * 1024
READ_MANY = 32

P = ParamSpec("P")
T = TypeVar("T")


class NamedPiece(NamedTuple):
    """A piece of a blob among others; `more` where the next one continues it."""

    sha256: str
    data: bytes
    more: bool


class BlobStreams:
    """Uploads and downloads. What is found damaged is asked of workers, and read again where one has it."""

    def __init__(self, blobs: Blobs, copies: Copies) -> None:
        self._blobs = blobs
        self._copies = copies
        self._parked = ParkedUploads()
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="blobs")

    async def upload(
        self, chunks: AsyncIterator[tuple[str, bytes]], upload_id: str = "", offset: int = 0
    ) -> tuple[str, int]:
        """Store the chunks' bytes; return their SHA-256 and size. The first chunk may name the SHA-256.

        With an id, what came before a break stays for a while, and another call goes on from there.
        """
        parked = self._parked.take(upload_id, offset)
        writer = await self._call(self._blobs.writer) if parked is None else parked
        behind = WriteBehind(lambda batch: self._call(_write_all, writer, batch))
        expected, size_bytes = "", offset
        try:
            async for sha256, data in chunks:
                expected = expected or sha256
                if expected:
                    _check_sha256(expected)
                size_bytes += len(data)
                if len(data) > MAX_CHUNK_BYTES:
                    raise DomainError(
                        ErrorCode.INVALID,
                        f"A chunk of {len(data)} bytes is too large: send at most {MAX_CHUNK_BYTES}.",
                    )
                await behind.add(data)
            await behind.flush()
            stored = await self._call(writer.commit, expected)
        except (asyncio.CancelledError, LinkClosedError):
            if upload_id:
                await behind.flush()
                self._parked.put(upload_id, writer, size_bytes)
            raise
        finally:
            # In the loop's own thread: a cancelled upload must not leave its file behind.
            if not self._parked.has(writer):
                writer.abort()
        self._copies.came([stored[0]])
        return stored

    def uploaded(self, upload_id: str) -> int:
        """Return how much of an upload that broke is here."""
        return self._parked.size_bytes(upload_id)

    async def download(self, sha256: str, offset: int) -> AsyncIterator[bytes]:
        """Yield a blob's bytes from `offset` on."""
        _check_sha256(sha256)
        has_begun = False
        while True:
            reader = await self._read([sha256], self._blobs.reader, sha256, offset)
            try:
                async with aclosing(self._pieces(reader)) as pieces:
                    async for data in pieces:
                        has_begun = True
                        for start in range(0, len(data), CHUNK_BYTES):
                            yield data[start : start + CHUNK_BYTES]
            except BlobError as error:
                is_back = await self._is_back(error, [sha256])
                if is_back and has_begun:
                    # What was sent is of the damaged one, and cannot be taken back.
                    text = f"The blob {sha256} was damaged, and another copy is here now: read it again."
                    raise DomainError(ErrorCode.CORRUPTED, text) from error
                if not is_back:
                    raise _refusal(error) from error
            else:
                return
            finally:
                reader.close()

    def _pieces(self, reader: BlobReader) -> AsyncGenerator[bytes, None]:
        return read_ahead(lambda: self._run(reader.read, READ_BYTES))

    async def missing(self, names: Sequence[str]) -> list[str]:
        """Return those of the SHA-256s that are not stored."""
        for name in names:
            _check_sha256(name)
        return await self._call(self._blobs.missing, names)

    async def upload_many(self, pieces: AsyncIterator[list[NamedPiece]]) -> None:
        """Store many blobs; all are on disk when this returns."""
        batch: dict[str, bytes] = {}
        size_bytes = 0
        parts: list[bytes] = []
        behind: asyncio.Future[None] | None = None
        try:
            async for page in pieces:
                for piece in page:
                    parts.append(piece.data)
                    if sum(map(len, parts)) > MAX_MANY_BYTES:
                        raise _too_large(repr(piece.sha256[:64]))
                    if piece.more:
                        continue
                    _check_sha256(piece.sha256)
                    batch[piece.sha256] = parts[0] if len(parts) == 1 else b"".join(parts)
                    size_bytes += len(batch[piece.sha256])
                    parts = []
                if size_bytes >= MANY_BATCH_BYTES:
                    # One batch is synced while the next one comes.
                    if behind is not None:
                        await behind
                    behind = asyncio.ensure_future(self._write_many(batch))
                    batch, size_bytes = {}, 0
        finally:
            if behind is not None:
                await behind
        if batch:
            await self._write_many(batch)

    async def landing(self, machine: str) -> str:
        """Return the folder in which a client on that machine may put packs for `adopt`; empty where there is none."""
        return await self._call(self._blobs.landing, machine) if machine else ""

    async def adopt(self, pack: str, sizes: Sequence[int]) -> list[str]:
        """Keep the blobs of a file in the landing folder; return their SHA-256s. All are on disk then."""
        if max(sizes, default=0) > MAX_MANY_BYTES:
            raise _too_large(f"in {pack[:80]!r}")
        names = await self._call(self._blobs.adopt, pack, sizes)
        self._copies.came(names)
        return names

    async def _write_many(self, batch: dict[str, bytes]) -> None:
        await self._call(self._blobs.write_many, batch)
        self._copies.came(batch)

    async def download_many(self, names: Sequence[str]) -> AsyncIterator[list[NamedPiece]]:
        """Yield the content of many blobs, verified, each blob's pieces in order."""
        for name in names:
            _check_sha256(name)
        page: list[NamedPiece] = []
        size_bytes = 0
        for start in range(0, len(names), READ_MANY):
            wanted = names[start : start + READ_MANY]
            found = await self._read(wanted, self._blobs.read_many, wanted)
            for sha256, data in found.items():
                for piece in _cut(sha256, data):
                    page.append(piece)
                    size_bytes += len(piece.data) + 100
                    if size_bytes >= BATCH_BYTES:
                        yield page
                        page, size_bytes = [], 0
        if page:
            yield page

    def close(self) -> None:
        """Let the threads go. Idempotent."""
        self._parked.close()
        self._threads.shutdown(wait=True)

    async def _read(
        self, names: Sequence[str], function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Read what is made of these blobs, again for each that is damaged and comes back."""
        for _ in names:
            try:
                return await self._run(function, *args, **kwargs)
            except BlobError as error:
                if not await self._is_back(error, names):
                    raise _refusal(error) from error
        return await self._call(function, *args, **kwargs)

    async def _is_back(self, error: BlobError, names: Sequence[str]) -> bool:
        if isinstance(error, BlobCorruptError) and error.lost_sha256:
            self._copies.lose(error.lost_sha256)
        elif not isinstance(error, BlobMissingError):
            return False
        return await self._copies.bring(names)

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await self._run(function, *args, **kwargs)
        except BlobError as error:
            raise _refusal(error) from error

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))


def _refusal(error: BlobError) -> DomainError:
    if isinstance(error, BlobMissingError):
        return DomainError(ErrorCode.NOT_FOUND, error.message)
    if isinstance(error, BlobCorruptError):
        return DomainError(ErrorCode.CORRUPTED, error.message)
    return DomainError(ErrorCode.RESOURCE_EXHAUSTED, error.message)


def _too_large(blob: str) -> DomainError:
    return DomainError(
        ErrorCode.INVALID,
        f"The blob {blob} is larger than {MAX_MANY_BYTES} bytes: upload it by itself.",
    )


def _cut(sha256: str, data: bytes) -> Iterator[NamedPiece]:
    for start in range(0, max(1, len(data)), BATCH_BYTES):
        end = start + BATCH_BYTES
        yield NamedPiece(sha256, data[start:end], end < len(data))


def _write_all(writer: BlobWriter, batch: list[bytes]) -> None:
    for data in batch:
        writer.write(data)


def _check_sha256(name: str) -> None:
    if len(name) != 64 or not set(name) <= set("0123456789abcdef"):
        raise DomainError(
            ErrorCode.INVALID, f"{name[:80]!r} is not a SHA-256 of 64 lower-case hex digits."
        )
