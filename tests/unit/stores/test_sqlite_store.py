"""What the SQLite store adds to the port: a file, its schema, its lock and its statements."""

from __future__ import annotations

import os
import re
import sqlite3
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest
from tests.support.records import app_with_call, call, function, inputs, line, outcome, outcomes

from offload.control.ports.records import SaveLogs
from offload.control.ports.store import StoreError
from offload.control.stores.sqlite import SqliteStore
from offload.control.stores.sqlite.connection import connect
from offload.control.stores.sqlite.migrate import migrations
from offload.control.stores.sqlite.statements import for_rows, statements

if TYPE_CHECKING:
    from pathlib import Path


def objects(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {
        (kind, name, re.sub(r"\s*([(),])\s*", r"\1", " ".join(sql.split())))
        for kind, name, sql in rows
    }


def test_the_migrations_give_the_full_schema(tmp_path: Path) -> None:
    schema = (files("offload.control.stores.sqlite") / "schema.sql").read_text("utf-8")
    with sqlite3.connect(":memory:") as expected:
        expected.executescript(schema)

    SqliteStore(tmp_path / "offload.db").close()

    with sqlite3.connect(tmp_path / "offload.db") as migrated:
        assert objects(migrated) == objects(expected)
    migrated.close()
    expected.close()


def test_a_database_of_a_later_release_is_refused_with_both_numbers(tmp_path: Path) -> None:
    path = tmp_path / "offload.db"
    SqliteStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 4711")
    connection.close()

    with pytest.raises(StoreError, match=rf"schema 4711.* only up to {len(migrations())}: upgrade"):
        SqliteStore(path)


def test_a_failed_migration_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "offload.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE outcomes (mine INTEGER)")
    connection.close()

    with pytest.raises(StoreError, match="already exists"):
        SqliteStore(path)

    with sqlite3.connect(path) as connection:
        assert [name for _, name, _ in objects(connection)] == ["outcomes"]
    connection.close()


def test_a_second_server_is_told_who_has_the_database(tmp_path: Path) -> None:
    path = tmp_path / "offload.db"
    first = SqliteStore(path)

    with pytest.raises(StoreError, match=rf"in use by another server \(pid {os.getpid()}\)"):
        SqliteStore(path)

    first.close()
    SqliteStore(path).close()


def test_what_was_committed_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "offload.db"
    first = SqliteStore(path)
    first.commit([*app_with_call(), inputs(range(3)), outcomes(outcome(1, 1))])
    first.close()

    second = SqliteStore(path)

    (restored,) = tuple(second.open_calls())
    assert restored.call == call()
    assert restored.unfinished == (range(1), range(2, 3))
    assert second.function("fu-1") == function()
    second.close()


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "offload.db")
    store.close()

    with pytest.raises(StoreError, match="is closed"):
        store.commit(app_with_call())
    with pytest.raises(StoreError, match="is closed"):
        store.apps(1)


def test_the_writing_connection_waits_for_the_disk(tmp_path: Path) -> None:
    writer = connect(tmp_path / "offload.db", read_only=False)

    (mode,) = writer.execute("PRAGMA journal_mode").fetchone()
    (synchronous,) = writer.execute("PRAGMA synchronous").fetchone()

    writer.close()
    assert (mode, synchronous) == ("wal", 2)  # 2 is FULL


def test_a_reading_connection_cannot_write(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "offload.db").close()
    reader = connect(tmp_path / "offload.db", read_only=True)

    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM apps")

    reader.close()


@pytest.mark.parametrize(
    "name", sorted(name for name, sql in statements("write.sql").items() if "VALUES" in sql)
)
def test_every_statement_of_a_commit_takes_many_rows(name: str) -> None:
    one, three = for_rows(name, 1), for_rows(name, 3)

    assert three.count("?") == 3 * one.count("?") > 0


