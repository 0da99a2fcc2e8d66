"""Requests of containers on their way to the server, with who asks attached. See `offload.worker.ports.Platform`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from offload.wire.gen import blobs_pb2, platform_pb2, volumes_pb2, web_pb2
from offload.wire.inside import COMMIT_MOUNT, EXCHANGE, LOCAL
from offload.wire.status import Status, WireError
from offload.worker.volumes import VolumeError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from offload.worker.link.blobs import Connection
    from offload.worker.ports import Caller
    from offload.worker.volumes import Volumes


class PlatformLink:
    """See `Platform`. A request waits for a link where there is none, and fails with the one it was made on."""

    def __init__(self, connection: Connection, volumes: Volumes) -> None:
        self._connection = connection
        self._volumes = volumes

    async def ask(self, caller: Caller, method: str, request: bytes) -> bytes:
        """See `Platform`."""
        if method in LOCAL:
            await self._change_mount(caller, method, request)
            return volumes_pb2.MountReply().SerializeToString()
        link = await self._connection.link()
        asked = _request(caller, method, request)
        reply = await link.unary("offload.v1.Platform/Ask", asked, platform_pb2.PlatformReply)
        return reply.reply

    async def _change_mount(self, caller: Caller, method: str, request: bytes) -> None:
        volume_id = volumes_pb2.MountRequest.FromString(request).volume_id
        try:
            if method == COMMIT_MOUNT:
                await self._volumes.commit(caller.container_id, volume_id)
            else:
                await self._volumes.reload(caller.container_id, volume_id)
        except VolumeError as error:
            message = f"Function {caller.function_name!r}: {error}."
            raise WireError(Status.FAILED_PRECONDITION, message) from error

    async def follow(
        self, caller: Caller, method: str, request: bytes
    ) -> AsyncGenerator[bytes, None]:
        """See `Platform`."""
        link = await self._connection.link()
        stream = link.stream("offload.v1.Platform/Follow", platform_pb2.PlatformReply)
        try:
            await stream.send(_request(caller, method, request))
            await stream.end()
            async for reply in stream:
                yield reply.reply
        finally:
            stream.cancel()

    async def exchange(
        self, caller: Caller, parts: AsyncIterator[tuple[bytes, int]]
    ) -> AsyncGenerator[tuple[bytes, int], None]:
        """See `Platform`."""
        link = await self._connection.link()
        stream = link.stream(EXCHANGE, web_pb2.WebPart)

        async def send() -> None:
            async for part, credit in parts:
                await stream.send(web_pb2.WebPart(part=part, credit=credit))
            await stream.end()

        sending: asyncio.Task[None] | None = None
        try:
            who = web_pb2.WebPart(container_id=caller.container_id, function_id=caller.function_id)
            await stream.send(who)
            sending = asyncio.create_task(send())
            async for reply in stream:
                yield reply.part, reply.credit
        finally:
            if sending is not None:
                sending.cancel()
            stream.cancel()

    async def upload(self, pieces: AsyncIterator[bytes]) -> bytes:
        """See `Platform`."""
        link = await self._connection.link()
        stream = link.stream("offload.v1.Blobs/Upload", blobs_pb2.UploadReply)
        try:
            async for piece in pieces:
                await stream.send(blobs_pb2.UploadChunk(data=piece))
            await stream.end()
            reply = await stream.receive()
        finally:
            stream.cancel()
        if reply is None:
            raise WireError(Status.INTERNAL, "the server did not confirm a blob it was sent")
        return reply.SerializeToString()


def _request(caller: Caller, method: str, request: bytes) -> platform_pb2.PlatformRequest:
    return platform_pb2.PlatformRequest(
        container_id=caller.container_id,
        function_id=caller.function_id,
        method=method,
        request=request,
    )
