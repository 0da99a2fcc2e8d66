"""What every store must remove, and when; see `offload.control.ports.store.Store.collect`."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support.records import (
    app_with_call,
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

from offload.control.core.inputs import InputState
from offload.control.ports.records import (
    CloseCall,
    DropItems,
    EndApp,
    FinishCall,
    InputRow,
    SaveCall,
    SaveFunction,
    SaveInputs,
    SaveItems,
    SaveLogs,
    SaveOutcomes,
)
from offload.control.ports.store import StoreError

if TYPE_CHECKING:
    from offload.control.ports.records import Collected, Record
    from offload.control.ports.store import Store


def collect_all(store: Store, before: float, limit: int = 1000) -> list[Collected]:
    """Collect until nothing is left; return the passes that did something."""
    passes = []
    while (done := store.collect(before, limit)).rows or done.calls:
        passes.append(done)
        assert len(passes) < 10_000
    return passes


def finished(call_id: str, at: float, count: int = 3) -> list[Record]:
    """Return a call with something of every kind that ended at that time."""
    first = f"in-{call_id[3:]}-0"
    ended = [replace(outcome(n, n + 1, call_id), at=at) for n in range(count - 1)]
    return [
        SaveCall(call(call_id)),
        inputs(range(count), call_id),
        CloseCall(call_id, count),
        history(0, call_id=call_id),
        SaveItems((item(1, first), item(2, first))),
        SaveOutcomes(tuple(ended)),
        run(count - 1, 1, count, call_id),
        FinishCall(call_id, "failed", at),
    ]


def everything_of(store: Store, call_id: str) -> list[object]:
    """Return all that readers find of a call; nothing for one that is gone."""
    first = f"in-{call_id[3:]}-0"
    found = [
        store.call(call_id),
        [c for c in store.calls("", False, 99) if c.call_id == call_id],
        [c for c in store.calls("demo", False, 99) if c.call_id == call_id],
        [c for c in tuple(store.open_calls()) if c.call.call_id == call_id],
        store.states([call_id]),
        store.payloads([first]),
        store.outcomes(call_id, 0, 9),
        store.outcome(first),
        store.items(first, 0, 9),
        [letter for letter in store.dead_letters("", 9) if letter.call_id == call_id],
        store.dead_letter(first),
    ]
    return [part for part in found if part]


def test_a_call_that_ended_before_the_time_is_gone_with_all_that_is_its(store: Store) -> None:
    store.commit([*app_with_call("fc-OPEN"), *finished("fc-OLD", 10.0), *finished("fc-NEW", 20.0)])
    before = [everything_of(store, call_id) for call_id in ("fc-OPEN", "fc-NEW")]

    passes = collect_all(store, 20.0)

    assert sum(done.calls for done in passes) == 1
    assert everything_of(store, "fc-OLD") == []
    assert [everything_of(store, call_id) for call_id in ("fc-OPEN", "fc-NEW")] == before


def test_nothing_to_collect_is_said(store: Store) -> None:
    store.commit([*app_with_call("fc-OPEN"), inputs([0], "fc-OPEN"), *finished("fc-NEW", 20.0)])

    done = store.collect(20.0, 100)

    assert (done.calls, done.rows, done.blobs) == (0, 0, ())
    assert store.collect(20.0, 100) == done


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_a_call_is_gone_from_the_first_pass_that_touches_it(store: Store, limit: int) -> None:
    count = 200
    store.commit([*app_with_call("fc-OPEN"), *finished("fc-OLD", 10.0, count)])

    store.collect(20.0, limit)

    assert everything_of(store, "fc-OLD") == []
    collect_all(store, 20.0, limit)
    assert everything_of(store, "fc-OLD") == []


@pytest.mark.parametrize("limit", [1, 10, 10_000])
def test_a_call_of_the_same_id_begins_anew_after_the_first_pass(store: Store, limit: int) -> None:
    store.commit([*app_with_call("fc-OPEN"), *finished("fc-OLD", 10.0, 50)])
    store.collect(20.0, limit)

    store.commit([SaveCall(call("fc-OLD")), SaveCall(call("fc-NEXT")), inputs([7], "fc-OLD")])
    collect_all(store, 20.0, limit)

    again = {one.call.call_id: one for one in tuple(store.open_calls())}
    assert again["fc-OLD"].known == again["fc-OLD"].unfinished == (range(7, 8),)
    assert (again["fc-OLD"].tried, again["fc-OLD"].counts) == ((), {})
    assert again["fc-NEXT"].known == ()
    assert store.payloads(["in-OLD-7", "in-OLD-0"]) == {"in-OLD-7": b"payload 7"}
    assert store.items("in-OLD-0", 0, 9) == []


def test_a_record_of_a_collected_call_is_refused(store: Store) -> None:
    store.commit([*app_with_call("fc-OPEN"), *finished("fc-OLD", 10.0)])
    store.collect(20.0, 1)

    for late in (inputs([9], "fc-OLD"), outcomes(outcome(9, 9, "fc-OLD"))):
        with pytest.raises(StoreError):
            store.commit([late])


def test_many_small_calls_go_in_bounded_passes(store: Store) -> None:
    ids = [f"fc-{n}" for n in range(60)]
    store.commit(app_with_call("fc-OPEN"))
    for n, call_id in enumerate(ids):
        store.commit(finished(call_id, 10.0 + n))

    passes = collect_all(store, 50.0, 30)

    assert max(done.rows for done in passes) <= 60
    assert sum(done.calls for done in passes) == 40
    left = [found.call_id for found in store.calls("", False, 100)]
    assert left == [*reversed(ids[40:]), "fc-OPEN"]


def test_a_lost_input_is_no_letter_once_its_call_is_collected(store: Store) -> None:
    lost = outcome(0, 1, "fc-OLD", InputState.LOST)
    store.commit([*app_with_call("fc-OPEN"), SaveCall(call("fc-OLD"))])
    store.commit([outcomes(lost), FinishCall("fc-OLD", "failed", 10.0)])

    collect_all(store, 20.0)

    assert store.dead_letters("", 9) == []
    assert store.dead_letter_count("") == 0


def test_what_comes_after_a_collected_call_is_not_told_its_end(store: Store) -> None:
    store.commit([*app_with_call("fc-OPEN"), *finished("fc-OLD", 10.0)])
    store.commit([SaveCall(replace(call("fc-LATER"), after=("fc-OLD", "fc-OPEN")))])

    store.collect(20.0, 1)

    assert [one.ended for one in tuple(store.open_calls())] == [(), ()]


def test_a_stopped_app_goes_after_the_last_of_its_calls(store: Store) -> None:
    store.commit([saved_app(), SaveFunction(function()), *finished("fc-A", 30.0)])
    store.commit([saved_app("ap-2", "other"), saved_app("ap-3", "third"), EndApp("ap-1", 5.0)])
    store.commit([EndApp("ap-2", 5.0), SaveFunction(function("fu-2", "ap-2", "other"))])

    collect_all(store, 20.0)

    assert [app.app_id for app in store.apps(9)] == ["ap-3", "ap-1"]
    assert (store.function("fu-1"), store.function("fu-2")) == (function(), None)

    collect_all(store, 40.0)

    assert [app.app_id for app in store.apps(9)] == ["ap-3"]
    assert store.function("fu-1") is None
    assert store.app("demo") is None


def test_lines_written_before_the_time_are_gone(store: Store) -> None:
    lines = tuple(line(seq) for seq in range(1, 31))  # line 1 is of the sixth second
    store.commit([*app_with_call(), SaveLogs(lines)])

    passes = collect_all(store, 16.0, 4)

    assert store.logs("fc-A", "", 0, 99) == list(lines[10:])
    assert store.logs("", "ap-1", 0, 99) == list(lines[10:])
    assert [done.rows for done in passes] == [4, 4, 2]
    assert store.snapshot().last_log_seq == 30


BLOB = "b" * 64
OTHER = "c" * 64


def with_blob(index: int, call_id: str, blob: str) -> SaveInputs:
    return SaveInputs(call_id, (InputRow(f"in-{call_id[3:]}-{index}", index, b"", blob),))


@pytest.mark.parametrize(
    "user",
    [
        with_blob(0, "fc-OLD", BLOB),
        SaveItems((replace(item(1, "in-OLD-0"), blob=BLOB),)),
        outcomes(replace(outcome(0, 1, "fc-OLD"), blob=BLOB)),
    ],
    ids=lambda record: type(record).__name__,
)
def test_a_blob_is_in_use_until_its_call_is_collected(store: Store, user: Record) -> None:
    store.commit([*app_with_call("fc-OPEN"), SaveCall(call("fc-OLD")), user])
    store.commit([FinishCall("fc-OLD", "succeeded", 10.0)])
    assert store.blobs_in_use([BLOB, OTHER]) == {BLOB}

    passes = collect_all(store, 20.0, 1)

    assert [blob for done in passes for blob in done.blobs] == [BLOB]
    assert store.blobs_in_use([BLOB, OTHER]) == set()


def test_the_code_of_a_function_is_in_use_until_its_app_is_collected(store: Store) -> None:
    store.commit([saved_app(), SaveFunction(replace(function(), blob=BLOB)), EndApp("ap-1", 5.0)])
    assert store.blobs_in_use([BLOB]) == {BLOB}

    passes = collect_all(store, 20.0)

    assert [blob for done in passes for blob in done.blobs] == [BLOB]
    assert store.blobs_in_use([BLOB]) == set()


def test_what_an_image_takes_along_is_in_use_until_its_app_is_collected(store: Store) -> None:
    ours = replace(function(), blob=BLOB, image_blobs=(OTHER, "d" * 64))
    others = replace(function("fu-2", "ap-2", "other"), image_blobs=("d" * 64,))
    store.commit([saved_app(), SaveFunction(ours), EndApp("ap-1", 5.0)])
    store.commit([saved_app("ap-2"), SaveFunction(others)])
    found = store.function("fu-1")
    used = store.blobs_in_use([BLOB, OTHER, "d" * 64, "e" * 64])

    passes = collect_all(store, 20.0)

    assert found is not None
    assert found.image_blobs == (OTHER, "d" * 64)
    assert used == {BLOB, OTHER, "d" * 64}
    assert [blob for done in passes for blob in done.blobs] == [BLOB, OTHER]
    assert store.blobs_in_use([BLOB, OTHER, "d" * 64]) == {"d" * 64}


def test_a_blob_that_something_else_names_is_kept(store: Store) -> None:
    store.commit([*app_with_call("fc-OPEN"), SaveCall(call("fc-OLD"))])
    store.commit([with_blob(n, "fc-OLD", BLOB) for n in range(5)])
    store.commit([with_blob(9, "fc-OLD", OTHER), FinishCall("fc-OLD", "succeeded", 10.0)])
    store.commit([with_blob(0, "fc-OPEN", BLOB)])

    passes = collect_all(store, 20.0, 2)

    assert [blob for done in passes for blob in done.blobs] == [OTHER]
    assert store.blobs_in_use([BLOB, OTHER]) == {BLOB}


def test_dropped_items_name_no_blobs_and_those_of_other_inputs_still_do(store: Store) -> None:
    rows = (replace(item(1), blob=BLOB), replace(item(1, "in-A-1"), blob=OTHER))
    store.commit([*app_with_call(), with_blob(0, "fc-A", "d" * 64), SaveItems(rows)])
    assert store.items("in-A-0", 0, 9) == [rows[0]]

    store.commit([DropItems("in-A-0")])

    assert store.blobs_in_use([BLOB, OTHER, "d" * 64]) == {OTHER, "d" * 64}


def test_a_row_that_was_known_already_does_not_change_what_is_in_use(store: Store) -> None:
    store.commit([*app_with_call(), with_blob(0, "fc-A", BLOB), run(1, 2, 1)])

    store.commit([with_blob(0, "fc-A", OTHER), outcomes(replace(outcome(2, 5), blob=OTHER))])

    assert store.blobs_in_use([BLOB, OTHER, ""]) == {BLOB}


def test_an_outcome_says_which_blob_it_names(store: Store) -> None:
    row = replace(outcome(0, 1), blob=BLOB)
    store.commit([*app_with_call(), outcomes(row)])

    assert store.outcome("in-A-0") == row
    assert store.outcomes("fc-A", 0, 9) == [row]


def test_commits_go_on_beside_collection(store: Store) -> None:
    store.commit(app_with_call("fc-OPEN"))
    for n in range(40):
        store.commit(finished(f"fc-{n}", 10.0, 20))
    passes: list[Collected] = []
    collector = threading.Thread(target=lambda: passes.extend(collect_all(store, 20.0, 20)))

    collector.start()
    for n in range(100):
        store.commit([inputs([n], "fc-OPEN"), outcomes(outcome(n, n + 1, "fc-OPEN"))])
    collector.join()

    assert sum(done.calls for done in passes) == 40
    assert [found.call_id for found in store.calls("", False, 99)] == ["fc-OPEN"]
    assert len(store.outcomes("fc-OPEN", 0, 1000)) == 100
