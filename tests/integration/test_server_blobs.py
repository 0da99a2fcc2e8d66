"""Blobs and volumes of a real server process, over links that break and servers that are killed."""

from __future__ import annotations

import hashlib
import io
import os
from typing import TYPE_CHECKING, TypeVar, cast

import pytest
from google.protobuf.message import Message
from tests.support.control_server import running

from offload.wire import volume_transfer
from offload.wire.chunking import BATCH_BYTES, BATCHES, MAX_CHUNK_BYTES, ChunkReader
from offload.wire.gen import blobs_pb2
from offload.wire.landing import MIN_PACK_BYTES, this_machine
from offload.wire.limits import STREAM_WINDOW_MESSAGES
from offload.wire.status import Status, WireError
from offload.wire.trees import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.support.control_server import Server

    from offload.wire.link import Link, Stream

M = TypeVar("M", bound=Message)
T = TypeVar("T")

PIECE = 4 * 1024
# More than the window of a stream: whoever has sent half of it knows that the server has taken some.
HALF = (STREAM_WINDOW_MESSAGES + 16) * PIECE
CONTENT = os.urandom(2 * HALF)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


async def send(link: Link, begin: int, end: int) -> Stream[blobs_pb2.UploadReply]:
    stream = link.stream("offload.v1.Blobs/Upload", blobs_pb2.UploadReply)
    for start_at in range(begin, end, PIECE):
        chunk = blobs_pb2.UploadChunk(data=CONTENT[start_at : start_at + PIECE])
        if start_at == begin:
            chunk.upload_id, chunk.offset = "up-1", begin
        await stream.send(chunk)
    return stream


async def uploaded(server: Server) -> int:
    asked = blobs_pb2.UploadedRequest(upload_id="up-1")
    link = await server.connect()
    reply = await link.unary("offload.v1.Blobs/Uploaded", asked, blobs_pb2.UploadedReply)
    return reply.size_bytes


def test_an_upload_goes_on_where_its_link_broke(tmp_path: Path) -> None:
    async def scenario(server: Server) -> tuple[int, str]:
        broken = await server.connect()
        await send(broken, 0, HALF)
        await broken.close()
        # The server notices the break in its own time.
        while not (begin := await uploaded(server)):
            pass
        stream = await send(await server.connect(), begin, len(CONTENT))
        await stream.end()
        reply = await stream.receive()
        assert reply is not None
        return begin, reply.blob.sha256

    with running(tmp_path) as server:
        begin, sha256 = server.play(scenario)

    assert 0 < begin <= HALF
    assert sha256 == SHA256


def test_an_upload_that_is_not_here_cannot_go_on(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        stream = await send(await server.connect(), HALF, len(CONTENT))
        await stream.end()
        await stream.receive()

    with running(tmp_path) as server, pytest.raises(WireError, match="begin again") as refusal:
        server.play(scenario)

    assert refusal.value.status is Status.FAILED_PRECONDITION


def test_a_damaged_blob_is_reported_as_such_and_then_missing(tmp_path: Path) -> None:
    async def put(server: Server) -> None:
        stream = await send(await server.connect(), 0, len(CONTENT))
        await stream.end()
        await stream.receive()

    async def read(server: Server) -> None:
        link = await server.connect()
        stream = link.stream("offload.v1.Blobs/Download", blobs_pb2.DownloadChunk)
        await stream.send(blobs_pb2.DownloadRequest(sha256=SHA256))
        await stream.end()
        async for _ in stream:
            pass

    with running(tmp_path) as server:
        server.play(put)
        place = tmp_path / "blobs" / SHA256[:2] / SHA256
        place.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))

        with pytest.raises(WireError, match="upload it again") as first:
            server.play(read)
        with pytest.raises(WireError, match="There is no blob") as second:
            server.play(read)
        server.play(put)
        server.play(read)

    assert first.value.status is Status.DATA_LOSS
    assert second.value.status is Status.NOT_FOUND


