"""Blobs on the worker's disk."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest

from offload.wire.status import Status, WireError
from offload.worker.cache import BlobCache
from offload.worker.core.values import Content

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Blobs:
    """What can be fetched; counts how often."""

    def __init__(self, *bodies: bytes) -> None:
        self.bodies = {hashlib.sha256(body).hexdigest(): body for body in bodies}
        self.fetched: list[str] = []

    async def fetch(self, sha256: str) -> AsyncIterator[bytes]:
        self.fetched.append(sha256)
        if sha256 not in self.bodies:
            raise WireError(Status.NOT_FOUND, "no such blob")
        yield self.bodies[sha256]

    def content(self, body: bytes) -> Content:
        return Content("pickle", b"", hashlib.sha256(body).hexdigest(), len(body))


async def read(cache: BlobCache, content: Content) -> bytes:
    with await cache.open(content) as file:
        return file.read()


def test_a_blob_is_fetched_once_for_all_who_want_it_at_once(tmp_path: Path):
    blobs = Blobs(b"one")
    cache_dir = tmp_path / "blobs"

    async def main() -> list[bytes]:
        cache = BlobCache(cache_dir, 100, blobs.fetch)
        return await asyncio.gather(*(read(cache, blobs.content(b"one")) for _ in range(5)))

    assert asyncio.run(main()) == [b"one"] * 5
    assert len(blobs.fetched) == 1


def test_a_blob_survives_a_restart_of_the_worker(tmp_path: Path):
    blobs = Blobs(b"one")

    async def main() -> bytes:
        await read(BlobCache(tmp_path, 100, blobs.fetch), blobs.content(b"one"))
        return await read(BlobCache(tmp_path, 100, blobs.fetch), blobs.content(b"one"))

    assert asyncio.run(main()) == b"one"
    assert len(blobs.fetched) == 1


def test_the_least_recently_used_blob_is_dropped_first(tmp_path: Path):
    blobs = Blobs(b"a" * 40, b"b" * 40, b"c" * 40)

    async def main() -> None:
        cache = BlobCache(tmp_path, 100, blobs.fetch)
        for letter in (b"a", b"b", b"a", b"c"):
            await read(cache, blobs.content(letter * 40))

    asyncio.run(main())

    kept = {path.read_bytes()[:1] for path in tmp_path.iterdir()}
    assert kept == {b"a", b"c"}


def test_a_file_that_is_open_outlives_its_blob(tmp_path: Path):
    blobs = Blobs(b"a" * 80, b"b" * 80)

    async def main() -> bytes:
        cache = BlobCache(tmp_path, 100, blobs.fetch)
        with await cache.open(blobs.content(b"a" * 80)) as file:
            await read(cache, blobs.content(b"b" * 80))
            return file.read()

    assert asyncio.run(main()) == b"a" * 80


def test_what_does_not_have_the_promised_hash_is_not_kept(tmp_path: Path):
    blobs = Blobs()
    blobs.bodies["0" * 64] = b"something else"
    cache = BlobCache(tmp_path, 100, blobs.fetch)

    with pytest.raises(OSError, match="promised SHA-256"):
        asyncio.run(cache.open(Content("pickle", b"", "0" * 64, 14)))

    assert not list(tmp_path.iterdir())


def test_a_blob_the_server_does_not_have_is_an_error_that_says_so(tmp_path: Path):
    cache = BlobCache(tmp_path, 100, Blobs().fetch)

    with pytest.raises(OSError, match="no such blob"):
        asyncio.run(cache.open(Content("pickle", b"", "1" * 64, 1)))


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "g" * 64, "A" * 64])
def test_a_name_that_is_no_hash_never_becomes_a_path(tmp_path: Path, name: str):
    cache = BlobCache(tmp_path, 100, Blobs().fetch)

    with pytest.raises(OSError, match="not the name of a blob"):
        asyncio.run(cache.open(Content("pickle", b"", name, 1)))


@pytest.mark.parametrize("damage", [b"two", b"", b"one and more"])
def test_a_blob_that_was_damaged_on_this_disk_is_fetched_again(
    tmp_path: Path, damage: bytes
) -> None:
    blobs = Blobs(b"one")

    async def main() -> tuple[bytes, bytes]:
        cache = BlobCache(tmp_path, 100, blobs.fetch)
        await read(cache, blobs.content(b"one"))
        (tmp_path / blobs.fetched[0]).write_bytes(damage)
        return await read(cache, blobs.content(b"one")), await read(cache, blobs.content(b"one"))

    assert asyncio.run(main()) == (b"one", b"one")
    assert len(blobs.fetched) == 2


def test_a_blob_that_was_damaged_on_the_server_is_asked_for_once_more(tmp_path: Path) -> None:
    blobs = Blobs(b"one")
    refusals = [WireError(Status.DATA_LOSS, "damaged")]

    async def fetch(sha256: str) -> AsyncIterator[bytes]:
        async for data in blobs.fetch(sha256):
            yield data
            if refusals:
                raise refusals.pop()

    async def main() -> tuple[bytes, str]:
        cache = BlobCache(tmp_path, 100, fetch)
        found = await read(cache, blobs.content(b"one"))
        refusals.extend([WireError(Status.DATA_LOSS, "damaged")] * 2)
        with pytest.raises(OSError, match="damaged") as refusal:
            await BlobCache(tmp_path / "other", 100, fetch).open(blobs.content(b"one"))
        return found, str(refusal.value)

    assert asyncio.run(main()) == (b"one", "damaged")


def test_only_a_whole_copy_is_kept_for_others(tmp_path: Path) -> None:
    blobs = Blobs(b"one", b"two")

    async def main() -> list[bytes | None]:
        cache = BlobCache(tmp_path, 100, blobs.fetch)
        await read(cache, blobs.content(b"one"))
        await read(cache, blobs.content(b"two"))
        (tmp_path / blobs.fetched[1]).write_bytes(b"owt")
        found = []
        for name in (*blobs.fetched, "0" * 64):
            file = await cache.kept(name)
            found.append(None if file is None else file.read())
            if file is not None:
                file.close()
        return found

    assert asyncio.run(main()) == [b"one", None, None]
