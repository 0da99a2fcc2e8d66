"""The service `Objects`."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, cast

from offload.control.core.model import DEFAULT_ENVIRONMENT, DEFAULT_WORKSPACE
from offload.control.core.objects import ObjectKind, Scope
from offload.control.frontends.rpc.errors import invalid
from offload.control.services.objects import Wanted
from offload.wire.gen import objects_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offload.control.core.objects import StoredObject
    from offload.control.services.assembly import Services
    from offload.wire.rpc import RequestContext

_KIND_TO_WIRE = {
    kind: cast("objects_pb2.ObjectKind", objects_pb2.ObjectKind.Value(f"OBJECT_KIND_{kind.name}"))
    for kind in ObjectKind
}
_KIND_OF: dict[int, ObjectKind] = {int(number): kind for kind, number in _KIND_TO_WIRE.items()}


class ObjectsHandlers:
    """Translates for the services."""

    def __init__(self, services: Services) -> None:
        self._objects = services.objects

    async def open(
        self, request: objects_pb2.OpenObjectRequest, _context: RequestContext
    ) -> objects_pb2.ObjectSummary:
        """See `Objects.Open`."""
        kind = _kind(request.kind)
        if kind is ObjectKind.SECRET and (request.create_if_missing or not request.name):
            raise invalid("A secret is made with what is in it: by Secrets/Put.")
        found = await self._objects.open(
            Wanted(
                kind,
                scope_of(request.scope),
                request.name,
                request.object_id,
                request.create_if_missing,
                request.app_id,
            )
        )
        return summary(found)

    async def list(
        self, request: objects_pb2.ListObjectsRequest, _context: RequestContext
    ) -> objects_pb2.ListObjectsReply:
        """See `Objects.List`."""
        found = await self._objects.list(
            _kind(request.kind), scope_of(request.scope), request.after_name, request.limit
        )
        return objects_pb2.ListObjectsReply(objects=map(summary, found))

    async def rename(
        self, request: objects_pb2.RenameObjectRequest, _context: RequestContext
    ) -> objects_pb2.RenameObjectReply:
        """See `Objects.Rename`."""
        await self._objects.rename(request.object_id, request.name, None)
        return objects_pb2.RenameObjectReply()

    async def delete(
        self, request: objects_pb2.DeleteObjectRequest, _context: RequestContext
    ) -> objects_pb2.DeleteObjectReply:
        """See `Objects.Delete`."""
        await self._objects.delete(request.object_id, None)
        return objects_pb2.DeleteObjectReply()

    async def hold(
        self, request: objects_pb2.HoldObjectRequest, _context: RequestContext
    ) -> AsyncIterator[objects_pb2.ObjectHeld]:
        """See `Objects.Hold`."""
        async with aclosing(self._objects.hold(request.object_id, None)) as held:
            async for _ in held:
                yield objects_pb2.ObjectHeld(lease_seconds=self._objects.lease_seconds)


def scope_of(scope: objects_pb2.ObjectScope) -> Scope:
    """Return the scope that a request names."""
    return Scope(scope.workspace or DEFAULT_WORKSPACE, scope.environment or DEFAULT_ENVIRONMENT)


def summary(found: StoredObject) -> objects_pb2.ObjectSummary:
    """Return the message for an object."""
    return objects_pb2.ObjectSummary(
        object_id=found.object_id,
        kind=_KIND_TO_WIRE[found.kind],
        scope=objects_pb2.ObjectScope(
            workspace=found.scope.workspace, environment=found.scope.environment
        ),
        name=found.name,
        created_at=found.created_at,
        last_used_at=found.last_used_at,
    )


def _kind(number: int) -> ObjectKind:
    kind = _KIND_OF.get(number)
    if kind is None:
        raise invalid("Say of which kind the objects are: dict, queue, volume or secret.")
    return kind
