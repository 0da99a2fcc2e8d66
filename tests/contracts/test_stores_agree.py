"""Whatever is committed in whatever order, the SQLite store answers like the plain one."""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.records import (
    call,
    function,
    history,
    inputs,
    item,
    line,
    outcome,
    outcomes,
    run,
    saved_app,
)

from offload.control.core.deployments import AppVersion, Deployment
from offload.control.core.inputs import FINAL_STATES
from offload.control.core.model import DeploymentKey, Scaling
from offload.control.core.schedules import (
    RunState,
    Schedule,
    ScheduledRun,
    ScheduleKey,
    ScheduleSpec,
)
from offload.control.ports.records import (
    CloseCall,
    DropItems,
    DropLetter,
    EndApp,
    FinishCall,
    RemoveSchedule,
    RemoveWorker,
    ReplayedLetter,
    SaveCall,
    SaveDeployment,
    SaveFunction,
    SaveInputs,
    SaveItems,
    SaveLogs,
    SaveRun,
    SaveScaling,
    SaveSchedule,
    SaveWorker,
)
from offload.control.ports.store import StoreError
from offload.control.stores.memory import MemoryStore
from offload.control.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from offload.control.ports.records import Record
    from offload.control.ports.store import Store

APPS = {"ap-1": "demo", "ap-2": "demo", "ap-3": "other"}
FUNCTIONS = ("fu-1", "fu-2")
CALLS = ("fc-A", "fc-B", "fc-C")
INDICES = range(6)
BLOBS = ("b" * 64, "c" * 64, "d" * 64)
WORKERS = ("wo-1", "wo-2")

app_ids = st.sampled_from(sorted(APPS))
function_ids = st.sampled_from(FUNCTIONS)
call_ids = st.sampled_from(CALLS)
indices = st.sampled_from(INDICES)
small = st.integers(1, 6)
times = st.floats(1, 9)
blobs = st.sampled_from(["", *BLOBS])
input_ids = st.builds(lambda call_id, i: f"in-{call_id[3:]}-{i}", call_ids, indices)
states = st.sampled_from(sorted(FINAL_STATES))


def inputs_with_blobs(call_id: str, named: dict[int, str]) -> SaveInputs:
    rows = inputs(named, call_id).rows
    return SaveInputs(call_id, tuple(replace(row, blob=named[row.index]) for row in rows))


# Functions and calls name apps and functions that some examples never save.
of_apps = [
    st.builds(lambda app_id: saved_app(app_id, APPS[app_id]), app_ids),
    st.builds(EndApp, app_ids, times),
    st.builds(lambda f, blob: SaveFunction(replace(function(f), blob=blob)), function_ids, blobs),
    st.builds(SaveScaling, function_ids, st.builds(Scaling, small, small, small, times)),
]
of_calls = [
    st.builds(
        lambda c, f, after: SaveCall(replace(call(c, f), after=tuple(after))),
        call_ids,
        function_ids,
        st.lists(call_ids, max_size=2),
    ),
    st.builds(inputs_with_blobs, call_ids, st.dictionaries(indices, blobs, max_size=6)),
    st.builds(CloseCall, call_ids, small),
    st.builds(FinishCall, call_ids, st.sampled_from(["succeeded", "failed"]), times),
    st.builds(history, indices, small, call_ids),
]
ends_of_inputs = [
    st.lists(
        st.builds(
            lambda *a, blob: replace(outcome(*a), blob=blob),
            indices,
            small,
            call_ids,
            states,
            blob=blobs,
        ),
        max_size=7,
    ).map(lambda rows: outcomes(*rows)),
    st.builds(run, indices, small, small, call_ids),
    st.builds(DropLetter, input_ids),
    st.builds(ReplayedLetter, input_ids, call_ids),
]
aside = [
    st.lists(
        st.builds(lambda s, i, b: replace(item(s, i), blob=b), small, input_ids, blobs), max_size=7
    ).map(lambda rows: SaveItems(tuple(rows))),
    st.builds(DropItems, input_ids),
    st.lists(st.builds(line, small, call_ids, app_ids), max_size=5).map(
        lambda rows: SaveLogs(tuple(rows))
    ),
    st.builds(SaveWorker, st.sampled_from(WORKERS), st.sampled_from(["desk", "rack"])),
    st.builds(RemoveWorker, st.sampled_from(WORKERS)),
]
# An app is a version of one deployed app at most.
VERSIONS_OF = {"shop": ("ap-1", "ap-2"), "other": ("ap-3",)}
SCHEDULE_KEYS = tuple(ScheduleKey("default", "main", app, "f") for app in ("shop", "other"))


