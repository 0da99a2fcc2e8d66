"""The service `Blobs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.services.blobs import NamedPiece
from offload.wire.gen import blobs_pb2, common_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offload.control.services.assembly import Services
    from offload.wire.rpc import RequestContext


class BlobsHandlers:
    """Translates for the services."""

    def __init__(self, services: Services) -> None:
        self._blobs = services.blobs

    async def upload(
        self, requests: AsyncIterator[blobs_pb2.UploadChunk], _context: RequestContext
    ) -> blobs_pb2.UploadReply:
        """See `Blobs.Upload`."""
        first = await anext(aiter(requests), blobs_pb2.UploadChunk())
        chunks = _chunks(first, requests)
        sha256, size = await self._blobs.upload(chunks, first.upload_id[:100], first.offset)
        return blobs_pb2.UploadReply(blob=common_pb2.BlobRef(sha256=sha256, size_bytes=size))

    async def uploaded(
        self, request: blobs_pb2.UploadedRequest, _context: RequestContext
    ) -> blobs_pb2.UploadedReply:
        """See `Blobs.Uploaded`."""
        return blobs_pb2.UploadedReply(size_bytes=self._blobs.uploaded(request.upload_id[:100]))

    async def download(
        self, request: blobs_pb2.DownloadRequest, _context: RequestContext
    ) -> AsyncIterator[blobs_pb2.DownloadChunk]:
        """See `Blobs.Download`."""
        async for data in self._blobs.download(request.sha256, request.offset):
            yield blobs_pb2.DownloadChunk(data=data)

    async def missing(
        self, request: blobs_pb2.MissingRequest, _context: RequestContext
    ) -> blobs_pb2.MissingReply:
        """See `Blobs.Missing`."""
        return blobs_pb2.MissingReply(
            sha256=await self._blobs.missing(list(request.sha256)),
            landing=await self._blobs.landing(request.machine),
        )

    async def upload_many(
        self, requests: AsyncIterator[blobs_pb2.ManyBlobs], _context: RequestContext
    ) -> blobs_pb2.UploadManyReply:
        """See `Blobs.UploadMany`."""
        await self._blobs.upload_many(_named(requests))
        return blobs_pb2.UploadManyReply()

    async def adopt(
        self, request: blobs_pb2.AdoptRequest, _context: RequestContext
    ) -> blobs_pb2.AdoptReply:
        """See `Blobs.Adopt`."""
        return blobs_pb2.AdoptReply(
            sha256=await self._blobs.adopt(request.pack, list(request.size_bytes))
        )

    async def download_many(
        self, request: blobs_pb2.DownloadManyRequest, _context: RequestContext
    ) -> AsyncIterator[blobs_pb2.ManyBlobs]:
        """See `Blobs.DownloadMany`."""
        async for page in self._blobs.download_many(list(request.sha256)):
            yield blobs_pb2.ManyBlobs(
                blobs=[
                    blobs_pb2.NamedBlob(sha256=piece.sha256, data=piece.data, more=piece.more)
                    for piece in page
                ]
            )


async def _named(requests: AsyncIterator[blobs_pb2.ManyBlobs]) -> AsyncIterator[list[NamedPiece]]:
    async for request in requests:
        yield [NamedPiece(blob.sha256, blob.data, blob.more) for blob in request.blobs]


async def _chunks(
    first: blobs_pb2.UploadChunk, requests: AsyncIterator[blobs_pb2.UploadChunk]
) -> AsyncIterator[tuple[str, bytes]]:
    yield first.sha256, first.data
    async for chunk in requests:
        yield chunk.sha256, chunk.data
