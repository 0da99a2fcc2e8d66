"""What the server lets a container reach: its own workspace and environment, whatever it says of itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support.control_fakes import KnobStore, SettableClock, outside
from tests.support.services import a_function, a_map

from offload.control.core.objects import ObjectKind, Scope
from offload.control.frontends.rpc.handlers import handlers
from offload.control.frontends.rpc.platform import GUARDS
from offload.control.services.assembly import Services, start
from offload.control.services.objects import Wanted
from offload.control.services.submission import NewInput
from offload.wire.gen import (
    apps_pb2,
    blobs_pb2,
    calls_pb2,
    objects_pb2,
    platform_pb2,
    volumes_pb2,
)
from offload.wire.inside import ALLOWED, STREAMED
from offload.wire.rpc import RequestContext
from offload.wire.services import METHODS
from offload.wire.status import Status, WireError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

OUTSIDE = RequestContext("test", "link")
NAMED = apps_pb2.FunctionDefinition(name="square").SerializeToString()


class Container:
    """User code of function fu-1, in workspace "mine" and environment "dev"."""

    def __init__(self, services: Services, function_id: str = "fu-1") -> None:
        self.services = services
        self.handlers = handlers(services)
        self.function_id = function_id

    async def ask(self, method, request, *, function_id=""):
        asked = platform_pb2.PlatformRequest(
            container_id="ct-1",
            function_id=function_id or self.function_id,
            method=f"offload.v1.{method}",
            request=request.SerializeToString(),
        )
        reply = METHODS[f"offload.v1.{method}"].reply
        if f"offload.v1.{method}" in STREAMED:
            stream = self.handlers["offload.v1.Platform/Follow"](asked, OUTSIDE)
            async for answer in stream:
                return reply.FromString(answer.reply)
            return None
        answer = await self.handlers["offload.v1.Platform/Ask"](asked, OUTSIDE)
        return reply.FromString(answer.reply)

    async def refusal(self, method, request, **who):
        with pytest.raises(WireError) as caught:
            await self.ask(method, request, **who)
        return caught.value.status


def play(scenario: Callable[[Container], Awaitable[None]]) -> None:
    async def run() -> None:
        services = await start(outside(KnobStore(), SettableClock()))
        try:
            definition = apps_pb2.FunctionDefinition(restrict_platform_access=True)
            for app_id, scope in {
                "ap-1": ("mine", "dev"),
                "ap-2": ("mine", "prod"),
                "ap-3": ("theirs", "dev"),
            }.items():
                await services.apps.create("app", app_id, *scope)
                number = app_id[-1]
                await services.apps.register(
                    app_id, [replace(a_function(app_id, f"fu-{number}"), body=NAMED)]
                )
            restricted = replace(
                a_function("ap-1", "fu-9", name="shut"), body=definition.SerializeToString()
            )
            await services.apps.register("ap-1", [restricted])
            await scenario(Container(services))
        finally:
            await services.close()

    asyncio.run(run())


async def theirs(services: Services, environment: str = "dev", workspace: str = "theirs") -> str:
    scope = Scope(workspace, environment)
    made = await services.objects.open(
        Wanted(ObjectKind.DICT, scope, "cache", create_if_missing=True)
    )
    return made.object_id


def test_every_method_on_the_list_has_a_guard():
    assert GUARDS.keys() == ALLOWED


def test_a_name_means_what_it_means_in_the_containers_own_scope():
    async def scenario(container: Container) -> None:
        other = await theirs(container.services)
        wanted = objects_pb2.OpenObjectRequest(
            kind=objects_pb2.OBJECT_KIND_DICT,
            name="cache",
            create_if_missing=True,
            scope=objects_pb2.ObjectScope(workspace="theirs"),
        )

        opened = await container.ask("Objects/Open", wanted)
        listed = await container.ask(
            "Objects/List",
            objects_pb2.ListObjectsRequest(kind=objects_pb2.OBJECT_KIND_DICT),
        )

        assert (opened.scope.workspace, opened.scope.environment) == ("mine", "dev")
        assert [each.object_id for each in listed.objects] == [opened.object_id] != [other]

    play(scenario)


def test_another_environment_is_refused_by_its_name():
    async def scenario(container: Container) -> None:
        wanted = objects_pb2.OpenObjectRequest(
            kind=objects_pb2.OBJECT_KIND_DICT,
            name="cache",
            scope=objects_pb2.ObjectScope(environment="prod"),
        )

        assert await container.refusal("Objects/Open", wanted) == Status.PERMISSION_DENIED

    play(scenario)


@pytest.mark.parametrize("where", [("dev", "theirs"), ("prod", "mine")])
def test_an_object_of_another_scope_does_not_exist_even_for_who_knows_its_id(where):
    async def scenario(container: Container) -> None:
        object_id = await theirs(container.services, *where)

        refusals = [
            await container.refusal(method, request)
            for method, request in {
                "Objects/Rename": objects_pb2.RenameObjectRequest(object_id=object_id, name="x"),
                "Objects/Hold": objects_pb2.HoldObjectRequest(object_id=object_id),
            }.items()
        ]
        await container.ask("Objects/Delete", objects_pb2.DeleteObjectRequest(object_id=object_id))

        assert set(refusals) == {Status.NOT_FOUND}
        assert await container.services.objects.require(object_id, ObjectKind.DICT, None)

    play(scenario)


@pytest.mark.parametrize("where", [("dev", "theirs"), ("prod", "mine")])
def test_a_volume_of_another_scope_does_not_exist_even_for_who_knows_its_id(where):
    async def scenario(container: Container) -> None:
        environment, workspace = where
        wanted = Wanted(
            ObjectKind.VOLUME, Scope(workspace, environment), "files", create_if_missing=True
        )
        volume_id = (await container.services.objects.open(wanted)).object_id

        refusals = [
            await container.refusal(method, request)
            for method, request in {
                "Volumes/ReadTree": volumes_pb2.ReadTreeRequest(volume_id=volume_id),
                "Volumes/ListSnapshots": volumes_pb2.ListSnapshotsRequest(
                    volume_id=volume_id, limit=1
                ),
                "Volumes/Restore": volumes_pb2.RestoreVolume(volume_id=volume_id, version=1),
                "Volumes/Commit": volumes_pb2.CommitVolume(volume_id=volume_id, commit_id="vc-1"),
            }.items()
        ]

        assert refusals == [Status.NOT_FOUND] * 4

    play(scenario)


@pytest.mark.parametrize("function_id", ["fu-2", "fu-3"])
def test_a_function_of_another_scope_cannot_be_called(function_id):
    async def scenario(container: Container) -> None:
        run = calls_pb2.RunRequest(call_id="fc-new", function_id=function_id)
        submit = calls_pb2.SubmitRequest(call_id="fc-new", function_id=function_id)

        assert await container.refusal("Calls/Run", run) == Status.NOT_FOUND
        assert await container.refusal("Calls/Submit", submit) == Status.NOT_FOUND

    play(scenario)


def test_a_call_of_another_scope_can_be_neither_read_nor_joined_nor_ended():
    async def scenario(container: Container) -> None:
        new = replace(a_map("fc-theirs"), function_id="fu-3")
        await container.services.calls.submit(new, [NewInput(0, b"secret")])
        again = calls_pb2.RunRequest(call_id="fc-theirs", function_id="fu-1", is_repeat=True)
        behind = calls_pb2.RunRequest(call_id="fc-mine", function_id="fu-1")
        behind.options.after.append("fc-theirs")

        refusals = [
            await container.refusal(method, request)
            for method, request in [
                ("Calls/Outcomes", calls_pb2.OutcomesRequest(call_id="fc-theirs")),
                ("Calls/Items", calls_pb2.ItemsRequest(call_id="fc-theirs")),
                ("Calls/Describe", calls_pb2.DescribeRequest(call_id="fc-theirs")),
                ("Calls/Cancel", calls_pb2.CancelRequest(call_id="fc-theirs")),
                ("Calls/AddInputs", calls_pb2.AddInputsRequest(call_id="fc-theirs")),
                ("Calls/Run", again),
                ("Calls/Run", behind),
            ]
        ]

        assert set(refusals) == {Status.NOT_FOUND}
        assert container.services.kernel.calls.get("fc-theirs").ending == ""

    play(scenario)


@pytest.mark.parametrize("method", sorted(METHODS.keys() - ALLOWED))
def test_methods_of_workers_and_operators_are_refused(method):
    async def scenario(container: Container) -> None:
        request = platform_pb2.PlatformRequest(function_id="fu-1", method=method)
        ask, follow = (container.handlers[f"offload.v1.Platform/{x}"] for x in ("Ask", "Follow"))

        with pytest.raises(WireError) as asked:
            await ask(request, OUTSIDE)
        with pytest.raises(WireError) as followed:
            await anext(follow(request, OUTSIDE))

        assert asked.value.status == followed.value.status == Status.PERMISSION_DENIED

    play(scenario)


def test_a_restricted_function_is_refused_by_the_server_too():
    async def scenario(container: Container) -> None:
        request = objects_pb2.ListObjectsRequest(kind=objects_pb2.OBJECT_KIND_DICT)

        status = await container.refusal("Objects/List", request, function_id="fu-9")

        assert status == Status.PERMISSION_DENIED

    play(scenario)


def test_a_function_that_nobody_knows_has_no_rights():
    async def scenario(container: Container) -> None:
        request = blobs_pb2.DownloadRequest(sha256="a" * 64)

        status = await container.refusal("Blobs/Download", request, function_id="fu-none")

        assert status == Status.NOT_FOUND

    play(scenario)


def test_bytes_that_are_no_request_are_refused():
    async def scenario(container: Container) -> None:
        request = platform_pb2.PlatformRequest(
            function_id="fu-1", method="offload.v1.Objects/List", request=b"\xff\xff\xff"
        )

        with pytest.raises(WireError) as caught:
            await container.handlers["offload.v1.Platform/Ask"](request, OUTSIDE)

        assert caught.value.status == Status.INVALID_ARGUMENT

    play(scenario)


def test_functions_are_found_by_name_in_the_containers_own_app_alone():
    async def scenario(container: Container) -> None:
        own = apps_pb2.FindFunctionRequest(app_id="ap-3", name="square")
        other = apps_pb2.FindFunctionRequest(app_name="another", name="square")

        found = await container.ask("Apps/FindFunction", own)

        assert found.function_id == "fu-1"
        assert await container.refusal("Apps/FindFunction", other) == Status.NOT_FOUND

    play(scenario)
