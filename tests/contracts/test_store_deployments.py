"""What every store keeps of deployed apps and their schedules; see `offload.control.ports.records`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support.records import call, function, saved_app

from offload.control.core.deployments import AppVersion, Deployment, VersionSchedule
from offload.control.core.model import DeploymentKey
from offload.control.core.schedules import (
    Missed,
    Overlap,
    RunState,
    Schedule,
    ScheduledRun,
    ScheduleKey,
    ScheduleSpec,
)
from offload.control.core.web_keys import WebKey
from offload.control.ports.key_records import RemoveWebKey, SaveWebKey
from offload.control.ports.records import (
    KEPT_RUNS,
    DropFunctions,
    EndApp,
    FinishCall,
    RemoveSchedule,
    SaveApp,
    SaveCall,
    SaveDeployment,
    SaveFunction,
    SaveRun,
    SaveSchedule,
    StoredApp,
)
from offload.control.ports.store import StoreError

if TYPE_CHECKING:
    from offload.control.ports.store import Store

KEY = DeploymentKey("team", "prod", "shop")
SPEC = ScheduleSpec("0 9 * * 1-5", "Europe/Berlin", 0.0, Missed.ALL, 7, Overlap.QUEUE, 30.0)
SCHEDULE_KEY = ScheduleKey("team", "prod", "shop", "report")
SCHEDULE = Schedule(SCHEDULE_KEY, SPEC, 1.5, 2.5, b"\x00args\xff", is_paused=True)


def version(number: int, app_id: str) -> AppVersion:
    return AppVersion(
        number, app_id, f"digest {number}", float(number), (("add", "fu-1"), ("report", "fu-2")),
        (VersionSchedule("report", SPEC, b"\x00args\xff"),), f"tag {number}", "ann@lab (shop.py)",
    )  # fmt: skip


def deployment(serving: int, *versions: AppVersion) -> Deployment:
    return Deployment(KEY, serving, 9.5, versions, (("owner", "ann"), ("tier", "gold")))


def test_everything_saved_of_a_deployed_app_comes_back(store: Store) -> None:
    store.commit([saved_app("ap-1", "shop"), saved_app("ap-2", "shop")])
    kept = deployment(2, version(1, "ap-1"), version(2, "ap-2"))

    store.commit([SaveDeployment(kept)])

    assert store.snapshot().deployments == (kept,)


def test_the_last_word_on_a_deployed_app_counts(store: Store) -> None:
    store.commit([saved_app("ap-1", "shop"), saved_app("ap-2", "shop")])
    store.commit([SaveDeployment(deployment(1, version(1, "ap-1")))])
    last = replace(deployment(0, version(2, "ap-2")), tags=(), last_served=2)

    store.commit([SaveDeployment(last)])
    store.commit([SaveDeployment(last)])

    assert store.snapshot().deployments == (last,)


def test_a_version_that_was_never_saved_as_an_app_is_refused(store: Store) -> None:
    with pytest.raises(StoreError):
        store.commit([SaveDeployment(deployment(1, version(1, "ap-NEVER")))])

    assert store.snapshot().deployments == ()


def test_apps_of_one_name_in_two_environments_are_two(store: Store) -> None:
    store.commit([saved_app("ap-1"), saved_app("ap-2")])
    in_dev = replace(deployment(1, version(1, "ap-2")), key=KEY._replace(environment="dev"))

    store.commit([SaveDeployment(deployment(1, version(1, "ap-1"))), SaveDeployment(in_dev)])

    assert [d.key.environment for d in store.snapshot().deployments] == ["prod", "dev"]


def test_of_the_versions_of_an_app_a_snapshot_has_the_one_that_serves_and_those_with_open_calls(
    store: Store,
) -> None:
    for number in "123":
        store.commit(
            [saved_app(f"ap-{number}"), SaveFunction(function(f"fu-{number}", f"ap-{number}"))]
        )
    versions = [version(number, f"ap-{number}") for number in (1, 2, 3)]
    store.commit([SaveDeployment(deployment(3, *versions)), SaveCall(call("fc-A", "fu-2"))])

    before = store.snapshot()
    store.commit([FinishCall("fc-A", "succeeded", 5.0)])
    after = store.snapshot()

    assert [app.app_id for app in before.apps] == ["ap-2", "ap-3"]
    assert [f.function_id for f in before.functions] == ["fu-2", "fu-3"]
    assert [app.app_id for app in after.apps] == ["ap-3"]


def test_what_is_kept_as_a_version_is_not_collected_before_it_is_ended(store: Store) -> None:
    store.commit([saved_app("ap-1"), SaveFunction(function())])
    store.commit([SaveDeployment(deployment(0, version(1, "ap-1")))])

    kept = store.collect(1e9, 100)
    store.commit([SaveDeployment(deployment(0)), EndApp("ap-1", 5.0)])
    ended = store.collect(1e9, 100)

    assert (kept.rows, ended.blobs) == (0, ("code of fu-1",))
    assert store.function("fu-1") is None


def test_an_app_remembers_its_environment_and_so_do_its_functions(store: Store) -> None:
    store.commit([SaveApp("ap-1", "shop", 1.0, "team", "prod"), SaveFunction(function())])
    found = store.function("fu-1")

    assert store.app("shop") == StoredApp("ap-1", "shop", 1.0, 0.0, "team", "prod")
    assert found is not None


def test_everything_saved_of_a_schedule_and_its_runs_comes_back(store: Store) -> None:
    fired = ScheduledRun(10.5, 11.5, RunState.FIRED, "fc-A", "waits for the run before it")
    missed = ScheduledRun(9.5, 11.5, RunState.MISSED, "", "its time passed")

    store.commit(
        [SaveSchedule(SCHEDULE), SaveRun(SCHEDULE_KEY, fired), SaveRun(SCHEDULE_KEY, missed)]
    )

    assert store.snapshot().schedules == ((SCHEDULE, (missed, fired)),)


def test_the_last_word_on_a_schedule_counts_and_keeps_its_runs(store: Store) -> None:
    run = ScheduledRun(10.0, 10.0, RunState.FIRED, "fc-A")
    store.commit([SaveSchedule(SCHEDULE), SaveRun(SCHEDULE_KEY, run)])
    moved = replace(SCHEDULE, cursor=99.0, is_paused=False)

    store.commit([SaveSchedule(moved), SaveRun(SCHEDULE_KEY, run)])

    assert store.snapshot().schedules == ((moved, (run,)),)


def test_of_a_schedule_the_last_runs_are_kept(store: Store) -> None:
    runs = [ScheduledRun(float(n), 1.0, RunState.FIRED, f"fc-{n}") for n in range(KEPT_RUNS + 3)]

    store.commit([SaveSchedule(SCHEDULE), *(SaveRun(SCHEDULE_KEY, run) for run in runs)])

    assert store.snapshot().schedules == ((SCHEDULE, tuple(runs[3:])),)


def test_a_removed_schedule_is_gone_with_its_runs(store: Store) -> None:
    run = ScheduledRun(10.0, 10.0, RunState.FIRED, "fc-A")
    store.commit([SaveSchedule(SCHEDULE), SaveRun(SCHEDULE_KEY, run)])

    store.commit([RemoveSchedule(SCHEDULE_KEY), SaveRun(SCHEDULE_KEY, run)])
    gone = store.snapshot().schedules
    store.commit([SaveSchedule(SCHEDULE)])

    assert gone == ()
    assert store.snapshot().schedules == ((SCHEDULE, ()),)


def test_a_call_remembers_when_it_may_begin(store: Store) -> None:
    store.commit([saved_app(), SaveFunction(function())])

    store.commit([SaveCall(replace(call("fc-A"), not_before=77.5))])

    found = store.call("fc-A")
    assert found is not None
    assert found.not_before == next(iter(store.open_calls())).call.not_before == 77.5


def test_functions_on_demand_are_restored_where_they_have_something_to_run(store: Store) -> None:
    usual = function("fu-1", app_name="shop")
    cold, warm = (replace(usual.scaling, min_containers=count) for count in (0, 1))
    busy, idle, kept = (
        replace(usual, function_id=f"fo-{number}", scaling=scaling)
        for number, scaling in enumerate((cold, cold, warm))
    )
    store.commit([saved_app("ap-1", "shop"), *map(SaveFunction, (usual, busy, idle, kept))])
    store.commit([SaveCall(call("fc-1", function_id="fo-0"))])

    assert store.snapshot().functions == (usual, busy, kept)
    assert store.function("fo-1") == idle


def test_keys_of_web_endpoints_are_kept_until_they_are_revoked(store: Store) -> None:
    first, second = (WebKey(f"ok-{n}", "default", f"key {n}", "d" * 64, float(n)) for n in (1, 2))

    store.commit([SaveWebKey(second), SaveWebKey(first), SaveWebKey(first)])
    kept = store.snapshot().web_keys
    store.commit([RemoveWebKey("ok-2"), RemoveWebKey("ok-3")])

    assert kept == (first, second)
    assert store.snapshot().web_keys == (first,)


def test_functions_on_demand_beyond_those_that_are_kept_go_unless_a_call_is_kept(
    store: Store,
) -> None:
    usual = function("fu-1", app_name="shop")
    on_demand = [replace(usual, function_id=f"fo-{number}") for number in range(4)]
    store.commit([saved_app("ap-1", "shop"), *map(SaveFunction, (usual, *on_demand))])
    store.commit([SaveCall(call("fc-1", function_id="fo-1"))])

    assert store.unused_functions(4, 10) == []
    assert store.unused_functions(1, 10) == ["fo-0", "fo-2"]
    assert store.unused_functions(1, 1) == ["fo-0"]

    store.commit([DropFunctions(("fo-0", "fo-1", "fo-never"))])

    kept = [each for each in (usual, *on_demand) if store.function(each.function_id) is not None]
    assert kept == [usual, *on_demand[1:]]

    store.commit([DropFunctions(("fo-2",)), SaveFunction(on_demand[2])])
    store.commit([SaveCall(call("fc-2", function_id="fo-2"))])
    assert store.function("fo-2") == on_demand[2]
