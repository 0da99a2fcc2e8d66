"""Large bytes beside the session: brought from the server and stored there."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import IO, TYPE_CHECKING, Protocol

from offload.wire.gen import blobs_pb2
from offload.wire.limits import BATCH_BYTES, CHUNK_BYTES
from offload.wire.pipeline import read_ahead
from offload.wire.status import LinkClosedError, Status, WireError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offload.wire.link import Link


class Connection(Protocol):
    """Whoever has the link."""

    async def link(self) -> Link:
        """Return the open link; wait while there is none."""


async def download(connection: Connection, sha256: str) -> AsyncIterator[bytes]:
    """Yield a blob's bytes, going on where it broke when the connection is lost. Raises `WireError`."""
    offset = 0
    while True:
        link = await connection.link()
        stream = link.stream("offload.v1.Blobs/Download", blobs_pb2.DownloadChunk)
        try:
            await stream.send(blobs_pb2.DownloadRequest(sha256=sha256, offset=offset))
            await stream.end()
            async for chunk in stream:
                offset += len(chunk.data)
                yield chunk.data
        except LinkClosedError:
            continue
        finally:
            stream.cancel()
        return


async def upload(connection: Connection, file: IO[bytes]) -> tuple[str, int]:
    """Store the file from its start, again when the connection is lost, and return SHA-256 and size.

    Raises `WireError` where the server will not have it.
    """
    while True:
        link = await connection.link()
        try:
            return await _upload_once(link, file)
        except LinkClosedError:
            continue


async def _upload_once(link: Link, file: IO[bytes]) -> tuple[str, int]:
    stream = link.stream("offload.v1.Blobs/Upload", blobs_pb2.UploadReply)
    file.seek(0)
    try:
        pieces = read_ahead(lambda: asyncio.to_thread(file.read, BATCH_BYTES))
        async with aclosing(pieces):
            async for data in pieces:
                for start in range(0, len(data), CHUNK_BYTES):
                    chunk = data[start : start + CHUNK_BYTES]
                    await stream.send(blobs_pb2.UploadChunk(data=chunk))
        await stream.end()
        reply = await stream.receive()
    finally:
        stream.cancel()
    if reply is None:
        raise WireError(Status.INTERNAL, "the server did not confirm a blob it was sent")
    return reply.blob.sha256, reply.blob.size_bytes
