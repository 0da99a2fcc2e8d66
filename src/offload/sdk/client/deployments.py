"""Requests about deployed apps."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from offload.sdk.client import classes, definitions, translate
from offload.sdk.client.requests import Requests
from offload.sdk.values import AppName, Deployed, ResolvedClass, ResolvedFunction
from offload.wire.gen import deployments_pb2
from offload.wire.host import host_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from offload.sdk.client.definitions import Registration
    from offload.sdk.named_class import NamedClass
    from offload.sdk.values import Output


@dataclass(frozen=True)
class NewVersion:
    """What is to be deployed; `fingerprints` are of the code of the functions, in their order."""

    app: AppName
    functions: Sequence[Registration]
    fingerprints: Sequence[str]
    source_digest: str
    tag: str = ""
    app_tags: Mapping[str, str] = field(default_factory=dict)
    deployed_by: str = ""
    skip_check: bool = False
    # Secrets without a name, by the keys that `secret_ids` of the functions name them by.
    own_secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def for_app(self, app: AppName) -> NewVersion:
        """Return the same under another name."""
        return replace(self, app=app)


class DeploymentRequests(Requests):
    """Made over the connection of a `Client`."""

    async def deploy(self, new: NewVersion, output: Output) -> Deployed:
        """Have another version serve; return once it does."""
        request = deployments_pb2.DeployRequest(
            app=translate.app_name(new.app),
            source_digest=new.source_digest,
            tag=new.tag,
            app_tags=dict(new.app_tags),
            deployed_by=new.deployed_by,
            skip_check=new.skip_check,
        )
        for key, values in new.own_secrets.items():
            request.own_secrets[key].values.update(values)
        for function, fingerprint in zip(new.functions, new.fingerprints, strict=True):
            definition = await definitions.describe(self._connection, function)
            definition.code_digest = fingerprint
            request.functions.append(definition)
        # A repeat finds what the first one did, if that came to something.
        while True:
            events = self._replies("Deployments/Deploy", request, deployments_pb2.DeployEvent)
            async with aclosing(events):
                async for event in events:
                    if event.HasField("result"):
                        return translate.deployed(new.app, event.result)
                    output.progress([translate.pool(pool) for pool in event.pools])

    async def has_worker_here(self) -> bool:
        """Whether a worker of this machine takes work."""
        request = deployments_pb2.PrepareDeployRequest(host_id=host_id())
        reply = await self._unary(
            "Deployments/PrepareDeploy", request, deployments_pb2.PrepareDeployReply
        )
        return reply.has_worker_on_host

    async def resolve(
        self, app: AppName, function: str, version: int | str | None
    ) -> ResolvedFunction:
        """Find a function by name: of the version that serves, or by number or tag."""
        request = deployments_pb2.ResolveRequest(
            app=translate.app_name(app),
            function=function,
            version=version if isinstance(version, int) else 0,
            tag=version if isinstance(version, str) else "",
        )
        reply = await self._unary("Deployments/Resolve", request, deployments_pb2.ResolveReply)
        return ResolvedFunction(reply.function_id, reply.version, reply.is_generator)

    async def resolve_class(
        self, named: NamedClass, parameters: Mapping[str, object]
    ) -> ResolvedClass:
        """Find the containers of a class with these parameters; see `resolve`."""
        version, changed = named.version, named.changed
        request = deployments_pb2.ResolveClassRequest(
            app=translate.app_name(named.app),
            class_name=named.name,
            version=version if isinstance(version, int) else 0,
            tag=version if isinstance(version, str) else "",
            parameters=classes.values(parameters),
        )
        if changed.names:
            scope = (named.app.workspace, named.app.environment)
            await definitions.describe_options(request.changes, changed.options, scope)
            request.changed.extend(classes.fields_of(changed.names))
        reply = await self._unary(
            "Deployments/ResolveClass", request, deployments_pb2.ResolveClassReply
        )
        methods = {each.name: each.is_generator for each in reply.methods}
        return ResolvedClass(reply.function_id, reply.version, methods)
