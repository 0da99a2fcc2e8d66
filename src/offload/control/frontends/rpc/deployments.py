"""The service `Deployments`."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from offload.control.core.classes import NO_CHANGES, Changes, ClassShape
from offload.control.core.deployments import VersionSchedule
from offload.control.core.objects import Scope
from offload.control.frontends.rpc.apps import function_of, pool_message, secrets_of
from offload.control.frontends.rpc.parameters import values_of
from offload.control.frontends.rpc.schedules import spec_of
from offload.control.services.deployments import Deployed, NewVersion, deployment_key
from offload.control.services.secrets import own_secret_id
from offload.wire.gen import apps_pb2, deployments_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from offload.control.core.deployments import Deployment
    from offload.control.core.dispatch import PoolView
    from offload.control.core.model import DeploymentKey
    from offload.control.frontends.web.routes import Routes
    from offload.control.services.assembly import Services
    from offload.wire.rpc import RequestContext


class DeploymentsHandlers:
    """Translates for the services."""

    def __init__(self, services: Services, routes: Routes) -> None:
        self._apps = services.apps
        self._classes = services.classes
        self._deployments = services.deployments
        self._secrets = services.secrets
        self._routes = routes

    async def deploy(
        self, request: deployments_pb2.DeployRequest, _context: RequestContext
    ) -> AsyncIterator[deployments_pb2.DeployEvent]:
        """See `Deployments.Deploy`."""
        digest = _digest(request)
        app_id = self._deployments.new_app_id()
        key = _key(request.app)
        own = tuple((key, dict(each.values)) for key, each in sorted(request.own_secrets.items()))
        ids = {key: own_secret_id(app_id, key) for key, _ in own}
        named = [each for each in secrets_of(request.functions) if each not in ids]
        await self._secrets.check_named(named, Scope(key.workspace, key.environment))
        self._routes.require_own_labels(
            key, request.functions, lambda app_id: not self._apps.has_caller(app_id)
        )
        for definition in request.functions:
            definition.secrets[:] = [ids.get(each, each) for each in definition.secrets]
        schedules = tuple(
            VersionSchedule(
                f.name, spec_of(f.name, f.schedule), f.schedule.args.SerializeToString()
            )
            for f in request.functions
            if f.HasField("schedule")
        )
        new = NewVersion(
            key,
            app_id,
            digest,
            [function_of(definition, app_id) for definition in request.functions],
            schedules,
            request.tag,
            tuple(sorted(request.app_tags.items())),
            request.deployed_by,
            request.skip_check,
            own,
        )
        async for news in self._deployments.deploy(new):
            yield _event(news)

    async def prepare_deploy(
        self, request: deployments_pb2.PrepareDeployRequest, _context: RequestContext
    ) -> deployments_pb2.PrepareDeployReply:
        """See `Deployments.PrepareDeploy`."""
        host_id = request.host_id
        return deployments_pb2.PrepareDeployReply(
            has_worker_on_host=bool(host_id) and self._apps.has_worker_on(host_id)
        )

    async def rollback(
        self, request: deployments_pb2.RollbackRequest, _context: RequestContext
    ) -> AsyncIterator[deployments_pb2.DeployEvent]:
        """See `Deployments.Rollback`."""
        async for news in self._deployments.rollback(_key(request.app), request.version):
            yield _event(news)

    async def resolve(
        self, request: deployments_pb2.ResolveRequest, _context: RequestContext
    ) -> deployments_pb2.ResolveReply:
        """See `Deployments.Resolve`."""
        version, function_id = self._deployments.resolve(
            _key(request.app), request.function, request.version, request.tag
        )
        await self._classes.require_function(function_id)
        return deployments_pb2.ResolveReply(
            function_id=function_id,
            version=version.number,
            is_generator=await self._deployments.is_generator(function_id),
            app_id=version.app_id,
        )

    async def resolve_class(
        self, request: deployments_pb2.ResolveClassRequest, _context: RequestContext
    ) -> deployments_pb2.ResolveClassReply:
        """See `Deployments.ResolveClass`."""
        key = _key(request.app)
        version, class_id = self._deployments.resolve(
            key, request.class_name, request.version, request.tag
        )
        named = secrets_of([request.changes]) if "secrets" in request.changed else []
        await self._secrets.check_named(named, Scope(key.workspace, key.environment))
        fields = tuple(sorted(request.changed))
        changes = NO_CHANGES
        if fields:
            changes = Changes(request.changes.SerializeToString(deterministic=True), fields)
        found = await self._classes.pool_for(class_id, values_of(request.parameters), changes)
        shape = await self._classes.shape(class_id) or ClassShape()
        return deployments_pb2.ResolveClassReply(
            function_id=found.function_id,
            version=version.number,
            methods=[
                apps_pb2.ClassMethod(name=each.name, is_generator=each.is_generator)
                for each in shape.methods
            ],
            app_id=version.app_id,
        )

    async def list_deployments(
        self, request: deployments_pb2.ListDeploymentsRequest, _context: RequestContext
    ) -> deployments_pb2.ListDeploymentsReply:
        """See `Deployments.ListDeployments`."""
        found = self._deployments.of_workspace(request.workspace, request.environment)
        open_calls = self._deployments.open_calls()
        return deployments_pb2.ListDeploymentsReply(
            deployments=[_message(deployment, open_calls) for deployment in found]
        )

    async def describe_deployment(
        self, request: deployments_pb2.DescribeDeploymentRequest, _context: RequestContext
    ) -> deployments_pb2.Deployment:
        """See `Deployments.DescribeDeployment`."""
        found = self._deployments.describe(_key(request.app))
        return _message(found, self._deployments.open_calls())

    async def stop_deployment(
        self, request: deployments_pb2.StopDeploymentRequest, _context: RequestContext
    ) -> deployments_pb2.StopDeploymentReply:
        """See `Deployments.StopDeployment`."""
        await self._deployments.stop(
            _key(request.app), cancel=request.cancel, reason=request.reason
        )
        return deployments_pb2.StopDeploymentReply()

    async def set_tags(
        self, request: deployments_pb2.SetTagsRequest, _context: RequestContext
    ) -> deployments_pb2.Deployment:
        """See `Deployments.SetTags`."""
        key = _key(request.app)
        found = self._deployments.describe(key)
        if request.set or request.remove:
            found = await self._deployments.set_tags(key, dict(request.set), list(request.remove))
        if request.HasField("version_tag"):
            found = await self._deployments.tag_version(key, request.version, request.version_tag)
        return _message(found, self._deployments.open_calls())


def _key(app: deployments_pb2.DeploymentName) -> DeploymentKey:
    return deployment_key(app.name, app.workspace, app.environment)


def _message(deployment: Deployment, open_calls: Mapping[str, int]) -> deployments_pb2.Deployment:
    key = deployment.key
    return deployments_pb2.Deployment(
        app=deployments_pb2.DeploymentName(
            name=key.name, workspace=key.workspace, environment=key.environment
        ),
        state="serving" if deployment.serving else "stopped",
        version=deployment.serving,
        activated_at=deployment.activated_at,
        tags=dict(deployment.tags),
        versions=[
            deployments_pb2.DeployedVersion(
                version=version.number,
                app_id=version.app_id,
                created_at=version.created_at,
                tag=version.tag,
                deployed_by=version.deployed_by,
                functions=[name for name, _ in version.functions],
                open_calls=open_calls.get(version.app_id, 0),
                is_serving=version.number == deployment.serving,
            )
            for version in reversed(deployment.versions)
        ],
    )


def _digest(request: deployments_pb2.DeployRequest) -> str:
    """Return what is the same for the same functions, whichever version they become."""
    hashed = hashlib.sha256(request.source_digest.encode())
    for definition in sorted(request.functions, key=lambda each: each.name):
        content = apps_pb2.FunctionDefinition()
        content.CopyFrom(definition)
        content.app_id = content.function_id = ""
        if content.code_digest:
            content.ClearField("code")
        encoded = content.SerializeToString(deterministic=True)
        hashed.update(len(encoded).to_bytes(8) + encoded)
    return hashed.hexdigest()


def _event(news: list[PoolView] | Deployed) -> deployments_pb2.DeployEvent:
    if isinstance(news, Deployed):
        result = deployments_pb2.DeployResult(
            version=news.version.number,
            is_unchanged=news.is_unchanged,
            replaced_version=news.replaced,
            app_id=news.version.app_id,
        )
        return deployments_pb2.DeployEvent(result=result)
    return deployments_pb2.DeployEvent(pools=map(pool_message, news))
