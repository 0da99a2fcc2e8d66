"""Whole files of volumes on this machine: fetched once, bounded in bytes, the least recently used dropped first."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections import Counter, OrderedDict
from contextlib import aclosing, asynccontextmanager, suppress
from typing import IO, TYPE_CHECKING, Protocol

from offload.wire.trees import Chunk, Entry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence
    from pathlib import Path

# Files that are written one after the other from one stream of chunks.
_AT_ONCE_BYTES = 64 * 1024 * 1024


class Fetch(Protocol):
    """Whoever has the chunks."""

    def contents(self, chunks: Sequence[Chunk]) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of chunks in this order, verified. Raises `WireError`."""


class FileCache:
    """A directory of files, each named by its chunks, permissions and time: another name of one is a file of a read-only view."""

    def __init__(self, directory: Path, max_bytes: int, fetch: Fetch) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._fetch = fetch
        self._sizes: OrderedDict[str, int] = OrderedDict()  # least recently used first
        self._used_bytes = 0
        self._chunks: dict[
            bytes, tuple[str, int, int]
        ] = {}  # file, offset, size: where one can be had
        self._coming: dict[str, asyncio.Future[None]] = {}
        self._pins: Counter[str] = Counter()  # files that are about to be used
        directory.mkdir(parents=True, exist_ok=True)
        self._take_stock()

    def place(self, entry: Entry) -> Path:
        """Return where the file is, once it has been brought."""
        return self._directory / _name(entry)

    @asynccontextmanager
    async def held(self, entries: Sequence[Entry]) -> AsyncGenerator[None, None]:
        """Have all of these files here for as long as the block runs. Raises `WireError`, `OSError`."""
        names = {_name(entry) for entry in entries}
        self._pins.update(names)
        try:
            await self._bring(entries)
            yield
        finally:
            self._pins.subtract(names)
            self._pins += Counter()  # drops what is not pinned any more
            self._make_room(0)

    async def _bring(self, entries: Iterable[Entry]) -> None:
        wanted = {_name(entry): entry for entry in entries}
        waiting = [self._coming[name] for name in wanted if name in self._coming]
        new = {
            name: entry
            for name, entry in wanted.items()
            if name not in self._coming and name not in self._sizes
        }
        for name in wanted:
            if name in self._sizes:
                self._sizes.move_to_end(name)
        loop = asyncio.get_running_loop()
        for name in new:
            self._coming[name] = loop.create_future()
        try:
            await self._bring_new(new)
        except BaseException as error:
            for name in new:
                future = self._coming[name]
                if not future.done():
                    future.set_exception(OSError(f"a file of the volume could not be had: {error}"))
                    future.exception()  # perhaps nobody waits for it
            raise
        finally:
            for name in new:
                future = self._coming.pop(name)
                if not future.done():
                    future.set_result(None)
        if waiting:
            await asyncio.gather(*waiting)
            await self._bring(wanted.values())

    async def _bring_new(self, new: dict[str, Entry]) -> None:
        left = list(new.items())
        while left:
            part, size_bytes = [], 0
            while left and size_bytes < _AT_ONCE_BYTES:
                part.append(left.pop())
                size_bytes += part[-1][1].size_bytes
            await self._bring_part(part)

    async def _bring_part(self, part: list[tuple[str, Entry]]) -> None:
        """Write some files from what is on this machine and one stream of what is not."""
        here: dict[bytes, bytes] = {}
        missing: list[Chunk] = []
        for _, entry in part:
            for chunk in entry.chunks:
                if chunk.digest in here:
                    continue
                found = None
                if chunk.digest in self._chunks:
                    found = await asyncio.to_thread(self.chunk, chunk.digest)
                if found is None:
                    missing.append(chunk)
                else:
                    here[chunk.digest] = found
        async with aclosing(self._fetch.contents(missing)) as coming:
            for name, entry in part:
                await self._write(name, entry, here, coming)

    async def _write(
        self,
        name: str,
        entry: Entry,
        here: dict[bytes, bytes],
        coming: AsyncGenerator[bytes, None],
    ) -> None:
        draft = self._directory / f"{name}.{secrets.token_hex(4)}.partial"
        pieces: list[bytes] = []
        size_bytes = 0
        try:
            with draft.open("wb", buffering=0) as file:
                for chunk in entry.chunks:
                    found = here.get(chunk.digest)
                    pieces.append(await anext(coming) if found is None else found)
                    size_bytes += chunk.size_bytes
                    if size_bytes >= 1 << 20:
                        await asyncio.to_thread(_write_all, file, pieces)
                        pieces, size_bytes = [], 0
                _write_all(file, pieces)
                os.fchmod(file.fileno(), _read_only_mode(entry))
                os.utime(file.fileno(), ns=(entry.mtime_ns, entry.mtime_ns))
            self._make_room(entry.size_bytes)
            draft.rename(self._directory / name)
        finally:
            draft.unlink(missing_ok=True)
        self._sizes[name] = entry.size_bytes
        self._used_bytes += entry.size_bytes
        self._note_chunks(name, entry)

    def _note_chunks(self, name: str, entry: Entry) -> None:
        offset = 0
        for chunk in entry.chunks:
            self._chunks[chunk.digest] = (name, offset, chunk.size_bytes)
            offset += chunk.size_bytes

    def chunk(self, digest: bytes) -> bytes | None:
        """Return a chunk of a file that is here, where it is still what it was. Blocking."""
        name, offset, size_bytes = self._chunks.get(digest, ("", 0, 0))
        if name not in self._sizes:
            self._chunks.pop(digest, None)
            return None
        with suppress(OSError), (self._directory / name).open("rb") as file:
            file.seek(offset)
            data = file.read(size_bytes)
            if hashlib.sha256(data).digest() == digest:
                return data
        return None

    def _make_room(self, size_bytes: int) -> None:
        """Drop files until the new one fits, as far as nobody is about to use them. Views that have them keep them."""
        if self._used_bytes + size_bytes <= self._max_bytes:
            return
        for name in [name for name in self._sizes if name not in self._pins]:
            self._used_bytes -= self._sizes.pop(name)
            (self._directory / name).unlink(missing_ok=True)
            if self._used_bytes + size_bytes <= self._max_bytes:
                return

    def _take_stock(self) -> None:
        found = []
        for path in self._directory.iterdir():
            if path.suffix == ".partial":
                path.unlink()
            else:
                status = path.stat()
                found.append((status.st_atime, path.name, status.st_size))
        for _, name, size_bytes in sorted(found):
            self._sizes[name] = size_bytes
            self._used_bytes += size_bytes
        self._make_room(0)


def _name(entry: Entry) -> str:
    # What is an attribute of the file is in the name: a second name of a file shares them.
    facts = b"%o %d " % (_read_only_mode(entry), entry.mtime_ns)
    return hashlib.sha256(facts + entry.content).hexdigest()


def _read_only_mode(entry: Entry) -> int:
    """Return who may read and run a file: everybody who sees it, if its owner may."""
    return 0o444 | (0o111 if entry.mode & 0o100 else 0)


def _write_all(file: IO[bytes], pieces: list[bytes]) -> None:
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            rest = rest[file.write(rest) :]
