"""A user's bytes on their way: inside a message when small, else as a blob that is streamed."""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING

from offload.sdk.ids import new_id
from offload.wire.gen import blobs_pb2, common_pb2
from offload.wire.limits import CHUNK_BYTES, INLINE_PAYLOAD_BYTES
from offload.wire.status import LinkClosedError, Status, WireError

if TYPE_CHECKING:
    from offload.sdk.client.connection import Connection
    from offload.wire.link import Link

_UPLOAD = "offload.v1.Blobs/Upload"
_UPLOADED = "offload.v1.Blobs/Uploaded"
_DOWNLOAD = "offload.v1.Blobs/Download"


async def send(connection: Connection, data: bytes, encoding: str) -> common_pb2.Payload:
    """Return the payload for `data`; what is too large for a message is uploaded first."""
    if len(data) <= INLINE_PAYLOAD_BYTES:
        return common_pb2.Payload(encoding=encoding, inline=data)
    return common_pb2.Payload(encoding=encoding, blob=await _stored(connection, data))


async def store(connection: Connection, data: bytes | memoryview) -> str:
    """Upload a blob, whatever its size; return its SHA-256."""
    return (await _stored(connection, data)).sha256


async def fetch(connection: Connection, payload: common_pb2.Payload) -> bytes | IO[bytes]:
    """Return the payload's bytes: a large one as a file, so that it is in memory only once, as the object."""
    if not payload.HasField("blob"):
        return payload.inline
    file = tempfile.TemporaryFile(prefix="offload-")  # noqa: SIM115  # the reader closes it
    sha256 = payload.blob.sha256
    await connection.repeat(lambda link: _download(link, sha256, file))
    file.seek(0)
    return file


async def _stored(connection: Connection, data: bytes | memoryview) -> common_pb2.BlobRef:
    upload_id, attempts = new_id("up-"), 0

    async def attempt(link: Link) -> common_pb2.BlobRef:
        nonlocal attempts
        attempts += 1
        begin = await _uploaded(link, upload_id) if attempts > 1 else 0
        return await _upload(link, data, upload_id, begin)

    return await connection.repeat(attempt)


async def _uploaded(link: Link, upload_id: str) -> int:
    """Return where to go on after a break; 0 where that is not to be known, as from inside a container."""
    asked = blobs_pb2.UploadedRequest(upload_id=upload_id)
    try:
        return (await link.unary(_UPLOADED, asked, blobs_pb2.UploadedReply)).size_bytes
    except LinkClosedError:
        raise
    except WireError:
        return 0


async def _upload(
    link: Link, data: bytes | memoryview, upload_id: str, begin: int
) -> common_pb2.BlobRef:
    stream = link.stream(_UPLOAD, blobs_pb2.UploadReply)
    try:
        view = memoryview(data)
        for start in range(begin, len(view), CHUNK_BYTES):
            chunk = blobs_pb2.UploadChunk(data=bytes(view[start : start + CHUNK_BYTES]))
            if start == begin:
                chunk.upload_id, chunk.offset = upload_id, begin
            await stream.send(chunk)
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
