"""How the SQLite store collects: in bounded pieces, over restarts, and in a file that stops growing."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from tests.support.records import app_with_call, call, inputs, item, outcome, outcomes, run

from offload.control.ports.records import FinishCall, InputRow, SaveCall, SaveInputs, SaveItems
from offload.control.ports.store import StoreError
from offload.control.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TABLES = ("inputs", "outcomes", "outcome_runs", "call_counts", "items", "histories")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "offload.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(path)
    yield opened
    opened.close()


def row_counts(path: Path) -> dict[str, int]:
    with sqlite3.connect(path) as connection:
        found = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for table in (*TABLES, "calls", "collected_calls")
        }
    connection.close()
    return {table: count for table, count in found.items() if count}


def finish(store: SqliteStore, call_id: str, count: int) -> None:
    ended = outcomes(*(outcome(n, n + 1, call_id) for n in range(count - 2)))
    store.commit([SaveCall(call(call_id)), inputs(range(count), call_id), ended])
    store.commit([run(count - 2, 2, count - 1, call_id), FinishCall(call_id, "failed", 10.0)])


def collect_all(store: SqliteStore, limit: int) -> list[int]:
    """Return how many rows each pass removed."""
    passes = []
    while rows := store.collect(20.0, limit).rows:
        passes.append(rows)
    return passes


def test_a_call_of_many_inputs_goes_a_piece_at_a_time(store: SqliteStore, path: Path) -> None:
    store.commit(app_with_call("fc-OPEN"))
    finish(store, "fc-OLD", 3000)

    passes = collect_all(store, 100)

    assert max(passes) <= 102  # the call's counts are removed together
    assert sum(passes) == 1 + 3000 + 2998 + 1 + 2
    assert row_counts(path) == {"calls": 1}


def test_rows_of_many_pages_count_as_many(store: SqliteStore, path: Path) -> None:
    payload = b"x" * 60_000  # fifteen pages
    rows = (InputRow(f"in-OLD-{n}", n, payload) for n in range(50))
    store.commit([*app_with_call("fc-OLD"), SaveInputs("fc-OLD", tuple(rows))])
    store.commit([FinishCall("fc-OLD", "failed", 10.0)])

    passes = collect_all(store, 150)

    assert passes == [11, 10, 10, 10, 10]  # the first has the call too
    assert row_counts(path) == {}


def test_a_row_larger_than_the_limit_goes_all_the_same(store: SqliteStore, path: Path) -> None:
    rows = (InputRow("in-OLD-0", 0, b"x" * 60_000), InputRow("in-OLD-1", 1, b""))
    store.commit([*app_with_call("fc-OLD"), SaveInputs("fc-OLD", rows)])
    store.commit([FinishCall("fc-OLD", "failed", 10.0)])

    assert collect_all(store, 2) == [2, 1]  # the call and the large input, then the small one
    assert row_counts(path) == {}


@pytest.mark.parametrize("pass_count", range(1, 12, 2))
def test_a_server_goes_on_with_what_the_last_one_began_to_collect(
    path: Path, pass_count: int
) -> None:
    first = SqliteStore(path)
    first.commit(app_with_call("fc-OPEN"))
    finish(first, "fc-OLD", 30)
    first.commit([SaveItems((item(1, "in-OLD-0"),))])
    for _ in range(pass_count):
        first.collect(20.0, 7)
    first.close()

    second = SqliteStore(path)
    assert second.call("fc-OLD") is None
    second.commit([SaveCall(call("fc-NEW")), inputs(range(5), "fc-NEW")])
    collect_all(second, 7)

    assert [one.unfinished for one in tuple(second.open_calls())] == [(), (range(5),)]
    assert row_counts(path) == {"calls": 2, "inputs": 5}
    second.close()


def test_what_failed_to_be_collected_is_there_as_before(store: SqliteStore, path: Path) -> None:
    store.commit(app_with_call("fc-OPEN"))
    finish(store, "fc-OLD", 30)
    before = (store.call("fc-OLD"), row_counts(path))
    with sqlite3.connect(path) as other:
        other.execute(
            "CREATE TRIGGER refuse BEFORE DELETE ON outcomes BEGIN SELECT RAISE(ABORT, 'no'); END"
        )

    with pytest.raises(StoreError, match="no"):
        store.collect(20.0, 1000)

    assert (store.call("fc-OLD"), row_counts(path)) == before
    other.execute("DROP TRIGGER refuse")
    other.close()
    collect_all(store, 1000)
    assert row_counts(path) == {"calls": 1}


def test_the_file_stops_growing_where_as_much_is_collected_as_comes(
    store: SqliteStore, path: Path
) -> None:
    sizes = []
    store.commit(app_with_call("fc-OPEN"))
    for n in range(30):
        finish(store, f"fc-{n}", 500)
        collect_all(store, 200)
        with sqlite3.connect(path) as connection:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.close()
        sizes.append(pages)

    assert max(sizes) <= sizes[1] * 1.1


def test_collecting_a_closed_store_says_so(path: Path) -> None:
    store = SqliteStore(path)
    store.close()

    with pytest.raises(StoreError, match="is closed"):
        store.collect(20.0, 10)
