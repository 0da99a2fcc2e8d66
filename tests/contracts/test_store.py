"""What every store must do; see `offload.control.ports.store.Store`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support.records import (
    app_with_call,
    call,
    function,
    inputs,
    item,
    line,
    outcome,
    outcomes,
    saved_app,
)

from offload.control.core.ids import MAX_INPUTS_PER_CALL
from offload.control.core.inputs import InputState
from offload.control.core.model import CallKind
from offload.control.ports.records import (
    CloseCall,
    EndApp,
    FinishCall,
    InputRow,
    SaveApp,
    SaveCall,
    SaveFunction,
    SaveInputs,
    SaveItems,
    SaveLogs,
    StoredApp,
)
from offload.control.ports.store import StoreError

if TYPE_CHECKING:
    from offload.control.ports.store import Store


def test_an_empty_store_has_an_empty_snapshot(store: Store) -> None:
    snapshot = store.snapshot()

    assert (snapshot.apps, snapshot.functions, tuple(store.open_calls())) == ((), (), ())
    assert snapshot.last_log_seq == 0


def test_everything_saved_of_a_function_comes_back(store: Store) -> None:
    store.commit([saved_app(), SaveFunction(function())])

    assert store.function("fu-1") == function()
    assert store.function("fu-2") is None


def test_everything_saved_of_a_call_comes_back(store: Store) -> None:
    store.commit([*app_with_call(), inputs(range(3)), CloseCall("fc-A", 3)])

    found = store.call("fc-A")

    assert found is not None
    assert (found.app_id, found.app_name) == ("ap-1", "demo")
    assert (found.function_id, found.function_name) == ("fu-1", "name of fu-1")
    assert (found.kind, found.created_at) == (CallKind.MAP, 10.0)
    assert (found.attached, found.durable) == (True, False)
    assert (found.closed, found.total) == (True, 3)
    assert (found.state, found.finished_at, found.counts) == ("", 0.0, {})
    assert store.call("fc-B") is None


def test_a_commit_with_a_bad_record_changes_nothing(store: Store) -> None:
    store.commit(app_with_call())

    with pytest.raises(StoreError, match="fc-NEVER"):
        store.commit(
            [
                SaveApp("ap-2", "other", 2.0),
                inputs([0]),
                outcomes(outcome(0, 1)),
                SaveLogs((line(1),)),
                CloseCall("fc-NEVER", 1),
            ]
        )

    assert store.app("ap-2") is None
    assert store.payloads(["in-A-0"]) == {}
    assert store.outcomes("fc-A", 0, 10) == []
    assert store.snapshot().last_log_seq == 0


def test_a_call_first_saved_in_a_failed_commit_can_be_saved_again(store: Store) -> None:
    store.commit([saved_app(), SaveFunction(function())])
    with pytest.raises(StoreError):
        store.commit([SaveCall(call("fc-A")), inputs([0]), CloseCall("fc-NEVER", 1)])
    store.commit([SaveCall(call("fc-B")), inputs([0], "fc-B")])

    store.commit([SaveCall(call("fc-A")), inputs([5])])

    assert set(store.payloads(["in-A-5", "in-A-0", "in-B-0"])) == {"in-A-5", "in-B-0"}


@pytest.mark.parametrize(
    "orphan",
    [
        SaveFunction(function(app_id="ap-NEVER")),
        SaveCall(call(function_id="fu-NEVER")),
        inputs([0], "fc-NEVER"),
        outcomes(outcome(0, 1, "fc-NEVER")),
        SaveItems((item(1, "in-NEVER-0"),)),
        pytest.param(SaveItems((item(1, "no input at all"),)), id="SaveItems of no input"),
        FinishCall("fc-NEVER", "succeeded", 1.0),
    ],
    ids=lambda record: type(record).__name__,
)
def test_a_record_of_something_never_saved_is_refused(store: Store, orphan: object) -> None:
    store.commit([saved_app(), SaveFunction(function())])

    with pytest.raises(StoreError):
        store.commit([orphan])


def test_an_index_beyond_what_a_call_can_have_is_refused(store: Store) -> None:
    store.commit(app_with_call())
    beyond = InputRow(f"in-A-{MAX_INPUTS_PER_CALL}", MAX_INPUTS_PER_CALL, b"")

    with pytest.raises(StoreError):
        store.commit([SaveInputs("fc-A", (beyond,))])

    assert store.payloads([beyond.input_id]) == {}


def test_the_last_possible_input_of_a_call_does_not_touch_the_next_call(store: Store) -> None:
    last = MAX_INPUTS_PER_CALL - 1

    store.commit([*app_with_call(), SaveCall(call("fc-B")), inputs([last])])

    first_call, second_call = tuple(store.open_calls())
    assert first_call.known == first_call.unfinished == (range(last, last + 1),)
    assert second_call.known == second_call.unfinished == ()


def test_a_commit_repeated_changes_nothing(store: Store) -> None:
    records = [
        *app_with_call(),
        inputs(range(4)),
        CloseCall("fc-A", 4),
        SaveItems((item(1), item(2))),
        outcomes(outcome(0, 1), outcome(1, 2, state=InputState.FAILED)),
        SaveLogs((line(1), line(2))),
    ]
    store.commit(records)
    before = (
        store.snapshot(),
        tuple(store.open_calls()),
        store.call("fc-A"),
        store.items("in-A-0", 0, 9),
    )

    store.commit(records)

    assert (
        store.snapshot(),
        tuple(store.open_calls()),
        store.call("fc-A"),
        store.items("in-A-0", 0, 9),
    ) == before
    assert len(store.logs("fc-A", "", 0, 10)) == 2


def test_the_end_of_an_app_that_is_saved_only_later_is_ignored(store: Store) -> None:
    store.commit([EndApp("ap-1", 5.0), saved_app()])
    store.commit([saved_app("ap-2"), EndApp("ap-2", 5.0), saved_app("ap-2")])
    store.commit([EndApp("ap-2", 6.0), saved_app("ap-2")])

    assert store.app("ap-1") == StoredApp("ap-1", "demo", 1.0, 0.0, "team")
    assert store.app("ap-2") == StoredApp("ap-2", "demo", 1.0, 5.0, "team")


def test_the_first_word_on_an_object_counts(store: Store) -> None:
    store.commit(app_with_call())

    store.commit(
        [
            CloseCall("fc-A", 2),
            CloseCall("fc-A", 9),
            FinishCall("fc-A", "failed", 30.0),
            FinishCall("fc-A", "succeeded", 31.0),
            EndApp("ap-1", 40.0),
            EndApp("ap-1", 41.0),
        ]
    )
    store.commit([CloseCall("fc-A", 8), FinishCall("fc-A", "lost", 32.0), EndApp("ap-1", 42.0)])

    found = store.call("fc-A")
    assert found is not None
    assert (found.total, found.state, found.finished_at) == (2, "failed", 30.0)
    assert store.app("ap-1") == StoredApp("ap-1", "demo", 1.0, 40.0, "team")


def test_what_is_known_stays_as_it_was_first_saved(store: Store) -> None:
    store.commit([*app_with_call(), inputs([0]), SaveItems((item(1),)), SaveLogs((line(1),))])

    store.commit(
        [
            SaveApp("ap-1", "renamed", 9.0),
            SaveFunction(replace(function(), name="renamed")),
            SaveCall(replace(call(), created_at=99.0)),
            SaveInputs("fc-A", (InputRow("in-A-0", 0, b"changed"),)),
            SaveItems((replace(item(1), payload=b"changed"),)),
            SaveLogs((replace(line(1), text="changed"),)),
        ]
    )

    assert store.apps(9) == [StoredApp("ap-1", "demo", 1.0, 0.0, "team")]
    assert store.function("fu-1") == function()
    assert next(iter(store.open_calls())).call == call()
    assert store.payloads(["in-A-0"]) == {"in-A-0": b"payload 0"}
    assert store.items("in-A-0", 0, 9) == [item(1)]
    assert store.logs("fc-A", "", 0, 9) == [line(1)]


def test_an_input_ends_once_within_a_commit_and_over_commits(store: Store) -> None:
    store.commit([*app_with_call(), inputs(range(2))])

    store.commit([outcomes(outcome(0, 1), outcome(0, 2, state=InputState.FAILED))])
    store.commit([outcomes(outcome(0, 3, state=InputState.LOST), outcome(1, 2))])

    assert store.outcomes("fc-A", 0, 10) == [outcome(0, 1), outcome(1, 2)]
    found = store.call("fc-A")
    assert found is not None
    assert found.counts == {"succeeded": 2}


def test_counts_tell_the_outcomes_of_each_state(store: Store) -> None:
    store.commit([*app_with_call(), SaveCall(call("fc-B")), inputs(range(700))])
    rows = [outcome(i, i + 1) for i in range(600)]
    failed = [outcome(i, i + 1, state=InputState.FAILED) for i in range(600, 603)]

    store.commit([outcomes(*rows, *failed)])

    first, second = store.calls("", open_only=False, limit=10)
    assert (first.call_id, first.counts) == ("fc-B", {})
    assert (second.call_id, second.counts) == ("fc-A", {"succeeded": 600, "failed": 3})


@pytest.mark.parametrize("count", [1, 5, 200, 513, 1300])
def test_a_batch_of_any_size_is_saved_whole(store: Store, count: int) -> None:
    store.commit([*app_with_call(), inputs(range(count))])

    store.commit([outcomes(*(outcome(i, i + 1) for i in range(0, count, 2)))])

    (restored,) = tuple(store.open_calls())
    assert restored.known == (range(count),)
    assert restored.unfinished == tuple(range(i, i + 1) for i in range(1, count, 2))
    assert restored.counts == {"succeeded": (count + 1) // 2}


def test_closing_twice_is_harmless(store: Store) -> None:
    store.close()

    store.close()
