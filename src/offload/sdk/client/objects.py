"""Requests about objects with a name, whatever is in them."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar, cast

from google.protobuf.message import Message

from offload.sdk.client.requests import Requests
from offload.sdk.values import ObjectInfo
from offload.wire.gen import objects_pb2

if TYPE_CHECKING:
    from offload.sdk.values import ObjectOrder

M = TypeVar("M", bound=Message)


class ObjectRequests(Requests):
    """One method for each request. Every coroutine runs on the connection's loop."""

    async def open(self, order: ObjectOrder) -> ObjectInfo:
        """Find an object, or make it where that is wanted."""
        request = objects_pb2.OpenObjectRequest(
            kind=_kind(order.kind),
            scope=_scope(order.workspace, order.environment),
            name=order.name,
            object_id=order.object_id,
            create_if_missing=order.create_if_missing,
            app_id=order.app_id,
        )
        return _info(await self._unary("Objects/Open", request, objects_pb2.ObjectSummary))

    async def list(self, kind: str, workspace: str, environment: str) -> list[ObjectInfo]:
        """List all objects of a kind by their names."""
        found: list[ObjectInfo] = []
        request = objects_pb2.ListObjectsRequest(
            kind=_kind(kind), scope=_scope(workspace, environment)
        )
        while True:
            reply = await self._unary("Objects/List", request, objects_pb2.ListObjectsReply)
            if not reply.objects:
                return found
            found += map(_info, reply.objects)
            request.after_name = found[-1].name

    async def rename(self, object_id: str, name: str) -> None:
        """Give an object another name."""
        request = objects_pb2.RenameObjectRequest(object_id=object_id, name=name)
        await self._unary("Objects/Rename", request, objects_pb2.RenameObjectReply)

    async def delete(self, object_id: str) -> None:
        """Remove an object, which may be gone already."""
        request = objects_pb2.DeleteObjectRequest(object_id=object_id)
        await self._unary("Objects/Delete", request, objects_pb2.DeleteObjectReply)

    async def hold(self, object_id: str) -> None:
        """Keep an anonymous object alive until cancelled."""
        request = objects_pb2.HoldObjectRequest(object_id=object_id)
        while True:
            async with aclosing(
                self._replies("Objects/Hold", request, objects_pb2.ObjectHeld)
            ) as said:
                async for _ in said:
                    pass


def _kind(kind: str) -> objects_pb2.ObjectKind:
    number = objects_pb2.ObjectKind.Value(f"OBJECT_KIND_{kind.upper()}")
    return cast("objects_pb2.ObjectKind", number)


def _scope(workspace: str, environment: str) -> objects_pb2.ObjectScope:
    return objects_pb2.ObjectScope(workspace=workspace, environment=environment)


def _info(message: objects_pb2.ObjectSummary) -> ObjectInfo:
    return ObjectInfo(
        message.object_id,
        message.name,
        message.scope.environment,
        message.created_at,
        message.last_used_at,
    )
