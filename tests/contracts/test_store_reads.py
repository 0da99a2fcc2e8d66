"""What every store must answer; see `offload.control.ports.store.Store`."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.support.records import (
    app_with_call,
    call,
    function,
    inputs,
    item,
    line,
    outcome,
    outcomes,
)

from offload.control.core.inputs import InputState
from offload.control.ports.records import (
    CloseCall,
    DropItems,
    EndApp,
    FinishCall,
    SaveApp,
    SaveCall,
    SaveFunction,
    SaveItems,
    SaveLogs,
    StoredApp,
)

if TYPE_CHECKING:
    from offload.control.ports.store import Store


def test_a_snapshot_holds_unfinished_calls_with_their_inputs_by_index(store: Store) -> None:
    store.commit([*app_with_call(), SaveCall(call("fc-B")), SaveCall(call("fc-DONE"))])
    store.commit([inputs([12, 3, 1]), inputs([0], "fc-B"), inputs([0], "fc-DONE")])
    store.commit(
        [
            CloseCall("fc-A", 3),
            outcomes(outcome(3, 1, state=InputState.FAILED), outcome(0, 1, "fc-DONE")),
            FinishCall("fc-DONE", "succeeded", 30.0),
        ]
    )

    first, second = tuple(store.open_calls())

    assert first.call == call("fc-A")
    assert first.known == (range(1, 2), range(3, 4), range(12, 13))
    assert first.unfinished == (range(1, 2), range(12, 13))
    assert (first.closed, first.counts) == (True, {"failed": 1})
    assert (first.tried, first.ended) == ((), ())
    assert second.call.call_id == "fc-B"
    assert second.known == second.unfinished == (range(1),)
    assert (second.closed, second.counts) == (False, {})


def test_a_snapshot_holds_running_apps_and_those_of_unfinished_calls(store: Store) -> None:
    names = {"ap-running": "a", "ap-over": "b", "ap-busy": "c"}
    for app_id, name in names.items():
        fn = function(f"fu-{name}", app_id, name)
        store.commit([SaveApp(app_id, name, 1.0), SaveFunction(fn)])
    store.commit([SaveCall(call("fc-A", "fu-c")), EndApp("ap-over", 5.0), EndApp("ap-busy", 5.0)])

    snapshot = store.snapshot()

    assert [app.app_id for app in snapshot.apps] == ["ap-running", "ap-busy"]
    assert [fn.function_id for fn in snapshot.functions] == ["fu-a", "fu-c"]


def test_outcomes_are_paged_by_seq(store: Store) -> None:
    store.commit([*app_with_call(), inputs(range(5))])
    store.commit([outcomes(outcome(4, 1), outcome(2, 2), outcome(0, 3), outcome(1, 4))])

    page = store.outcomes("fc-A", 1, 2)

    assert page == [outcome(2, 2), outcome(0, 3)]
    assert [row.seq for row in store.outcomes("fc-A", 3, 2)] == [4]
    assert store.outcomes("fc-A", 4, 2) == []
    assert store.outcomes("fc-NEVER", 0, 2) == []


def test_one_outcome_is_found_by_its_input(store: Store) -> None:
    failed = outcome(1, 1, state=InputState.TIMED_OUT)
    store.commit([*app_with_call(), inputs(range(2)), outcomes(failed)])

    assert store.outcome("in-A-1") == failed
    assert store.outcome("in-A-0") is None
    assert store.outcome("in-NEVER-0") is None
    assert store.outcome("in-A-99999999999999999999") is None
    assert store.outcome("../etc/passwd") is None


def test_payloads_are_found_by_input_and_unknown_ones_are_missing(store: Store) -> None:
    store.commit([*app_with_call(), SaveCall(call("fc-B")), inputs(range(3)), inputs([0], "fc-B")])

    found = store.payloads(["in-B-0", "in-A-2", "in-A-7", "in-NEVER-0", "nonsense"])

    assert found == {"in-B-0": b"payload 0", "in-A-2": b"payload 2"}


def test_items_are_paged_by_seq_and_void_after_a_drop(store: Store) -> None:
    store.commit([*app_with_call(), inputs([0, 1])])
    store.commit([SaveItems((item(2), item(1), item(3), item(1, "in-A-1")))])

    assert store.items("in-A-0", 1, 1) == [item(2)]

    store.commit([SaveItems((item(4),)), DropItems("in-A-0"), SaveItems((item(1),))])

    assert store.items("in-A-0", 0, 9) == [item(1)]
    assert store.items("in-A-1", 0, 9) == [item(1, "in-A-1")]
    assert store.items("nonsense", 0, 9) == []


def test_dropping_the_items_of_an_unknown_input_is_harmless(store: Store) -> None:
    store.commit([DropItems("in-NEVER-0"), DropItems("nonsense")])

    assert store.items("in-NEVER-0", 0, 9) == []


def test_logs_are_read_by_call_or_by_app(store: Store) -> None:
    store.commit(
        [SaveLogs((line(3), line(1, ""), line(2, "fc-B"), line(4), line(5, "fc-C", "ap-2")))]
    )

    assert store.logs("fc-A", "", 0, 10) == [line(3), line(4)]
    assert [row.seq for row in store.logs("", "ap-1", 1, 2)] == [2, 3]
    assert [row.seq for row in store.logs("", "ap-2", 0, 10)] == [5]
    assert store.snapshot().last_log_seq == 5


def test_apps_are_found_by_id_and_the_newest_by_name(store: Store) -> None:
    store.commit([SaveApp("ap-1", "demo", 1.0), SaveApp("ap-2", "other", 2.0)])
    store.commit([SaveApp("ap-3", "demo", 3.0)])

    assert [app.app_id for app in store.apps(2)] == ["ap-3", "ap-2"]
    assert store.app("demo") == StoredApp("ap-3", "demo", 3.0, 0.0)
    assert store.app("ap-1") == StoredApp("ap-1", "demo", 1.0, 0.0)
    assert store.app("nothing") is None


def test_calls_are_listed_newest_first_by_app_and_openness(store: Store) -> None:
    other = replace(function("fu-2", "ap-2"), app_name="other")
    store.commit([*app_with_call("fc-1"), SaveApp("ap-2", "other", 1.0), SaveFunction(other)])
    store.commit([SaveCall(call("fc-2")), SaveCall(call("fc-3", "fu-2")), SaveCall(call("fc-4"))])
    store.commit([FinishCall("fc-2", "succeeded", 9.0)])

    def listed(app: str, *, open_only: bool, limit: int = 10) -> list[str]:
        return [found.call_id for found in store.calls(app, open_only, limit)]

    assert listed("", open_only=False) == ["fc-4", "fc-3", "fc-2", "fc-1"]
    assert listed("", open_only=True, limit=2) == ["fc-4", "fc-3"]
    assert listed("demo", open_only=False) == ["fc-4", "fc-2", "fc-1"]
    assert listed("ap-1", open_only=True) == ["fc-4", "fc-1"]
    assert listed("ap-2", open_only=True) == ["fc-3"]
    assert listed("nothing", open_only=False) == []


def test_reads_from_another_thread_see_each_commit_whole(store: Store) -> None:
    store.commit(app_with_call())
    seen: list[int] = []
    is_reading, is_done = threading.Event(), threading.Event()

    def read() -> None:
        while not is_done.is_set():
            seen.append(sum(map(len, next(iter(store.open_calls())).unfinished)))
            is_reading.set()

    reader = threading.Thread(target=read)
    reader.start()
    is_reading.wait()
    for first in range(0, 2000, 100):
        store.commit([inputs(range(first, first + 100))])
        assert len(store.payloads([f"in-A-{first}", f"in-A-{first + 99}"])) == 2
    is_done.set()
    reader.join()

    assert {count % 100 for count in seen} == {0}
    assert seen == sorted(seen)