def a_deployment(name: str, app_ids: list[str], serving: int, at: float) -> SaveDeployment:
    versions = tuple(
        AppVersion(number, app_id, f"digest {app_id}", at, (("f", "fu-1"),))
        for number, app_id in enumerate(app_ids, 1)
    )
    key = DeploymentKey("default", "main", name)
    return SaveDeployment(Deployment(key, serving, at, versions))


deployed = [
    st.sampled_from(sorted(VERSIONS_OF)).flatmap(
        lambda name: st.builds(
            a_deployment,
            st.just(name),
            st.lists(st.sampled_from(VERSIONS_OF[name]), unique=True, max_size=2),
            st.integers(0, 2),
            times,
        )
    ),
    st.builds(
        lambda key, cursor, paused: SaveSchedule(
            Schedule(key, ScheduleSpec(period_seconds=9.0), 1.0, cursor, b"args", is_paused=paused)
        ),
        st.sampled_from(SCHEDULE_KEYS),
        times,
        st.booleans(),
    ),
    st.builds(RemoveSchedule, st.sampled_from(SCHEDULE_KEYS)),
    st.builds(
        lambda key, tick, at, call_id: SaveRun(
            key, ScheduledRun(float(tick), at, RunState.FIRED, call_id)
        ),
        st.sampled_from(SCHEDULE_KEYS),
        small,
        times,
        call_ids,
    ),
]
records = st.one_of(*of_apps, *of_calls, *ends_of_inputs, *aside, *deployed)


@dataclass(frozen=True)
class Collection:
    """All passes, of this limit."""

    before: float
    limit: int


steps = st.one_of(
    st.lists(records, max_size=6),
    st.lists(records, max_size=6),
    st.builds(Collection, times, small),
)

SETTING_UP: list[Record] = [saved_app(), SaveFunction(function("fu-1")), SaveCall(call("fc-A"))]


def commits(store: Store, batch: list[Record]) -> bool:
    try:
        store.commit(batch)
    except StoreError:
        return False
    return True


def collected(store: Store, collection: Collection) -> tuple[int, set[str]]:
    """Return how many calls are gone, and which blobs are named no more."""
    calls, freed = 0, set[str]()
    while (done := store.collect(collection.before, collection.limit)).rows or done.calls:
        calls += done.calls
        freed.update(done.blobs)
    return calls, freed


def everything(store: Store) -> dict[str, object]:
    ids = [f"in-{call_id[3:]}-{index}" for call_id in CALLS for index in INDICES]
    some_apps = ("", "demo", "ap-2")
    return {
        "snapshot": store.snapshot(),
        "open calls": tuple(store.open_calls()),
        "apps": (store.apps(9), [store.app(app) for app in (*APPS, "demo", "other")]),
        "functions": [store.function(function_id) for function_id in FUNCTIONS],
        "calls": [store.calls(app, flag, 2) for app in some_apps for flag in (True, False)],
        "call": [store.call(call_id) for call_id in CALLS],
        "states": store.states(CALLS),
        "payloads": store.payloads(ids),
        "outcomes": [store.outcomes(call_id, after, 99) for call_id in CALLS for after in (0, 2)],
        "outcome": [store.outcome(input_id) for input_id in ids],
        "items": [store.items(input_id, 1, 3) for input_id in ids],
        "logs": [store.logs("fc-A", "", 2, 3), store.logs("", "ap-1", 0, 9)],
        "letters": [
            (store.dead_letters(app, 9), store.dead_letter_count(app)) for app in some_apps
        ],
        "letter": [store.dead_letter(input_id) for input_id in ids],
        "blobs": store.blobs_in_use(BLOBS),
    }


@settings(max_examples=150, deadline=None)
@given(history=st.lists(steps, max_size=8))
def test_any_history_reads_the_same_from_both_stores(
    history: list[list[Record] | Collection],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        plain = MemoryStore()
        with closing(SqliteStore(Path(directory) / "offload.db")) as store:
            for step in [SETTING_UP, *history]:
                if isinstance(step, Collection):
                    assert collected(store, step) == collected(plain, step)
                elif commits(plain, step):
                    assert commits(store, step)

            assert everything(store) == everything(plain)
