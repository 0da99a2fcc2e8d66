"""Whom the server tells the values of secrets; a scripted worker session, in memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support.control_fakes import KnobStore, SettableClock, outside
from tests.support.services import a_function, a_map

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import WorkerJoined
from offload.control.core.model import Capacity, ContainerReport, ContainerState, WorkerInfo
from offload.control.core.objects import ObjectKind, Scope
from offload.control.frontends.rpc.handlers import handlers
from offload.control.ports.objects import DeleteObjects
from offload.control.services.assembly import Services, start
from offload.control.services.objects import Wanted
from offload.control.services.submission import NewInput
from offload.wire.gen import apps_pb2, secrets_pb2
from offload.wire.rpc import RequestContext
from offload.wire.status import Status, WireError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

OWN, OTHER = RequestContext("10.0.0.1:5", "link"), RequestContext("10.0.0.1:6", "link")
NAMED = Wanted(ObjectKind.SECRET, Scope(), "db")
VALUES = {"PASSWORD": "correct horse"}


def play(scenario: Callable[[Services, KnobStore], Awaitable[None]]) -> None:
    async def run() -> None:
        store = KnobStore()
        services = await start(outside(store, SettableClock()))
        try:
            await scenario(services, store)
        finally:
            await services.close()

    asyncio.run(run())


async def with_container(services: Services) -> str:
    """Have two workers, the first with container co-1 of function fu-1, which names a secret; return its id."""
    kept = await services.secrets.put(NAMED, VALUES, may_replace=False)
    secret_id = kept.stored.object_id
    body = apps_pb2.FunctionDefinition(name="f", secrets=[secret_id]).SerializeToString()
    await services.apps.create("app", "ap-1")
    await services.apps.register("ap-1", [replace(a_function("ap-1", "fu-1"), body=body)])
    for number, peer in ((1, OWN.peer), (2, OTHER.peer)):
        containers = (ContainerReport("co-1", "fu-1", ContainerState.STARTING),)
        info = WorkerInfo(
            f"wk-{number}", f"w{number}", "1", "host", Capacity(4000, 4096, ()), {}, ()
        )
        services.workers.join(WorkerJoined(info, (), containers if number == 1 else ()), peer)
    return secret_id


async def reveal(services: Services, context: RequestContext, container="co-1", function="fu-1"):
    asked = secrets_pb2.RevealSecretsRequest(container_id=container, function_id=function)
    reply = await handlers(services)["offload.v1.Secrets/Reveal"](asked, context)
    return dict(reply.values)


def test_the_worker_of_a_container_is_told_and_nobody_else_is() -> None:
    async def scenario(services: Services, _: KnobStore) -> None:
        await with_container(services)

        told = await reveal(services, OWN)
        refused = []
        for context, container, function in (
            (OTHER, "co-1", "fu-1"),  # another worker
            (RequestContext("", "link"), "co-1", "fu-1"),  # nobody knows who
            (OWN, "co-2", "fu-1"),  # no container
            (OWN, "co-1", "fu-2"),  # not of this function
        ):
            with pytest.raises(WireError) as error:
                await reveal(services, context, container, function)
            refused.append(error.value.status)

        assert told == VALUES
        assert refused == [Status.PERMISSION_DENIED] * 4

    play(scenario)


def test_a_function_can_name_secrets_of_its_workspace_alone() -> None:
    async def scenario(services: Services, _: KnobStore) -> None:
        secret_id = await with_container(services)

        await services.secrets.check_named([secret_id], Scope("default", "prod"))
        with pytest.raises(DomainError) as refused:
            await services.secrets.check_named([secret_id], Scope("physics", "main"))

        assert refused.value.code is ErrorCode.NOT_FOUND

    play(scenario)


def test_a_secret_of_an_app_stays_until_the_last_work_of_the_app_is_done() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        await with_container(services)
        anonymous = replace(NAMED, name="", app_id="ap-1")
        kept = await services.secrets.put(anonymous, VALUES, may_replace=False)
        secret_id = kept.stored.object_id
        await services.calls.submit(replace(a_map(), attached=False), [NewInput(0, b"zero")])

        await services.apps.stop("ap-1", cancel=False, reason="")
        services.objects._end_app("ap-1")  # as it is looked at now and then
        opened = await services.secrets.reveal([secret_id])
        await services.calls.cancel("fc-1", "enough")
        services.objects._end_app("ap-1")
        while store.objects.get(secret_id) is not None:  # noqa: ASYNC110  # another thread's
            await asyncio.sleep(0)

        assert opened == VALUES
        assert store.objects.sealed(secret_id) is None

    play(scenario)


def test_a_key_that_is_missing_is_said_to_whoever_needs_the_secret() -> None:
    async def scenario(services: Services, _: KnobStore) -> None:
        await with_container(services)
        services.secrets._keyring.keys[:] = ["other"]

        with pytest.raises(WireError, match="'db' cannot be opened: it was sealed with key k1"):
            await reveal(services, OWN)

    play(scenario)


def test_a_deleted_secret_is_gone_for_its_functions() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        secret_id = await with_container(services)
        store.objects.apply([DeleteObjects((secret_id,))])
        services.objects._known.clear()

        with pytest.raises(WireError, match="There is no secret"):
            await reveal(services, OWN)

    play(scenario)
