"""The service `Platform`: what containers ask, each request held to the scope of its container before its own handler has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from google.protobuf.message import DecodeError, Message

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.objects import PREFIX_OF, ObjectKind, Scope
from offload.control.frontends.rpc.errors import invalid
from offload.wire.gen import (
    apps_pb2,
    calls_pb2,
    deployments_pb2,
    objects_pb2,
    platform_pb2,
    volumes_pb2,
)
from offload.wire.inside import ALLOWED, STREAMED, UPLOAD
from offload.wire.rpc import Inside
from offload.wire.services import METHODS
from offload.wire.status import Status, WireError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from contextlib import AbstractContextManager

    from offload.control.services.access import Access
    from offload.control.services.assembly import Services
    from offload.wire.rpc import Handler, RequestContext

# Who asks these does nothing until the calls of others have come to something.
_WAITS_FOR_CALLS = {f"offload.v1.Calls/{method}" for method in ("Items", "Outcomes", "Run")}

Guard = Callable[["Access", Message, Inside], Awaitable[None]]

# Definitions of functions are read once for each function; beyond so many they are read again.
MAX_KNOWN = 10_000


class PlatformHandlers:
    """Calls the other handlers on behalf of containers."""

    def __init__(self, services: Services, handlers: Mapping[str, Handler]) -> None:
        self._access = services.access
        self._handlers = handlers
        self._known: dict[str, tuple[Inside, bool]] = {}

    async def ask(
        self, request: platform_pb2.PlatformRequest, context: RequestContext
    ) -> platform_pb2.PlatformReply:
        """See `Platform.Ask`."""
        asked, inner = await self._admit(request, context, streams=False)
        argument = _alone(asked) if METHODS[request.method].client_streams else asked
        with self._waiting(request):
            reply = await cast(
                "Awaitable[Message]", self._handlers[request.method](argument, inner)
            )
        return platform_pb2.PlatformReply(reply=reply.SerializeToString())

    async def follow(
        self, request: platform_pb2.PlatformRequest, context: RequestContext
    ) -> AsyncIterator[platform_pb2.PlatformReply]:
        """See `Platform.Follow`."""
        asked, inner = await self._admit(request, context, streams=True)
        answer = self._handlers[request.method](asked, inner)
        with self._waiting(request):
            async with aclosing(cast("AsyncGenerator[Message, None]", answer)) as replies:
                async for reply in replies:
                    yield platform_pb2.PlatformReply(reply=reply.SerializeToString())

    def _waiting(self, request: platform_pb2.PlatformRequest) -> AbstractContextManager[None]:
        if request.method not in _WAITS_FOR_CALLS:
            return nullcontext()
        return self._access.waiting(request.container_id)

    async def _admit(
        self, request: platform_pb2.PlatformRequest, context: RequestContext, *, streams: bool
    ) -> tuple[Message, RequestContext]:
        name = request.method
        if name not in ALLOWED or name == UPLOAD or (name in STREAMED) != streams:
            raise WireError(
                Status.PERMISSION_DENIED, f"{name[:100]!r} cannot be asked from inside a container."
            )
        inside = await self._inside(request)
        try:
            asked = METHODS[name].request.FromString(request.request)
        except DecodeError as error:
            raise invalid(f"That is no request of {name}.") from error
        await GUARDS[name](self._access, asked, inside)
        return asked, replace(context, inside=inside)

    async def _inside(self, request: platform_pb2.PlatformRequest) -> Inside:
        known = self._known.get(request.function_id)
        if known is None:
            function = await self._access.function_of(request.function_id)
            definition = apps_pb2.FunctionDefinition.FromString(function.body)
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            inside = Inside(
                "",
                function.function_id,
                function.app_id,
                function.workspace,
                function.environment,
            )
            known = inside, definition.restrict_platform_access
            self._known[function.function_id] = known
        inside, is_restricted = known
        if is_restricted:
            raise WireError(
                Status.PERMISSION_DENIED,
                f"Function {request.function_id} has restrict_platform_access=True: its code may ask the platform nothing.",
            )
        return replace(inside, container_id=request.container_id)


async def _alone(request: Message) -> AsyncIterator[Message]:
    yield request


def scope_of(inside: Inside) -> Scope:
    """Return what a container may reach."""
    return Scope(inside.workspace, inside.environment)


async def _anything(_access: Access, _request: Message, _inside: Inside) -> None:
    """Let pass what has no scope: who knows the SHA-256 of a blob has seen what it is of."""


async def _own_app(_access: Access, request: Message, inside: Inside) -> None:
    asked = cast("apps_pb2.FindFunctionRequest", request)
    asked.app_id = inside.app_id


async def _own_names(_access: Access, request: Message, inside: Inside) -> None:
    asked = cast("deployments_pb2.ResolveRequest", request)
    wanted = asked.app.environment
    if wanted and wanted != inside.environment:
        raise _other_environment(inside, wanted)
    asked.app.workspace = inside.workspace
    asked.app.environment = inside.environment


async def _own_class(access: Access, request: Message, inside: Inside) -> None:
    await _own_names(access, request, inside)
    asked = cast("deployments_pb2.ResolveClassRequest", request)
    if {"secrets", "volumes"} & set(asked.changed):
        raise WireError(
            Status.PERMISSION_DENIED,
            "Code inside a container cannot choose secrets= or volumes= of others: deploy the class with them.",
        )


def _other_environment(inside: Inside, wanted: str) -> WireError:
    return WireError(
        Status.PERMISSION_DENIED,
        f"This container is in environment {inside.environment!r} and cannot reach {wanted[:100]!r}.",
    )


def _no_secrets() -> WireError:
    return WireError(
        Status.PERMISSION_DENIED,
        "Secrets cannot be reached from inside a container: name them in secrets=[…] of its function, and read os.environ.",
    )


async def _own_scope(_access: Access, request: Message, inside: Inside) -> None:
    asked = cast("objects_pb2.OpenObjectRequest | objects_pb2.ListObjectsRequest", request)
    if asked.kind == objects_pb2.OBJECT_KIND_SECRET:
        raise _no_secrets()
    wanted = asked.scope.environment
    if wanted and wanted != inside.environment:
        raise _other_environment(inside, wanted)
    asked.scope.workspace = inside.workspace
    asked.scope.environment = inside.environment


async def _own_object(access: Access, request: Message, inside: Inside) -> None:
    asked = cast(
        "objects_pb2.HoldObjectRequest", request
    )  # all of these have an id in the same place
    if asked.object_id.startswith(PREFIX_OF[ObjectKind.SECRET]):
        raise _no_secrets()
    await access.require_object(asked.object_id, scope_of(inside))


async def _own_volume(access: Access, request: Message, inside: Inside) -> None:
    asked = cast("volumes_pb2.ReadTreeRequest", request)  # all that begin so
    await access.require_object(asked.volume_id, scope_of(inside))


async def _own_object_if_any(access: Access, request: Message, inside: Inside) -> None:
    try:
        await _own_object(access, request, inside)
    except DomainError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        cast("objects_pb2.DeleteObjectRequest", request).object_id = ""


async def _own_call(access: Access, request: Message, inside: Inside) -> None:
    asked = cast("calls_pb2.CancelRequest", request)  # as above
    await access.require_call(asked.call_id, scope_of(inside))


async def _own_new_call(access: Access, request: Message, inside: Inside) -> None:
    asked = cast("calls_pb2.RunRequest | calls_pb2.SubmitRequest", request)
    scope = scope_of(inside)
    await access.require_function(asked.function_id, scope)
    if await access.is_of_same_version(asked.function_id, inside.app_id):
        asked.options.any_version = True  # what a version runs goes on in it, whichever serves
    await access.require_new_call(
        asked.call_id, asked.options.after, scope, may_be_known=asked.is_repeat
    )


GUARDS: dict[str, Guard] = {
    "offload.v1." + name: guard
    for name, guard in {
        "Apps/FindFunction": _own_app,
        "Blobs/Download": _anything,
        "Blobs/DownloadMany": _anything,
        "Blobs/Upload": _anything,
        "Calls/AddInputs": _own_call,
        "Calls/Cancel": _own_call,
        "Calls/Describe": _own_call,
        "Calls/Items": _own_call,
        "Calls/Outcomes": _own_call,
        "Calls/Run": _own_new_call,
        "Calls/Submit": _own_new_call,
        "Deployments/Resolve": _own_names,
        "Deployments/ResolveClass": _own_class,
        "Dicts/Clear": _own_object,
        "Dicts/Entries": _own_object,
        "Dicts/Get": _own_object,
        "Dicts/Length": _own_object,
        "Dicts/Pop": _own_object,
        "Dicts/Put": _own_object,
        "Objects/Delete": _own_object_if_any,
        "Objects/Hold": _own_object,
        "Objects/List": _own_scope,
        "Objects/Open": _own_scope,
        "Objects/Rename": _own_object,
        "Queues/Clear": _own_object,
        "Queues/Get": _own_object,
        "Queues/Length": _own_object,
        "Queues/Peek": _own_object,
        "Queues/Put": _own_object,
        "Volumes/Commit": _own_volume,
        "Volumes/ListSnapshots": _own_volume,
        "Volumes/ReadTree": _own_volume,
        "Volumes/Restore": _own_volume,
    }.items()
}
