"""Whatever is committed in whatever order, the SQLite store answers like the plain one."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.records import call, function, inputs, item, line, outcome, outcomes, saved_app

from offload.control.core.inputs import FINAL_STATES
from offload.control.ports.store import (
    CloseCall,
    DropItems,
    EndApp,
    FinishCall,
    SaveApp,
    SaveCall,
    SaveFunction,
    SaveItems,
    SaveLogs,
    StoreError,
)
from offload.control.stores.memory import MemoryStore
from offload.control.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from offload.control.ports.store import Record, Store

APPS = ("ap-1", "ap-2", "ap-3")
FUNCTIONS = ("fu-1", "fu-2")
CALLS = ("fc-A", "fc-B", "fc-C")
INDICES = range(6)

call_ids = st.sampled_from(CALLS)
indices = st.sampled_from(INDICES)
small = st.integers(1, 6)
input_ids = st.builds(lambda call_id, i: f"in-{call_id[3:]}-{i}", call_ids, indices)

# Functions and calls name apps and functions that some examples never save.
records = st.one_of(
    st.builds(SaveApp, st.sampled_from(APPS), st.sampled_from(["demo", "other"]), st.just(1.0)),
    st.builds(EndApp, st.sampled_from(APPS), st.floats(1, 9)),
    st.builds(lambda f: SaveFunction(function(f, "ap-1")), st.sampled_from(FUNCTIONS)),
    st.builds(lambda c, f: SaveCall(call(c, f)), call_ids, st.sampled_from(FUNCTIONS)),
    st.builds(lambda c, many: inputs(many, c), call_ids, st.lists(indices, max_size=7)),
    st.builds(CloseCall, call_ids, small),
    st.builds(FinishCall, call_ids, st.sampled_from(["succeeded", "failed"]), st.floats(1, 9)),
    st.lists(
        st.builds(outcome, indices, small, call_ids, st.sampled_from(sorted(FINAL_STATES))),
        max_size=7,
    ).map(lambda rows: outcomes(*rows)),
    st.lists(st.builds(item, small, input_ids), max_size=7).map(
        lambda rows: SaveItems(tuple(rows))
    ),
    st.builds(DropItems, input_ids),
    st.lists(st.builds(line, small, call_ids, st.sampled_from(APPS)), max_size=5).map(
        lambda rows: SaveLogs(tuple(rows))
    ),
)

SETTING_UP: list[Record] = [
    saved_app(),
    SaveFunction(function("fu-1")),
    SaveCall(call("fc-A")),
]


def commits(store: Store, batch: list[Record]) -> bool:
    try:
        store.commit(batch)
    except StoreError:
        return False
    return True


def everything(store: Store) -> dict[str, object]:
    ids = [f"in-{call_id[3:]}-{index}" for call_id in CALLS for index in INDICES]
    return {
        "snapshot": store.snapshot(),
        "apps": (store.apps(9), [store.app(app) for app in (*APPS, "demo", "other")]),
        "functions": [store.function(function_id) for function_id in FUNCTIONS],
        "calls": [
            store.calls(app, flag, 2) for app in ("", "demo", "ap-2") for flag in (True, False)
        ],
        "call": [store.call(call_id) for call_id in CALLS],
        "payloads": store.payloads(ids),
        "outcome": [store.outcome(input_id) for input_id in ids],
        "items": [store.items(input_id, 1, 3) for input_id in ids],
        "logs": [store.logs("fc-A", "", 2, 3), store.logs("", "ap-1", 0, 9)],
    }


@settings(max_examples=60, deadline=None)
@given(batches=st.lists(st.lists(records, max_size=6), max_size=8))
def test_any_history_reads_the_same_from_both_stores(batches: list[list[Record]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        plain = MemoryStore()
        with closing(SqliteStore(Path(directory) / "offload.db")) as store:
            for batch in [SETTING_UP, *batches]:
                if commits(plain, batch):
                    assert commits(store, batch)

            assert everything(store) == everything(plain)
