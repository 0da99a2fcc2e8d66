"""An image as the schema has it, its contents sent ahead where they are large."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from offload.sdk.client import bodies
from offload.sdk.source import PYTHON_VERSION
from offload.wire.gen import blobs_pb2, common_pb2, images_pb2
from offload.wire.images import step_digest
from offload.wire.limits import INLINE_PAYLOAD_BYTES

if TYPE_CHECKING:
    from offload.sdk.client.connection import Connection
    from offload.sdk.image_choice import ChosenImage
    from offload.sdk.image_content import Content


async def describe(connection: Connection, chosen: ChosenImage) -> images_pb2.Image:
    """Return the message for an image; contents that the server lacks are uploaded."""
    message = images_pb2.Image(python_version=PYTHON_VERSION if chosen.is_by_value else "")
    before = ""
    for step in chosen.image.steps:
        sent = message.steps.add(
            kind=step.kind,
            arguments=step.arguments,
            settings=dict(step.settings),
            secrets=dict(step.secrets),
        )
        sha256 = ""
        if step.content is not None:
            payload, sha256 = await _send(connection, step.content)
            sent.content.CopyFrom(payload)
        settings = dict(step.settings)
        before = sent.digest = step_digest(before, step.kind, step.arguments, settings, sha256)
    for files in (*chosen.image.attached, *chosen.sources):
        payload, sha256 = await _send(connection, files)
        message.attached.add(content=payload, sha256=sha256)
    return message


async def _send(connection: Connection, content: Content) -> tuple[common_pb2.Payload, str]:
    data = await asyncio.to_thread(content.read)
    sha256 = hashlib.sha256(data).hexdigest()
    if len(data) > INLINE_PAYLOAD_BYTES:
        reply = await connection.repeat(
            lambda link: link.unary(
                "offload.v1.Blobs/Missing",
                blobs_pb2.MissingRequest(sha256=[sha256]),
                blobs_pb2.MissingReply,
            )
        )
        if not reply.sha256:
            blob = common_pb2.BlobRef(sha256=sha256, size_bytes=len(data))
            return common_pb2.Payload(encoding=content.encoding, blob=blob), sha256
    return await bodies.send(connection, data, content.encoding), sha256
