"""Blobs that are damaged on the server's disk, and workers that have copies."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest
from tests.support.clock import SettableClock

from offload.control.blobs.disk import DiskBlobs
from offload.control.core.errors import DomainError, ErrorCode
from offload.control.services.blobs import READ_BYTES, BlobStreams, NamedPiece
from offload.control.services.copies import Copies
from offload.control.services.sessions import WorkerSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

SMALL, LARGE = b"small" * 100, b"large" * READ_BYTES


class Stage:
    """A server's blobs on a disk that can be damaged, and one worker."""

    def __init__(self, directory: Path, patience_seconds: float) -> None:
        self.sessions: dict[str, WorkerSession] = {}
        self.copies = Copies(self.sessions, patience_seconds)
        self.streams = BlobStreams(DiskBlobs(directory, SettableClock()), self.copies)
        self.asked = asyncio.Event()
        self._directory = directory

    async def put(self, content: bytes) -> str:
        async def chunks() -> AsyncIterator[tuple[str, bytes]]:
            for start in range(0, len(content), 1 << 20):
                yield "", content[start : start + (1 << 20)]

        return (await self.streams.upload(chunks()))[0]

    async def read(self, sha256: str) -> bytes:
        async with aclosing(self.streams.download(sha256, 0)) as pieces:  # type: ignore[type-var]  # a generator
            return b"".join([piece async for piece in pieces])

    def damage(self, sha256: str) -> None:
        place = self._directory / sha256[:2] / sha256
        place.write_bytes(place.read_bytes()[:-1] + b"!")

    def connect(self, *kept: bytes) -> asyncio.Task[list[str]]:
        """Have a worker that gives the copies it has; return what it is asked for."""
        session = self.sessions["wk-1"] = WorkerSession("wk-1")

        async def work() -> list[str]:
            asked: list[str] = []
            by_name = {hashlib.sha256(content).hexdigest(): content for content in kept}
            while (batch := await session.next_batch()) is not None:
                asked += batch.bring
                self.asked.set()
                for name in batch.bring:
                    if name in by_name:
                        await self.put(by_name[name])
            return asked

        return asyncio.create_task(work())


def play(
    tmp_path: Path, scenario: Callable[[Stage], Awaitable[None]], patience_seconds: float = 60
) -> None:
    async def run() -> None:
        stage = Stage(tmp_path, patience_seconds)
        try:
            await scenario(stage)
        finally:
            stage.streams.close()

    asyncio.run(run())


def test_whoever_reads_a_damaged_blob_gets_the_copy_of_a_worker(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        worker = stage.connect(SMALL, b"other")
        sha256 = await stage.put(SMALL)
        stage.damage(sha256)

        assert await stage.read(sha256) == SMALL
        assert await stage.read(sha256) == SMALL

        stage.sessions["wk-1"].close()
        assert await worker == [sha256]

    play(tmp_path, scenario)


def test_a_reader_who_has_damaged_bytes_is_told_and_the_next_one_reads_the_copy(
    tmp_path: Path,
) -> None:
    async def scenario(stage: Stage) -> None:
        worker = stage.connect(LARGE)
        sha256 = await stage.put(LARGE)
        stage.damage(sha256)

        with pytest.raises(DomainError, match="read it again") as refusal:
            await stage.read(sha256)

        assert refusal.value.code is ErrorCode.CORRUPTED
        assert await stage.read(sha256) == LARGE
        worker.cancel()

    play(tmp_path, scenario)


def test_damaged_chunks_of_a_volume_come_back_too(tmp_path: Path) -> None:
    contents = [b"%d" % number * 100 for number in range(4)]

    async def scenario(stage: Stage) -> None:
        worker = stage.connect(*contents)
        names = [await stage.put(content) for content in contents]
        for name in names[:2]:
            stage.damage(name)

        found: dict[str, bytes] = {}
        async for page in stage.streams.download_many(names):
            found |= {piece.sha256: piece.data for piece in page}

        assert list(map(found.get, names)) == contents
        worker.cancel()

    play(tmp_path, scenario)


def test_a_damaged_blob_of_which_nobody_has_a_copy_is_reported_as_such(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        alone, asked = await stage.put(SMALL), await stage.put(b"asked")
        stage.damage(alone)
        stage.damage(asked)

        codes = []
        with pytest.raises(DomainError, match="upload it again") as refusal:
            await stage.read(alone)
        codes.append(refusal.value.code)
        worker = stage.connect()
        for _ in range(2):
            with pytest.raises(DomainError, match="upload it again") as refusal:
                await stage.read(asked)
            codes.append(refusal.value.code)

        assert codes == [ErrorCode.CORRUPTED, ErrorCode.CORRUPTED, ErrorCode.NOT_FOUND]
        worker.cancel()

    play(tmp_path, scenario, patience_seconds=0.05)


def test_a_lost_blob_is_asked_for_again_once_a_worker_is_there(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        sha256 = await stage.put(SMALL)
        stage.damage(sha256)
        with pytest.raises(DomainError):
            await stage.read(sha256)

        worker = stage.connect(SMALL)

        assert await stage.read(sha256) == SMALL
        worker.cancel()

    play(tmp_path, scenario)


def test_whoever_uploads_a_lost_blob_again_ends_the_waiting_for_it(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        worker = stage.connect()
        sha256 = await stage.put(SMALL)
        stage.damage(sha256)
        reading = asyncio.create_task(stage.read(sha256))
        await stage.asked.wait()

        async def again() -> AsyncIterator[list[NamedPiece]]:
            yield [NamedPiece(sha256, SMALL, more=False)]

        await stage.streams.upload_many(again())

        assert await reading == SMALL
        worker.cancel()

    play(tmp_path, scenario)
