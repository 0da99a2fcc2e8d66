"""What every store must keep for a dispatcher that starts again; see `offload.control.ports.store.Store`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support.records import (
    app_with_call,
    call,
    function,
    history,
    inputs,
    outcome,
    outcomes,
    run,
    saved_app,
)

from offload.control.core.model import Scaling
from offload.control.ports.records import (
    CloseCall,
    FinishCall,
    RemoveWorker,
    SaveApp,
    SaveCall,
    SaveFunction,
    SaveScaling,
    SaveWorker,
)
from offload.control.ports.store import StoreError

if TYPE_CHECKING:
    from offload.control.ports.store import Store

WIDER = Scaling(2, 20, 3, 5.5)
WIDEST = Scaling(4, 40, 6, 7.5)


def test_the_last_scaling_of_a_function_counts(store: Store) -> None:
    store.commit([saved_app(), SaveFunction(function()), SaveFunction(function("fu-2"))])

    store.commit([SaveScaling("fu-1", WIDEST), SaveScaling("fu-1", WIDER)])

    assert store.function("fu-1") == replace(function(), scaling=WIDER)
    assert store.function("fu-2") == function("fu-2")
    assert store.snapshot().functions[0].scaling == WIDER


def test_a_scaling_outlives_a_repeated_function(store: Store) -> None:
    store.commit([saved_app(), SaveFunction(function()), SaveScaling("fu-1", WIDER)])

    store.commit([SaveFunction(function())])

    assert store.function("fu-1") == replace(function(), scaling=WIDER)


def test_the_scaling_of_a_function_never_saved_is_refused_with_all_of_its_commit(
    store: Store,
) -> None:
    store.commit([saved_app(), SaveFunction(function())])

    with pytest.raises(StoreError, match="fu-NEVER"):
        store.commit([SaveScaling("fu-1", WIDER), SaveScaling("fu-NEVER", WIDER)])

    assert store.function("fu-1") == function()


def test_an_app_of_no_workspace_is_of_the_default_one(store: Store) -> None:
    store.commit([SaveApp("ap-1", "demo", 1.0), saved_app("ap-2", "other")])

    workspaces = {app.app_id: app.workspace for app in store.apps(9)}

    assert workspaces == {"ap-1": "default", "ap-2": "team"}
    assert [app.workspace for app in store.snapshot().apps] == ["default", "team"]


def test_how_a_call_is_to_be_treated_comes_back(store: Store) -> None:
    treated = replace(
        call("fc-B"), priority=7, deadline=1234.5, after=("fc-A", "fc-GONE"), run_anyway=True
    )
    store.commit([*app_with_call(), SaveCall(treated)])

    found = store.call("fc-B")

    assert tuple(store.open_calls())[1].call == treated
    assert found is not None
    assert (found.priority, found.deadline) == (7, 1234.5)
    assert (found.after, found.run_anyway) == (("fc-A", "fc-GONE"), True)


def test_a_snapshot_tells_how_the_calls_ended_that_others_come_after(store: Store) -> None:
    first = [SaveCall(call(f"fc-{name}")) for name in ("OK", "BAD", "OPEN")]
    store.commit([*app_with_call(), *first])
    waiting = replace(call("fc-LAST"), after=("fc-BAD", "fc-OPEN", "fc-GONE", "fc-OK"))
    store.commit([FinishCall("fc-OK", "succeeded", 1.0), FinishCall("fc-BAD", "failed", 2.0)])

    store.commit([SaveCall(waiting)])

    restored = {one.call.call_id: one.ended for one in tuple(store.open_calls())}
    assert restored == {
        "fc-A": (),
        "fc-OPEN": (),
        "fc-LAST": (("fc-BAD", "failed"), ("fc-OK", "succeeded")),
    }


def test_the_states_of_calls_are_found_and_unknown_ones_are_missing(store: Store) -> None:
    store.commit([*app_with_call(), SaveCall(call("fc-B")), FinishCall("fc-B", "failed", 2.0)])

    assert store.states(["fc-B", "fc-A", "fc-NEVER"]) == {"fc-A": "", "fc-B": "failed"}
    assert store.states([]) == {}


def test_a_snapshot_tells_what_was_tried_of_what_is_unfinished(store: Store) -> None:
    store.commit([*app_with_call(), SaveCall(call("fc-B")), inputs(range(6)), inputs([0], "fc-B")])
    tried = [history(index) for index in (5, 4, 1, 0)]

    store.commit([*tried, history(0, call_id="fc-B"), history(99)])
    store.commit([outcomes(outcome(0, 1)), run(4, 1, 2)])

    first, second = tuple(store.open_calls())
    assert first.tried == (history(1).history, history(5).history)
    assert second.tried == (history(0).history,)


def test_the_last_history_of_an_input_counts(store: Store) -> None:
    store.commit([*app_with_call(), inputs([0]), history(0, 1), history(0, 2)])
    store.commit([history(0, 4), history(0, 3)])

    assert next(iter(store.open_calls())).tried == (history(0, 3).history,)


def test_a_history_of_a_call_never_saved_is_refused(store: Store) -> None:
    with pytest.raises(StoreError):
        store.commit([history(0, call_id="fc-NEVER")])


def test_workers_come_back_until_they_are_removed(store: Store) -> None:
    store.commit([SaveWorker("wo-1", "rack"), SaveWorker("wo-2", "desk"), SaveWorker("wo-3", "x")])

    store.commit([SaveWorker("wo-1", "renamed"), RemoveWorker("wo-2"), RemoveWorker("wo-NEVER")])

    assert store.snapshot().workers == (("wo-1", "rack"), ("wo-3", "x"))


def test_the_last_word_on_a_worker_in_a_commit_counts(store: Store) -> None:
    store.commit([SaveWorker("wo-1", "a"), RemoveWorker("wo-1"), RemoveWorker("wo-2")])
    store.commit([SaveWorker("wo-2", "b"), RemoveWorker("wo-2"), SaveWorker("wo-2", "c")])

    assert store.snapshot().workers == (("wo-2", "c"),)


def test_a_million_inputs_are_a_few_runs(store: Store) -> None:
    count = 10_000  # the SQLite store walks none of them, and this stays quick
    store.commit([*app_with_call(), inputs(range(count)), CloseCall("fc-A", count)])
    store.commit([outcomes(*(outcome(i, i + 1) for i in range(1000, 1300))), run(5000, 2000, 301)])

    (restored,) = tuple(store.open_calls())

    assert restored.known == (range(count),)
    assert restored.unfinished == (range(1000), range(1300, 5000), range(7000, count))
