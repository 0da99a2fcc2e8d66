"""Requests about secrets. No answer has a value in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import Message

from offload.sdk.client.requests import Requests
from offload.sdk.values import SecretInfo
from offload.wire.gen import objects_pb2, secrets_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


M = TypeVar("M", bound=Message)
Scope = tuple[str, str]  # workspace and environment; empty: the server's default


class SecretRequests(Requests):
    """One method for each request. Every coroutine runs on the connection's loop."""

    async def put(
        self,
        scope: Scope,
        name: str,
        object_id: str,
        values: Mapping[str, str],
        *,
        may_replace: bool = False,
        app_id: str = "",
    ) -> SecretInfo:
        """Make a secret, or replace what is in it where it `may_replace`."""
        request = secrets_pb2.PutSecretRequest(
            scope=_scope(scope),
            name=name,
            object_id=object_id,
            values=values,
            may_replace=may_replace,
            app_id=app_id,
        )
        return _info(await self._unary("Secrets/Put", request, secrets_pb2.SecretSummary))

    async def find(self, scope: Scope, name: str, required_keys: Sequence[str]) -> SecretInfo:
        """Find a secret that has these variables."""
        request = secrets_pb2.FindSecretRequest(
            scope=_scope(scope), name=name, required_keys=required_keys
        )
        return _info(await self._unary("Secrets/Find", request, secrets_pb2.SecretSummary))

    async def list(self, scope: Scope) -> list[SecretInfo]:
        """List all secrets by their names."""
        found: list[SecretInfo] = []
        request = secrets_pb2.ListSecretsRequest(scope=_scope(scope))
        while True:
            reply = await self._unary("Secrets/List", request, secrets_pb2.ListSecretsReply)
            if not reply.secrets:
                return found
            found += map(_info, reply.secrets)
            request.after_name = found[-1].name

    async def rotate_key(self) -> int:
        """Seal all secrets with a new key; return how many there are."""
        request = secrets_pb2.RotateSecretKeyRequest()
        reply = await self._unary("Secrets/RotateKey", request, secrets_pb2.RotateSecretKeyReply)
        return reply.secrets


def _scope(scope: Scope) -> objects_pb2.ObjectScope:
    return objects_pb2.ObjectScope(workspace=scope[0], environment=scope[1])


def _info(message: secrets_pb2.SecretSummary) -> SecretInfo:
    found = message.object
    return SecretInfo(
        found.object_id,
        found.name,
        found.scope.environment,
        tuple(message.keys),
        found.created_at,
        message.updated_at,
    )
