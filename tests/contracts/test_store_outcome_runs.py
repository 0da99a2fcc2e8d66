"""What every store must do with outcomes that many inputs share; see `offload.control.ports.store.SaveOutcomeRun`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support.records import app_with_call, call, inputs, outcome, outcomes, run

from offload.control.core.ids import MAX_INPUTS_PER_CALL
from offload.control.core.inputs import InputState
from offload.control.core.model import FailureKind
from offload.control.ports.records import FinishCall, OutcomeRow, SaveCall
from offload.control.ports.store import StoreError

if TYPE_CHECKING:
    from offload.control.ports.store import Store


def pages(store: Store, limit: int, call_id: str = "fc-A") -> list[list[tuple[int, int]]]:
    """Return index and seq of all outcomes, page by page."""
    found: list[list[tuple[int, int]]] = []
    after = 0
    while rows := store.outcomes(call_id, after, limit):
        found.append([(row.index, row.seq) for row in rows])
        after = rows[-1].seq
    return found


def test_a_run_reads_like_the_outcomes_it_stands_for(store: Store) -> None:
    store.commit([*app_with_call(), inputs(range(10)), run(4, 3, 1)])

    expected = [
        OutcomeRow(
            input_id=f"in-A-{4 + n}",
            call_id="fc-A",
            index=4 + n,
            seq=1 + n,
            attempts=0,
            state=InputState.CANCELLED,
            failure=FailureKind.CANCELLED,
            reason="cancelled by its caller",
            body=b"body of the run",
            at=21.0,
        )
        for n in range(3)
    ]
    assert store.outcomes("fc-A", 0, 10) == expected
    assert [store.outcome(f"in-A-{index}") for index in range(3, 8)] == [None, *expected, None]


def test_inputs_of_a_run_have_ended(store: Store) -> None:
    store.commit([*app_with_call(), inputs(range(10)), outcomes(outcome(0, 1)), run(4, 3, 2)])

    (restored,) = tuple(store.open_calls())
    found = store.call("fc-A")

    assert restored.known == (range(10),)
    assert restored.unfinished == (range(1, 4), range(7, 10))
    assert restored.counts == {"succeeded": 1, "cancelled": 3}
    assert found is not None
    assert found.counts == {"succeeded": 1, "cancelled": 3}


def test_outcomes_and_runs_are_paged_together_by_seq(store: Store) -> None:
    store.commit([*app_with_call(), inputs(range(20))])
    store.commit([run(0, 4, 1), outcomes(outcome(9, 5)), run(5, 1, 6), run(10, 5, 7)])
    store.commit([outcomes(outcome(19, 12), outcome(18, 13))])

    assert pages(store, 4) == [
        [(0, 1), (1, 2), (2, 3), (3, 4)],
        [(9, 5), (5, 6), (10, 7), (11, 8)],
        [(12, 9), (13, 10), (14, 11), (19, 12)],
        [(18, 13)],
    ]
    assert pages(store, 1) == [[place] for page in pages(store, 100) for place in page]


def test_what_is_no_success_is_found_among_successes_alone_and_in_runs(store: Store) -> None:
    failed = outcome(7, 3, state=InputState.FAILED)
    store.commit([*app_with_call(), SaveCall(call("fc-B")), inputs(range(20))])
    store.commit([outcomes(outcome(0, 1), outcome(9, 2), failed), run(10, 3, 4)])

    assert [row.index for row in store.failures("fc-A", 10)] == [7, 10, 11, 12]
    assert [row.index for row in store.failures("fc-A", 2)] == [7, 10]
    assert store.failures("fc-A", 1) == [failed]
    assert store.failures("fc-B", 10) == []
    assert store.failures("fc-NEVER", 10) == []


def test_a_page_of_a_huge_run_costs_a_page(store: Store) -> None:
    store.commit([*app_with_call(), SaveCall(call("fc-B")), run(0, MAX_INPUTS_PER_CALL, 1)])

    last = MAX_INPUTS_PER_CALL - 1

    assert [row.index for row in store.outcomes("fc-A", 10**6, 2)] == [10**6, 10**6 + 1]
    assert [row.index for row in store.outcomes("fc-A", last, 2)] == [last]
    assert store.outcomes("fc-B", 0, 2) == []
    assert store.outcome("in-B-0") is None
    found = store.call("fc-A")
    assert found is not None
    assert found.counts == {"cancelled": MAX_INPUTS_PER_CALL}


def test_inputs_in_a_run_that_have_an_outcome_keep_it(store: Store) -> None:
    store.commit([*app_with_call(), inputs(range(10)), outcomes(outcome(3, 1), outcome(6, 2))])

    store.commit([run(2, 6, 3)])

    assert pages(store, 100) == [[(3, 1), (6, 2), (2, 3), (4, 5), (5, 6), (7, 8)]]
    assert store.outcome("in-A-3") == outcome(3, 1)
    assert next(iter(store.open_calls())).counts == {"succeeded": 2, "cancelled": 4}
    assert next(iter(store.open_calls())).unfinished == (range(2), range(8, 10))


@pytest.mark.parametrize("apart", [True, False], ids=["two commits", "one commit"])
def test_an_input_in_a_run_has_ended_for_good(store: Store, apart: bool) -> None:
    records = [run(2, 3, 1), outcomes(outcome(1, 4), outcome(2, 5), outcome(4, 6), outcome(5, 7))]
    store.commit([*app_with_call(), inputs(range(10))])

    for batch in [[record] for record in records] if apart else [records]:
        store.commit(batch)

    assert pages(store, 100) == [[(2, 1), (3, 2), (4, 3), (1, 4), (5, 7)]]
    assert next(iter(store.open_calls())).counts == {"succeeded": 2, "cancelled": 3}


def test_what_comes_first_in_a_commit_counts(store: Store) -> None:
    store.commit([*app_with_call(), inputs(range(10))])

    store.commit([outcomes(outcome(2, 1)), run(2, 2, 2), outcomes(outcome(3, 9)), run(1, 3, 10)])

    assert pages(store, 100) == [[(2, 1), (3, 3), (1, 10)]]


def test_a_run_over_runs_fills_the_gaps(store: Store) -> None:
    store.commit([*app_with_call(), run(2, 2, 1), run(6, 2, 3)])
    other = replace(run(0, 10, 5), state=InputState.TIMED_OUT, failure=FailureKind.TIMEOUT)

    store.commit([other, other])

    assert pages(store, 100) == [
        [(2, 1), (3, 2), (6, 3), (7, 4), (0, 5), (1, 6), (4, 9), (5, 10), (8, 13), (9, 14)]
    ]
    assert next(iter(store.open_calls())).counts == {"cancelled": 4, "timed_out": 6}


def test_a_repeated_run_changes_nothing(store: Store) -> None:
    records = [*app_with_call(), inputs(range(10)), outcomes(outcome(3, 1)), run(2, 4, 2)]
    store.commit(records)
    before = (tuple(store.open_calls()), store.outcomes("fc-A", 0, 100))

    store.commit(records)
    store.commit([replace(run(2, 4, 2), reason="something else")])

    assert (tuple(store.open_calls()), store.outcomes("fc-A", 0, 100)) == before


def test_a_run_in_a_failed_commit_leaves_nothing(store: Store) -> None:
    store.commit([*app_with_call(), inputs(range(10))])

    with pytest.raises(StoreError):
        store.commit([run(0, 5, 1), FinishCall("fc-NEVER", "failed", 1.0)])

    assert store.outcomes("fc-A", 0, 10) == []
    assert next(iter(store.open_calls())).counts == {}
    store.commit([outcomes(outcome(0, 1))])
    assert store.outcomes("fc-A", 0, 10) == [outcome(0, 1)]


@pytest.mark.parametrize(
    "bad",
    [run(0, 2, 1, "fc-NEVER"), run(MAX_INPUTS_PER_CALL - 1, 2, 1), run(MAX_INPUTS_PER_CALL, 1, 1)],
    ids=["unknown call", "reaching beyond", "beyond"],
)
def test_a_run_of_what_cannot_be_is_refused(store: Store, bad: object) -> None:
    store.commit(app_with_call())

    with pytest.raises(StoreError):
        store.commit([bad])

    assert store.outcomes("fc-A", 0, 10) == []
