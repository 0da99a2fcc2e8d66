"""The service `Apps`."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING, Final

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.model import Function, Needs, RetryPolicy, Scaling
from offload.control.frontends.rpc.parameters import values_of
from offload.control.frontends.rpc.values import by_size, log_message
from offload.wire.abilities import ALLOW_LIST, BLOCK_NETWORK, CPU_LIMIT, EPHEMERAL_DISK
from offload.wire.gen import apps_pb2
from offload.wire.limits import MAX_BATCH_WAIT_SECONDS, MAX_INPUTS_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from offload.control.core.dispatch import PoolView
    from offload.control.services.assembly import Services
    from offload.wire.gen import images_pb2
    from offload.wire.rpc import RequestContext


_BOUNDS: Final = (
    "min_containers", "max_containers", "buffer_containers", "scaledown_window_seconds",
)  # fmt: skip


class AppsHandlers:
    """Translates for the services."""

    def __init__(self, services: Services) -> None:
        self._apps = services.apps
        self._classes = services.classes
        self._secrets = services.secrets

    async def create_app(
        self, request: apps_pb2.CreateAppRequest, _context: RequestContext
    ) -> apps_pb2.CreateAppReply:
        """See `Apps.CreateApp`."""
        app_id = await self._apps.create(
            request.name, request.app_id, request.workspace, request.environment
        )
        return apps_pb2.CreateAppReply(
            app_id=app_id,
            lease_seconds=self._apps.lease_seconds,
            has_worker_on_host=bool(request.host_id) and self._apps.has_worker_on(request.host_id),
        )

    async def register_functions(
        self, request: apps_pb2.RegisterFunctionsRequest, _context: RequestContext
    ) -> apps_pb2.RegisterFunctionsReply:
        """See `Apps.RegisterFunctions`."""
        named = secrets_of(request.functions)
        if named:
            app = await self._apps.require_running(request.app_id)
            await self._secrets.check_named(named, app.scope)
        functions = [function_of(definition, request.app_id) for definition in request.functions]
        variants = {
            function.function_id
            for function, definition in zip(functions, request.functions, strict=True)
            if definition.is_variant
        }
        await self._apps.register(request.app_id, functions, variants)
        return apps_pb2.RegisterFunctionsReply(function_ids=[f.function_id for f in functions])

    async def attach(
        self, request: apps_pb2.AttachRequest, _context: RequestContext
    ) -> AsyncIterator[apps_pb2.AppEvents]:
        """See `Apps.Attach`."""
        async for update in self._apps.attach(request.app_id, request.after_log_seq):
            for part in by_size(update.logs, lambda row: len(row.text) * 4 + 200):
                yield apps_pb2.AppEvents(logs=[log_message(row) for row in part])
            if update.pools is not None or update.wanted:
                pools = map(pool_message, update.pools or ())
                yield apps_pb2.AppEvents(pools=pools, wanted_functions=update.wanted)

    async def find_function(
        self, request: apps_pb2.FindFunctionRequest, _context: RequestContext
    ) -> apps_pb2.FindFunctionReply:
        """See `Apps.FindFunction`."""
        app_id, app_name = request.app_id, request.app_name
        if request.class_name and self._classes.is_version(app_id):
            of_class = await self._apps.find_function(app_id, app_name, request.class_name)
            given = values_of(request.parameters)
            found = await self._classes.pool_for(of_class.function_id, given)
        else:
            found = await self._apps.find_function(app_id, app_name, request.name)
        return apps_pb2.FindFunctionReply(
            function_id=found.function_id, is_generator=found.is_generator
        )

    async def stop_app(
        self, request: apps_pb2.StopAppRequest, _context: RequestContext
    ) -> apps_pb2.StopAppReply:
        """See `Apps.StopApp`."""
        linger = request.linger_seconds
        await self._apps.stop(request.app_id, request.cancel, request.reason, linger)
        return apps_pb2.StopAppReply()

    async def update_autoscaler(
        self, request: apps_pb2.UpdateAutoscalerRequest, _context: RequestContext
    ) -> apps_pb2.UpdateAutoscalerReply:
        """See `Apps.UpdateAutoscaler`."""
        given = {name: getattr(request, name) for name in _BOUNDS if request.HasField(name)}
        await self._apps.change_scaling(request.function_id, **given)
        return apps_pb2.UpdateAutoscalerReply()

    async def list_apps(
        self, request: apps_pb2.ListAppsRequest, _context: RequestContext
    ) -> apps_pb2.ListAppsReply:
        """See `Apps.ListApps`."""
        apps = await self._apps.list(request.limit or 100)
        return apps_pb2.ListAppsReply(
            apps=[
                apps_pb2.AppSummary(
                    app_id=app.app_id,
                    name=app.name,
                    state=state,
                    created_at=app.created_at,
                    open_calls=open_calls,
                    workspace=app.workspace,
                    environment=app.environment,
                )
                for app, state, open_calls in apps
            ]
        )


def secrets_of(definitions: Iterable[apps_pb2.FunctionDefinition]) -> list[str]:
    """Return the ids of all secrets that functions name."""
    return [object_id for definition in definitions for object_id in definition.secrets]


def pool_message(pool: PoolView) -> apps_pb2.PoolProgress:
    """Return a function's containers and backlog."""
    return apps_pb2.PoolProgress(
        function_id=pool.function.function_id,
        function_name=pool.function.name,
        containers_starting=pool.starting,
        containers_ready=pool.ready,
        inputs_pending=pool.pending,
        inputs_running=pool.running,
        inputs_finished=pool.finished,
        waiting_reason=pool.waiting_reason,
        is_impossible=pool.is_impossible,
    )


