"""The service `Secrets`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.objects import ObjectKind
from offload.control.frontends.rpc.errors import invalid
from offload.control.frontends.rpc.objects import scope_of, summary
from offload.control.services.objects import Wanted
from offload.wire.gen import apps_pb2, secrets_pb2

if TYPE_CHECKING:
    from offload.control.services.assembly import Services
    from offload.control.services.secrets import Kept
    from offload.wire.rpc import RequestContext


class SecretsHandlers:
    """Translates for the services."""

    def __init__(self, services: Services) -> None:
        self._secrets = services.secrets
        self._workers = services.workers
        self._access = services.access

    async def put(
        self, request: secrets_pb2.PutSecretRequest, _context: RequestContext
    ) -> secrets_pb2.SecretSummary:
        """See `Secrets.Put`."""
        if bool(request.name) == bool(request.app_id):
            raise invalid("A secret has a name, or belongs to an app.")
        wanted = Wanted(
            ObjectKind.SECRET,
            scope_of(request.scope),
            request.name,
            request.object_id,
            app_id=request.app_id,
        )
        values = dict(request.values)
        return _summary(await self._secrets.put(wanted, values, may_replace=request.may_replace))

    async def list(
        self, request: secrets_pb2.ListSecretsRequest, _context: RequestContext
    ) -> secrets_pb2.ListSecretsReply:
        """See `Secrets.List`."""
        found = await self._secrets.listed(
            scope_of(request.scope), request.after_name, request.limit
        )
        return secrets_pb2.ListSecretsReply(secrets=map(_summary, found))

    async def find(
        self, request: secrets_pb2.FindSecretRequest, _context: RequestContext
    ) -> secrets_pb2.SecretSummary:
        """See `Secrets.Find`."""
        found = await self._secrets.find(
            scope_of(request.scope), request.name, request.required_keys
        )
        return _summary(found)

    async def reveal(
        self, request: secrets_pb2.RevealSecretsRequest, context: RequestContext
    ) -> secrets_pb2.RevealSecretsReply:
        """See `Secrets.Reveal`."""
        self._workers.require_container(context.peer, request.container_id, request.function_id)
        function = await self._access.function_of(request.function_id)
        definition = apps_pb2.FunctionDefinition.FromString(function.body)
        return secrets_pb2.RevealSecretsReply(values=await self._secrets.reveal(definition.secrets))

    async def rotate_key(
        self, _request: secrets_pb2.RotateSecretKeyRequest, _context: RequestContext
    ) -> secrets_pb2.RotateSecretKeyReply:
        """See `Secrets.RotateKey`."""
        return secrets_pb2.RotateSecretKeyReply(secrets=await self._secrets.rotate())


def _summary(kept: Kept) -> secrets_pb2.SecretSummary:
    return secrets_pb2.SecretSummary(
        object=summary(kept.stored), keys=kept.keys, updated_at=kept.updated_at
    )