def test_every_statement_is_said_in_a_sentence_above_it() -> None:
    for file_name in ("read.sql", "write.sql", "collect.sql"):
        text = (files("offload.control.stores.sqlite") / file_name).read_text("utf-8")

        for block in text.split("-- name: ")[1:]:
            name, sentence, *_ = block.splitlines()

            assert sentence.startswith("-- "), name
            assert name in statements(file_name)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("running_apps", "open_calls"),
        ("running_functions", "open_calls"),
        ("newest_open_calls", "open_calls"),
        ("newest_open_calls_of_app", "open_calls"),
        ("newest_calls_of_app", "calls_by_app"),
        ("open_calls", "open_calls"),
        ("open_inputs", "open_calls"),
        ("open_histories", "open_calls"),
        ("outcomes", "outcomes_in_order"),
        ("outcomes", "outcome_runs_in_order"),
        ("failures", "outcomes_in_order"),
        ("failures", "outcome_runs_in_order"),
        ("call_logs", "logs_by_call"),
        ("app_logs", "logs_by_app"),
        ("dead_letters", "dead_letters"),
        ("dead_letter_count", "dead_letters"),
        ("blobs_in_use", "inputs_by_blob"),
        ("blobs_in_use", "outcomes_by_blob"),
        ("blobs_in_use", "items_by_blob"),
        ("blobs_in_use", "functions_by_blob"),
        ("finished_calls", "finished_calls"),
        ("old_apps", "stopped_apps"),
        ("old_apps", "calls_by_app"),
        ("blobs_of_apps", "functions_by_app"),
    ],
)
def test_a_read_takes_its_index(tmp_path: Path, name: str, index: str) -> None:
    plan = query_plan(tmp_path / "offload.db", name)

    assert [step for step in plan if index in step], plan


@pytest.mark.parametrize("name", ["open_calls", "open_inputs", "open_histories", "inputs_between"])
def test_what_restores_the_calls_sorts_nothing(tmp_path: Path, name: str) -> None:
    plan = query_plan(tmp_path / "offload.db", name)

    # Only the ends of the few calls that one comes after are put in order.
    sorts = [step for step in plan if "TEMP B-TREE" in step]
    assert len(sorts) == (1 if name == "open_calls" else 0), plan


@pytest.mark.parametrize(
    "name", ["old_inputs", "old_outcomes", "old_items", "old_outcome_runs", "old_histories"]
)
def test_collection_looks_only_at_what_it_removes(tmp_path: Path, name: str) -> None:
    plan = query_plan(tmp_path / "offload.db", name)

    assert [step for step in plan if re.match(r"SEARCH (TABLE \w+ AS )?[iorh] USING", step)], plan


def query_plan(path: Path, name: str) -> list[str]:
    SqliteStore(path).close()
    found = [statements(file) for file in ("read.sql", "collect.sql") if name in statements(file)]
    sql = found[0][name]
    parameters = dict.fromkeys(re.findall(r":(\w+)", sql), 1)
    with sqlite3.connect(path) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    connection.close()
    return plan


@pytest.mark.parametrize(
    "text", ["nul \0 inside", "ümlaut 🦀", ""], ids=["nul", "unicode", "empty"]
)
def test_a_line_with_any_text_comes_back(tmp_path: Path, text: str) -> None:
    store = SqliteStore(tmp_path / "offload.db")
    saved = replace(line(1), text=text)

    store.commit([SaveLogs((saved,))])

    assert store.logs("fc-A", "", 0, 10) == [saved]
    store.close()


def test_a_value_that_sqlite_cannot_hold_is_refused_in_a_sentence(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "offload.db")

    with pytest.raises(StoreError, match="cannot hold a value"):
        store.commit([SaveLogs((replace(line(1), seq=2**64),))])
    with pytest.raises(StoreError, match="cannot hold a value"):
        store.outcomes("fc-A", 2**64, 10)
    with pytest.raises(StoreError, match="cannot hold a value"):
        store.commit([SaveLogs((replace(line(1), text="\ud800"),))])

    store.close()
