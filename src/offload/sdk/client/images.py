"""An image as the schema has it, its contents sent ahead where they are large."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Protocol

from offload.sdk.client import bodies
from offload.sdk.source import PYTHON_VERSION
from offload.wire.gen import blobs_pb2, common_pb2, images_pb2
from offload.wire.images import step_digest
from offload.wire.limits import INLINE_PAYLOAD_BYTES

if TYPE_CHECKING:
    from offload.sdk.client.connection import Connection
    from offload.sdk.image_choice import ChosenImage


class Send(Protocol):
    """Makes bytes reachable for whoever reads the message."""

    async def __call__(self, data: bytes, encoding: str, sha256: str) -> common_pb2.Payload:
        """Return the payload that stands for them."""


async def describe(image: ChosenImage, send: Send) -> images_pb2.Image:
    """Return the message for an image with what its function needs beside it."""
    message = images_pb2.Image(python_version=PYTHON_VERSION if image.is_by_value else "")
    before = ""
    for step in image.image.steps:
        settings = dict(step.settings)
        sent = message.steps.add(
            kind=step.kind, arguments=step.arguments, settings=settings, secrets=dict(step.secrets)
        )
        sha256 = ""
        if step.content is not None:
            data = await asyncio.to_thread(step.content.read)
            sha256 = hashlib.sha256(data).hexdigest()
            sent.content.CopyFrom(await send(data, step.content.encoding, sha256))
        before = sent.digest = step_digest(before, step.kind, step.arguments, settings, sha256)
    for files in (*image.image.attached, *image.sources):
        data = await asyncio.to_thread(files.read)
        sha256 = hashlib.sha256(data).hexdigest()
        message.attached.add(content=await send(data, files.encoding, sha256), sha256=sha256)
    return message


async def send_inline(data: bytes, encoding: str, sha256: str) -> common_pb2.Payload:  # noqa: ARG001  # see `Send`
    """See `Send`. For a reader in this process."""
    return common_pb2.Payload(encoding=encoding, inline=data)


class SendToServer:
    """See `Send`. What the server has already is not sent again."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def __call__(self, data: bytes, encoding: str, sha256: str) -> common_pb2.Payload:
        """See `Send`."""
        if len(data) > INLINE_PAYLOAD_BYTES:
            request = blobs_pb2.MissingRequest(sha256=[sha256])
            reply = await self._connection.repeat(
                lambda link: link.unary("offload.v1.Blobs/Missing", request, blobs_pb2.MissingReply)
            )
            if not reply.sha256:
                blob = common_pb2.BlobRef(sha256=sha256, size_bytes=len(data))
                return common_pb2.Payload(encoding=encoding, blob=blob)
        return await bodies.send(self._connection, data, encoding)