def function_of(
    definition: apps_pb2.FunctionDefinition, app_id: str, prefix: str = "fu-"
) -> Function:
    """Give the definition the id that its content has in this app, so that a repeat is the same function."""
    _check_allow_list(definition)
    definition.app_id = app_id
    definition.function_id = ""
    content = definition.SerializeToString(deterministic=True)
    definition.function_id = f"{prefix}{hashlib.sha256(content).hexdigest()[:40]}"
    retries = definition.retries
    max_inputs, target_inputs = _inputs_at_once(definition)
    return Function(
        function_id=definition.function_id,
        app_id=app_id,
        app_name="",
        name=definition.name,
        needs=Needs(
            definition.cpu_milli,
            definition.memory_mib + definition.ephemeral_disk_mib,
            definition.gpu.count,
            definition.gpu.kind if definition.gpu.count else "",
            definition.runtime,
            "" if definition.HasField("image_elsewhere") else definition.local_image.host_id,
            tuple(sorted(definition.labels.items())),
            definition.ephemeral_disk_mib,
            _abilities(definition),
        ),
        timeout_seconds=definition.timeout_seconds,
        startup_timeout_seconds=definition.startup_timeout_seconds,
        retries=RetryPolicy(
            retries.max_retries,
            retries.initial_delay_seconds,
            # Absent on the wire is zero, which would make every later delay vanish.
            retries.backoff_coefficient or 1.0,
            retries.max_delay_seconds,
        ),
        scaling=Scaling(
            definition.min_containers,
            definition.max_containers,
            definition.buffer_containers,
            definition.scaledown_window_seconds,
        ),
        is_generator=definition.is_generator,
        max_inputs=max_inputs,
        target_inputs=target_inputs,
        body=definition.SerializeToString(deterministic=True),
        blob=definition.code.blob.sha256,
        image_blobs=_image_blobs(definition.image, definition.image_elsewhere),
    )


def _image_blobs(*images: images_pb2.Image) -> tuple[str, ...]:
    contents = [step.content for image in images for step in image.steps]
    contents += [files.content for image in images for files in image.attached]
    return tuple(sorted({content.blob.sha256 for content in contents if content.blob.sha256}))


def _check_allow_list(definition: apps_pb2.FunctionDefinition) -> None:
    """Refuse what no worker could hold, from clients that do not check it themselves."""
    try:
        for cidr in definition.allow_list.cidrs:
            ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise DomainError(
            ErrorCode.INVALID,
            f"Function {definition.name!r}: its allow-list has no IPv4 network: {error}.",
        ) from None


def _abilities(definition: apps_pb2.FunctionDefinition) -> tuple[str, ...]:
    """List what its runtime must be able to hold it to."""
    asked = {
        CPU_LIMIT: definition.cpu_limit_milli,
        EPHEMERAL_DISK: definition.ephemeral_disk_mib,
        BLOCK_NETWORK: definition.block_network,
        ALLOW_LIST: definition.HasField("allow_list"),
    }
    return tuple(ability for ability, amount in asked.items() if amount)


def _inputs_at_once(definition: apps_pb2.FunctionDefinition) -> tuple[int, int]:
    """Return how many inputs each container runs at the same time at most, and for how many another one is wanted."""
    concurrency, batching = definition.concurrency, definition.batching
    most = concurrency.max_inputs or 1
    target = concurrency.target_inputs or most
    size = batching.max_batch_size or 1
    wrong = ""
    if target > most:
        wrong = "target_inputs must not be larger than max_inputs"
    elif definition.single_use_containers and most * size > 1:
        wrong = "single_use_containers leaves no room for a second input: leave out concurrency and batching"
    elif definition.is_generator and size > 1:
        wrong = "a generator cannot be called for a batch of inputs"
    elif not 0 <= batching.wait_seconds <= MAX_BATCH_WAIT_SECONDS:
        wrong = f"a batch waits for at most {MAX_BATCH_WAIT_SECONDS:g} s"
    elif most * size > MAX_INPUTS_AT_ONCE:
        wrong = f"a container runs at most {MAX_INPUTS_AT_ONCE} inputs at the same time"
    if wrong:
        raise DomainError(ErrorCode.INVALID, f"Function {definition.name!r}: {wrong}.")
    return most * size, target * size
