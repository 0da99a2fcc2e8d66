"""Versions that take over, on services in memory with a worker of the test's own."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.control_fakes import KnobStore
from tests.support.deploying import KEY, PickyWorker, a_call, deploy, play
from tests.support.services import a_function

from offload.control.core.deployments import KEPT_VERSIONS
from offload.control.core.errors import DomainError, ErrorCode
from offload.control.ports.records import SaveDeployment
from offload.control.services.assembly import Services
from offload.control.services.deployments import NewVersion
from offload.control.services.submission import NewInput


def test_a_version_serves_once_a_container_of_it_is_ready_and_survives_a_restart() -> None:
    async def deploys(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        done = await deploy(services, 1)

        assert (done.version.number, done.replaced, done.is_unchanged) == (1, 0, False)
        await services.calls.run("fc-1", "fu-1", NewInput(0, b"one"))

    async def calls(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        version, function_id = services.deployments.resolve(KEY, "square", 0, "")
        row = await services.calls.run("fc-2", function_id, NewInput(0, b"two"))

        assert (version.number, function_id, row.body) == (1, "fu-1", b"two")

    play(deploys, calls)


def test_the_same_digest_changes_nothing() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1, digest="same")
        again = await deploy(services, 2, digest="same")

        assert (again.version.number, again.is_unchanged) == (1, True)
        assert [v.number for v in services.deployments.describe(KEY).versions] == [1]
        assert store.app("ap-2") is None

    play(scenario)


def test_a_version_that_cannot_load_leaves_the_one_before_serving_and_nothing_behind() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1)
        worker.broken.add("fu-2")

        with pytest.raises(DomainError, match=r"'square' does not start, .* no module named nope"):
            await deploy(services, 2)

        assert services.deployments.describe(KEY).serving == 1
        assert store.app("ap-2") is None
        row = await services.calls.run("fc-1", "fu-1", NewInput(0, b"one"))
        assert row.body == b"one"

    play(scenario)


def test_what_runs_ends_on_the_version_it_began_with_and_then_its_container_goes() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1)
        worker.keeps = True
        await services.calls.submit(a_call(1, "fc-1"), [NewInput(0, b"old")])
        await worker.until(lambda: bool(worker.kept))

        done = await deploy(services, 2)
        was_open = services.kernel.dispatcher.knows_call("fc-1")
        await worker.let_go()
        await worker.until(lambda: bool(worker.stopped))
        await services.kernel.journal.flush()

        assert (done.replaced, was_open) == (1, True)
        stored = store.outcome("in-1-0")
        assert stored is not None
        assert stored.body == b"old"

    play(scenario)


def test_a_caller_with_the_id_of_a_replaced_version_is_told_to_look_again() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1)
        await deploy(services, 2)

        with pytest.raises(DomainError, match=r"Version 1 .* was replaced by version 2") as refused:
            await services.calls.run("fc-1", "fu-1", NewInput(0, b"one"))
        assert refused.value.code is ErrorCode.SUPERSEDED

    play(scenario)


def test_an_old_version_runs_for_who_wants_just_that_also_after_a_restart() -> None:
    async def deploys(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1)
        await deploy(services, 2)

    async def calls(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        version, function_id = services.deployments.resolve(KEY, "square", 0, "v1")
        await services.calls.submit(
            a_call(version.number, "fc-1", any_version=True), [NewInput(0, b"old")]
        )
        follower = await services.following.outcomes("fc-1", 0)
        rows = [row async for batch in follower.batches() for row in batch]

        assert (version.number, function_id) == (1, "fu-1")
        assert [row.body for row in rows] == [b"old"]

    play(deploys, calls)


def test_a_rollback_has_the_version_before_serve_again() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1)
        await deploy(services, 2)

        async for _ in services.deployments.rollback(KEY, 0):
            pass

        assert services.deployments.resolve(KEY, "square", 0, "")[1] == "fu-1"
        assert (await services.calls.run("fc-1", "fu-1", NewInput(0, b"one"))).body == b"one"
        with pytest.raises(DomainError, match="was replaced by version 1"):
            await services.calls.run("fc-2", "fu-2", NewInput(0, b"two"))
        assert (await deploy(services, 3)).version.number == 3

    play(scenario)


def test_a_rollback_to_a_version_that_does_not_load_any_more_changes_nothing() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1)
        await deploy(services, 2)
        worker.broken.add("fu-1")

        with pytest.raises(DomainError, match="does not start"):
            async for _ in services.deployments.rollback(KEY, 1):
                pass

        assert services.deployments.describe(KEY).serving == 2

    play(scenario)


def test_a_stopped_app_takes_no_calls_and_keeps_its_versions() -> None:
    async def stops(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1)
        await deploy(services, 2)
        async for _ in services.deployments.rollback(KEY, 0):
            pass
        await services.deployments.stop(KEY, cancel=False, reason="")

        with pytest.raises(DomainError, match="is stopped: deploy it again"):
            await services.calls.run("fc-1", "fu-1", NewInput(0, b"one"))

    async def starts_again(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        with pytest.raises(DomainError, match="is stopped: deploy it again"):
            services.deployments.resolve(KEY, "square", 0, "")
        async for _ in services.deployments.rollback(KEY, 0):
            pass
        assert (await services.calls.run("fc-2", "fu-1", NewInput(0, b"two"))).body == b"two"

    play(stops, starts_again)


def test_a_server_that_dies_before_the_switch_comes_back_with_the_version_before() -> None:
    async def dies(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1)
        worker.broken.add("fu-2")
        news = services.deployments.deploy(
            NewVersion(KEY, "ap-2", "new", [a_function("ap-2", "fu-2")])
        )
        with pytest.raises(DomainError):
            await anext(news)

    async def comes_back(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        assert services.deployments.describe(KEY).serving == 1

    store = play(dies, comes_back)

    switches = [r for commit in store.commits for r in commit if isinstance(r, SaveDeployment)]
    assert [switch.deployment.serving for switch in switches] == [1]


def test_a_full_disk_leaves_the_version_before_serving_also_when_there_is_room_again() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1)

        worker.on_start = lambda: setattr(store, "refusal", "the disk is full")
        with pytest.raises(DomainError, match="the disk is full"):
            await deploy(services, 2)
        store.refusal = ""
        unwritten = services.kernel.journal.close()
        assert await unwritten == 0

        assert services.deployments.describe(KEY).serving == 1
        assert store.snapshot().deployments[0].serving == 1

    async def comes_back(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        assert services.deployments.resolve(KEY, "square", 0, "")[1] == "fu-1"

    play(scenario, comes_back)


def test_a_stop_that_a_full_disk_refused_has_not_happened_after_a_restart_either() -> None:
    async def stops(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1)

        store.refusal = "the disk is full"
        with pytest.raises(DomainError, match="the disk is full"):
            await services.deployments.stop(KEY, cancel=False, reason="")

        assert services.deployments.describe(KEY).serving == 1

    async def comes_back(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        assert services.deployments.resolve(KEY, "square", 0, "")[1] == "fu-1"

    play(stops, comes_back)


def test_two_deployments_of_one_app_at_once_are_not_mixed() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        first = services.deployments.deploy(NewVersion(KEY, "ap-1", "1", [a_function("ap-1")]))
        begun = asyncio.ensure_future(anext(first))
        await asyncio.sleep(0)

        with pytest.raises(DomainError, match="is being changed by somebody else"):
            await deploy(services, 2)
        await begun
        async for _ in first:
            pass
        assert services.deployments.describe(KEY).serving == 1

    play(scenario)


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (NewVersion(KEY, "ap-1", "d", []), "has no functions to deploy"),
        (
            NewVersion(KEY, "ap-1", "d", [a_function(), a_function(function_id="fu-2")]),
            "has 2 functions called 'square'",
        ),
        (
            NewVersion(KEY._replace(name=""), "ap-1", "d", [a_function()]),
            "is no name of an app",
        ),
        (
            NewVersion(KEY._replace(environment="a b"), "ap-1", "d", [a_function()]),
            "environment",
        ),
        (NewVersion(KEY, "ap-1", "d", [a_function()], tag="x" * 300), "is no tag"),
    ],
)
def test_what_cannot_be_deployed_is_refused_at_once(new: NewVersion, message: str) -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        with pytest.raises(DomainError, match=message):
            await anext(services.deployments.deploy(new))

    play(scenario)


def test_a_map_of_a_deployed_app_ends_when_nobody_has_followed_it_for_its_lease() -> None:
    async def maps(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1)
        worker.keeps = True
        await services.calls.submit(a_call(1, "fc-1", closed=False), [NewInput(0, b"one")])
        with services.abandoned.followed("fc-1"):
            kept = services.kernel.dispatcher.knows_call("fc-1")
            leases = dict(services.abandoned._leases)

        assert (kept, leases) == (True, {})
        assert list(services.abandoned._leases) == ["fc-1"]

    async def comes_back(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        services.abandoned._expire(next(iter(services.abandoned._leases)))
        await services.kernel.journal.flush()

        stored = store.outcome("in-1-0")
        assert stored is not None
        assert (stored.state, stored.reason) == ("cancelled", "its caller went away")

    play(maps, comes_back)


def test_a_call_whose_caller_waits_again_after_a_restart_has_no_lease_that_could_end_it() -> None:
    async def runs(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1)
        worker.keeps = True
        waits = asyncio.ensure_future(services.calls.run("fc-1", "fu-1", NewInput(0, b"one")))
        await worker.until(lambda: bool(worker.kept))
        waits.cancel()

    async def comes_back(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        only = NewInput(0, b"one")
        waits = asyncio.ensure_future(services.calls.run("fc-1", "fu-1", only, is_repeat=True))

        assert services.abandoned._leases == {}
        assert (await waits).body == b"one"

    play(runs, comes_back)


def test_a_map_among_calls_that_come_after_one_another_has_a_lease_too() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1)
        worker.keeps = True

        await services.calls.submit_graph(
            [(a_call(1, "fc-1", closed=False), [NewInput(0, b"one")])]
        )

        assert list(services.abandoned._leases) == ["fc-1"]

    play(scenario)


def test_what_was_spawned_in_a_deployed_app_needs_nobody() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1)
        worker.keeps = True
        await services.calls.submit(a_call(1, "fc-1", attached=False), [NewInput(0, b"one")])

        assert services.abandoned._leases == {}

    play(scenario)


def test_all_warm_containers_of_a_new_version_are_ready_before_the_first_of_the_old_one_goes() -> (
    None
):
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await deploy(services, 1, warm=2)
        worker.log.clear()

        await deploy(services, 2, warm=2)
        await worker.until(lambda: len(worker.stopped) == 2)

        assert [what for what, _ in worker.log] == ["start", "start", "stop", "stop"]
        assert [function_id for _, function_id in worker.log[:2]] == ["fu-2", "fu-2"]

    play(scenario)


def test_versions_that_are_kept_no_longer_are_ended_so_that_retention_takes_them() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        for number in range(1, KEPT_VERSIONS + 3):
            await deploy(services, number)

        first, second = store.app("ap-1"), store.app("ap-2")
        assert first is not None
        assert second is not None
        assert first.stopped_at > 0
        assert second.stopped_at == 0

    play(scenario)