class Watched:
    """A link that notes what is asked over it."""

    def __init__(self, link: Link, before_adopting: Callable[[], None] = lambda: None) -> None:
        self.asked: list[str] = []
        self._link = link
        self._before_adopting = before_adopting

    async def unary(self, method: str, request: Message, reply: type[M]) -> M:
        self.asked.append(method.partition("/")[2])
        if method.endswith("/Adopt"):
            self._before_adopting()
        return await self._link.unary(method, request, reply)

    def stream(self, method: str, reply: type[M]) -> Stream[M]:
        self.asked.append(method.partition("/")[2])
        return self._link.stream(method, reply)


async def put_volume(watched: Watched, content: bytes) -> int:
    """Upload a file's chunks as the SDK and workers do, and read them back; return how many bytes were sent."""

    async def over(attempt: Callable[[Link], Awaitable[T]]) -> T:
        return await attempt(cast("Link", watched))

    reader = ChunkReader([(Entry("file", Kind.FILE), io.BytesIO(content))])
    sent = await volume_transfer.upload(over, reader.next_batch)
    (entry,) = reader.entries(sent.names)
    pieces = [data async for data in volume_transfer.contents(over, entry.chunks)]
    assert b"".join(pieces) == content
    return sent.sent_bytes


def landing_of(data_dir: Path) -> Path:
    (folder,) = (data_dir / "blobs" / "packed").glob("landing-*")
    return folder


@pytest.mark.skipif(not this_machine(), reason="this system does not say which machine it is")
def test_a_client_on_the_servers_machine_puts_chunks_where_they_stay_and_sends_them_where_it_cannot(
    tmp_path: Path,
) -> None:
    def spoil() -> None:
        (landed,) = landing_of(tmp_path).iterdir()
        with landed.open("r+b") as file:
            file.write(b"what nobody put")

    async def scenario(server: Server) -> dict[str, list[str]]:
        link = await server.connect()
        seen = {}
        for name, watched in {
            "landed": Watched(link),
            "spoiled": Watched(link, spoil),
            "closed": Watched(link),
        }.items():
            if name == "closed":
                landing_of(tmp_path).chmod(0o755)
            await put_volume(watched, os.urandom(2 * MIN_PACK_BYTES))
            seen[name] = [method for method in watched.asked if method != "DownloadMany"]
        return seen

    with running(tmp_path) as server:
        seen = server.play(scenario)
        left = list(landing_of(tmp_path).iterdir())

    assert seen["landed"][:2] == ["Missing", "Adopt"]
    assert seen["spoiled"] == ["Missing", "Adopt", "Missing", "UploadMany"]
    assert seen["closed"] == ["Missing", "Missing", "UploadMany"]
    assert left == []


@pytest.mark.parametrize("sees_the_folder", [True, False])
def test_only_what_the_server_does_not_have_is_sent(tmp_path: Path, sees_the_folder: bool) -> None:
    content = os.urandom(3 * BATCH_BYTES)
    middle = len(content) // 2
    longer = content[:middle] + os.urandom(10_000) + content[middle:]

    async def scenario(server: Server) -> list[int]:
        if not sees_the_folder:
            landing_of(tmp_path).chmod(0o755)
        watched = Watched(await server.connect())
        return [await put_volume(watched, data) for data in (content, content, longer)]

    with running(tmp_path) as server:
        first, again, changed = server.play(scenario)

    assert (first, again) == (len(content), 0)
    assert 10_000 < changed < 3 * MAX_CHUNK_BYTES


def test_what_repeats_is_sent_as_often_as_it_is_on_its_way_at_most(tmp_path: Path) -> None:
    async def scenario(server: Server) -> int:
        return await put_volume(Watched(await server.connect()), bytes(8 * BATCH_BYTES))

    with running(tmp_path) as server:
        sent = server.play(scenario)

    assert MAX_CHUNK_BYTES <= sent <= (BATCHES + 1) * MAX_CHUNK_BYTES
