"""Secrets without a name that versions of deployed apps have for themselves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.support.control_fakes import KnobStore
from tests.support.deploying import KEY, PickyWorker, play

from offload.control.core.deployments import KEPT_VERSIONS
from offload.control.core.errors import DomainError
from offload.control.core.objects import ObjectKind, Scope
from offload.control.frontends.rpc.handlers import handlers
from offload.control.services.assembly import Services
from offload.control.services.secrets import own_secret_id
from offload.wire.gen import deployments_pb2
from offload.wire.rpc import RequestContext
from offload.wire.status import WireError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONTEXT = RequestContext("10.0.0.1:5", "link")


async def deploy(
    services: Services, code: str, values: dict[str, str]
) -> deployments_pb2.DeployResult:
    """Deploy a function that names one secret of its own."""
    request = deployments_pb2.DeployRequest(app=deployments_pb2.DeploymentName(name="shop"))
    request.functions.add(
        name="square", code_digest=code, cpu_milli=100, memory_mib=64, timeout_seconds=60,
        startup_timeout_seconds=10, secrets=["own-0"],
    )  # fmt: skip
    request.own_secrets["own-0"].values.update(values)
    answer: AsyncIterator[deployments_pb2.DeployEvent] = handlers(services)[
        "offload.v1.Deployments/Deploy"
    ](request, CONTEXT)  # type: ignore[assignment]
    events = [event async for event in answer]
    return events[-1].result


async def reveal(services: Services, app_id: str) -> dict[str, str]:
    return await services.secrets.reveal([own_secret_id(app_id, "own-0")])


def test_a_version_has_its_secrets_also_after_a_restart_and_for_a_rollback() -> None:
    app_ids: list[str] = []

    async def deploys(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        done = [await deploy(services, c, {"TOKEN": f"token {c}"}) for c in ("one", "two")]
        app_ids.extend(each.app_id for each in done)

    async def rolls_back(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        services.objects._end_app(app_ids[0])  # as it is looked at now and then
        values = [await reveal(services, app_id) for app_id in app_ids]
        async for _ in services.deployments.rollback(KEY, 1):
            pass

        assert values == [{"TOKEN": "token one"}, {"TOKEN": "token two"}]
        assert await reveal(services, app_ids[0]) == {"TOKEN": "token one"}
        assert await services.secrets.listed(Scope(), "", 0) == []
        assert not await services.objects.list(ObjectKind.SECRET, Scope(), "", 0)

    play(deploys, rolls_back)


def test_the_same_values_are_the_same_version_and_others_are_another() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        first = await deploy(services, "one", {"TOKEN": "a"})
        again = await deploy(services, "one", {"TOKEN": "a"})
        other = await deploy(services, "one", {"TOKEN": "b"})

        assert (again.version, again.is_unchanged, again.app_id) == (1, True, first.app_id)
        assert (other.version, other.is_unchanged) == (2, False)

    play(scenario)


def test_what_does_not_take_over_leaves_no_secret_and_what_is_kept_no_longer_neither() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        first = await deploy(services, "one", {"TOKEN": "a"})
        worker.on_start = lambda: worker.broken.update(services_functions(services))
        before = set(services.objects._of_apps)
        with pytest.raises(WireError, match="does not start"):
            await deploy(services, "broken", {"TOKEN": "b"})
        worker.on_start = lambda: None
        (failed,) = set(services.objects._of_apps) - before
        for number in range(KEPT_VERSIONS + 1):
            await deploy(services, f"code {number}", {"TOKEN": "c"})

        for app_id in (failed, first.app_id):
            services.objects._end_app(app_id)  # as it is looked at now and then
            gone = own_secret_id(app_id, "own-0")
            while store.objects.get(gone) is not None:  # noqa: ASYNC110  # another thread's
                await asyncio.sleep(0)

    play(scenario)


def services_functions(services: Services) -> set[str]:
    """Return the functions that are known now."""
    return {
        view.function.function_id
        for view in services.kernel.dispatcher.containers()
        if view.state == "starting"
    }


def test_no_secret_is_made_of_what_no_secret_can_be_and_nothing_is_deployed() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        with pytest.raises(WireError, match="is no name of a variable"):
            await deploy(services, "one", {"NO NAME": "a"})

        with pytest.raises(DomainError, match="There is no deployed app"):
            services.deployments.describe(KEY)

    play(scenario)
