"""What every store must do with lost inputs; see `offload.control.ports.store.DeadLetter`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support.records import (
    app_with_call,
    call,
    function,
    inputs,
    outcome,
    outcomes,
    saved_app,
)

from offload.control.core.inputs import FINAL_STATES, InputState
from offload.control.ports.records import (
    DeadLetter,
    DropLetter,
    FinishCall,
    InputRow,
    ReplayedLetter,
    SaveCall,
    SaveFunction,
    SaveInputs,
    SaveOutcomes,
)
from offload.control.ports.store import StoreError

if TYPE_CHECKING:
    from offload.control.ports.records import OutcomeRow
    from offload.control.ports.store import Store


def lost(index: int, call_id: str = "fc-A", at: float = 30.0) -> OutcomeRow:
    return replace(outcome(index, index + 1, call_id, InputState.LOST), at=at)


def letters(store: Store, app: str = "", limit: int = 100) -> list[str]:
    return [letter.input_id for letter in store.dead_letters(app, limit)]


def test_a_lost_input_is_a_dead_letter(store: Store) -> None:
    store.commit([*app_with_call(), inputs(range(3)), outcomes(lost(2))])

    expected = DeadLetter(
        input_id="in-A-2",
        call_id="fc-A",
        index=2,
        app_name="demo",
        function_id="fu-1",
        function_name="name of fu-1",
        attempts=2,
        at=30.0,
        reason="ValueError: no",
        blob="",
    )
    assert store.dead_letters("", 9) == [expected]
    assert store.dead_letter("in-A-2") == expected
    assert store.dead_letter_count("") == 1


def test_a_dead_letter_names_the_blob_of_its_payload(store: Store) -> None:
    row = InputRow("in-A-0", 0, b"a reference", "b" * 64)
    store.commit([*app_with_call(), SaveInputs("fc-A", (row,)), outcomes(lost(0))])

    letter = store.dead_letter("in-A-0")

    assert letter is not None
    assert letter.blob == "b" * 64
    assert store.dead_letters("", 9) == [letter]


def test_what_ended_in_another_way_is_none(store: Store) -> None:
    others = sorted(FINAL_STATES - {InputState.LOST})
    rows = [outcome(n, n + 1, state=state) for n, state in enumerate(others)]
    store.commit([*app_with_call(), outcomes(*rows, lost(0))])

    assert store.dead_letters("", 9) == []
    assert store.dead_letter("in-A-0") is None
    assert store.dead_letter("in-NEVER-0") is None
    assert store.dead_letter("nonsense") is None
    assert store.dead_letter_count("") == 0


def test_dead_letters_are_listed_newest_first(store: Store) -> None:
    store.commit([*app_with_call(), SaveCall(call("fc-B"))])
    store.commit([outcomes(lost(0, at=10.0), lost(1, at=40.0), lost(0, "fc-B", at=20.0))])
    store.commit([outcomes(lost(2, at=30.0), lost(3, at=30.0), lost(1, "fc-B", at=30.0))])

    everything = ["in-A-1", "in-B-1", "in-A-3", "in-A-2", "in-B-0", "in-A-0"]
    assert letters(store) == everything
    assert letters(store, limit=2) == everything[:2]


def test_dead_letters_are_listed_by_app(store: Store) -> None:
    other = replace(function("fu-2", "ap-2"), app_name="other")
    store.commit([*app_with_call(), saved_app("ap-2", "other"), SaveFunction(other)])
    store.commit([SaveCall(call("fc-B", "fu-2")), outcomes(lost(0), lost(1), lost(0, "fc-B"))])

    assert letters(store, "demo") == letters(store, "ap-1") == ["in-A-1", "in-A-0"]
    assert letters(store, "other") == letters(store, "ap-2", 1) == ["in-B-0"]
    assert letters(store, "nothing") == []
    counts = [store.dead_letter_count(app) for app in ("", "demo", "ap-2", "nothing")]
    assert counts == [3, 2, 1, 0]


@pytest.mark.parametrize(
    "record",
    [ReplayedLetter("in-A-0", "fc-B"), DropLetter("in-A-0")],
    ids=lambda record: type(record).__name__,
)
def test_a_letter_that_was_dealt_with_is_none_any_more(
    store: Store, record: ReplayedLetter | DropLetter
) -> None:
    lost_rows = outcomes(lost(0), lost(1))
    store.commit([*app_with_call(), SaveCall(call("fc-B")), lost_rows])

    store.commit([record])
    store.commit([record, lost_rows])

    assert letters(store) == ["in-A-1"]
    assert store.dead_letter("in-A-0") is None
    assert store.dead_letter_count("") == 1
    assert store.outcome("in-A-0") == lost(0)


def test_what_comes_before_a_letter_in_a_commit_does_not_touch_it(store: Store) -> None:
    store.commit([*app_with_call(), DropLetter("in-A-0"), outcomes(lost(0), lost(1), lost(2))])
    assert letters(store) == ["in-A-2", "in-A-1", "in-A-0"]

    store.commit([DropLetter("in-A-1"), outcomes(lost(3)), ReplayedLetter("in-A-3", "fc-B")])

    assert letters(store) == ["in-A-2", "in-A-0"]


def test_dealing_with_what_is_no_letter_is_harmless(store: Store) -> None:
    store.commit([*app_with_call(), outcomes(outcome(0, 1))])

    store.commit([DropLetter("in-A-0"), DropLetter("in-NEVER-0"), ReplayedLetter("nonsense", "x")])

    assert store.outcome("in-A-0") == outcome(0, 1)


def test_letters_stay_as_they_were_after_a_failed_commit(store: Store) -> None:
    store.commit([*app_with_call(), outcomes(lost(0))])

    with pytest.raises(StoreError):
        store.commit([DropLetter("in-A-0"), outcomes(lost(1)), FinishCall("fc-NEVER", "x", 1.0)])

    assert letters(store) == ["in-A-0"]


def test_many_letters_are_dealt_with_at_once(store: Store) -> None:
    store.commit([*app_with_call(), SaveOutcomes(tuple(lost(index) for index in range(1300)))])

    store.commit([DropLetter(f"in-A-{index}") for index in range(1000)])

    assert store.dead_letter_count("") == 300
