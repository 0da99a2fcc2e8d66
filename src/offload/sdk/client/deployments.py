"""Requests about deployed apps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from offload.sdk.client import classes, definitions, translate
from offload.sdk.client.refusals import from_wire
from offload.sdk.values import AppName, Deployed, ResolvedClass, ResolvedFunction
from offload.wire.gen import deployments_pb2
from offload.wire.status import LinkClosedError, WireError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from offload.sdk.client.connection import Connection
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

    def for_app(self, app: AppName) -> NewVersion:
        """Return the same under another name."""
        return replace(self, app=app)


class DeploymentRequests:
    """Made over the connection of a `Client`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

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
        for function, fingerprint in zip(new.functions, new.fingerprints, strict=True):
            definition = await definitions.describe(self._connection, function)
            definition.code_digest = fingerprint
            request.functions.append(definition)
        # A repeat finds what the first one did, if that came to something.
        while True:
            link = await self._connection.link()
            stream = link.stream("offload.v1.Deployments/Deploy", deployments_pb2.DeployEvent)
            try:
                await stream.send(request)
                await stream.end()
                while (event := await stream.receive()) is not None:
                    if event.HasField("result"):
                        return translate.deployed(new.app, event.result)
                    output.progress([translate.pool(pool) for pool in event.pools])
            except LinkClosedError:
                await link.close()
            except WireError as error:
                raise from_wire(error) from None
            finally:
                stream.cancel()

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
        reply = await self._connection.repeat(
            lambda link: link.unary(
                "offload.v1.Deployments/Resolve", request, deployments_pb2.ResolveReply
            )
        )
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
        reply = await self._connection.repeat(
            lambda link: link.unary(
                "offload.v1.Deployments/ResolveClass", request, deployments_pb2.ResolveClassReply
            )
        )
        methods = {each.name: each.is_generator for each in reply.methods}
        return ResolvedClass(reply.function_id, reply.version, methods)
