"""A user's bytes on their way: inside a message when small, else as a blob that is streamed."""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING

from offload.wire.gen import blobs_pb2, common_pb2
from offload.wire.limits import CHUNK_BYTES, INLINE_PAYLOAD_BYTES
from offload.wire.status import Status, WireError

if TYPE_CHECKING:
    from offload.sdk.client.connection import Connection
    from offload.wire.link import Link

_UPLOAD = "offload.v1.Blobs/Upload"
_DOWNLOAD = "offload.v1.Blobs/Download"


async def send(connection: Connection, data: bytes, encoding: str) -> common_pb2.Payload:
    """Return the payload for `data`; what is too large for a message is uploaded first."""
    if len(data) <= INLINE_PAYLOAD_BYTES:
        return common_pb2.Payload(encoding=encoding, inline=data)
    blob = await connection.repeat(lambda link: _upload(link, data))
    return common_pb2.Payload(encoding=encoding, blob=blob)


async def fetch(connection: Connection, payload: common_pb2.Payload) -> bytes | IO[bytes]:
    """Return the payload's bytes: a large one as a file, so that it is in memory only once, as the object."""
    if not payload.HasField("blob"):
        return payload.inline
    file = tempfile.TemporaryFile(prefix="offload-")  # noqa: SIM115  # the reader closes it
    sha256 = payload.blob.sha256
    await connection.repeat(lambda link: _download(link, sha256, file))
    file.seek(0)
    return file


async def _upload(link: Link, data: bytes) -> common_pb2.BlobRef:
    stream = link.stream(_UPLOAD, blobs_pb2.UploadReply)
    try:
        view = memoryview(data)
        for start in range(0, len(view), CHUNK_BYTES):
            chunk = bytes(view[start : start + CHUNK_BYTES])
            await stream.send(blobs_pb2.UploadChunk(data=chunk))
        await stream.end()
        reply = await stream.receive()
        if reply is None:
            raise WireError(Status.INTERNAL, "the server did not answer an upload")
        return reply.blob
    finally:
        stream.cancel()


async def _download(link: Link, sha256: str, file: IO[bytes]) -> None:
    stream = link.stream(_DOWNLOAD, blobs_pb2.DownloadChunk)
    try:
        # After a break it goes on where it stopped.
        await stream.send(blobs_pb2.DownloadRequest(sha256=sha256, offset=file.tell()))
        await stream.end()
        async for chunk in stream:
            file.write(chunk.data)
    finally:
        stream.cancel()
