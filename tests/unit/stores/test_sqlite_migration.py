"""What the first release left is what this one finds."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from offload.control.core.events import CallRestored
from offload.control.core.model import (
    Call,
    CallKind,
    Function,
    Needs,
    RetryPolicy,
    Scaling,
)
from offload.control.ports.records import StoredApp
from offload.control.stores.sqlite import SqliteStore
from offload.control.stores.sqlite.migrate import migrations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CODE, ARGS, RESULT, ITEM, FILES = (digit * 64 for digit in "abcdf")

ROWS = """
INSERT INTO apps VALUES (1, 'ap-1', 'demo', 1.5, 0);
INSERT INTO functions VALUES (
    1, 'fu-1', 1, 'work', 1000, 256, 300, 60, 3, 1, 2, 60, 1, 7, 61, 'process', 'host-1', 0, :code
);
INSERT INTO calls VALUES (1, 'fc-A', 1, 1, 'map', 10, 1, 0, 1, 3, '', 0);
INSERT INTO inputs VALUES (4294967296, :args), (4294967297, x'00ff'), (4294967298, x'');
INSERT INTO outcomes VALUES (4294967297, 1, 1, 2, 'lost', 'worker_lost', 'gone', :result, 20);
INSERT INTO items VALUES (1, 4294967296, 1, :item);
"""


def encoded(sha256: str) -> bytes:
    """Return a payload that names a blob, as protobuf writes it."""
    ref = b"\x0a\x40" + sha256.encode() + b"\x10\xff\xff\x07"
    return b"\x0a\x06pickle\x1a" + bytes([len(ref)]) + ref


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    path = tmp_path / "offload.db"
    blobs = {
        "code": b"\x12\x04ap-1\x22" + encoded(CODE) + b"\xb2\x01" + encoded(FILES),
        "args": encoded(ARGS),
        "result": b"a text with \x0a@decorators\x1a" + encoded(RESULT),
        "item": encoded(ITEM),
    }
    with sqlite3.connect(path) as connection:
        connection.executescript(migrations()[0])
        for statement in ROWS.split(";\n"):
            used = {name: value for name, value in blobs.items() if f":{name}" in statement}
            connection.execute(statement, used)
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    opened = SqliteStore(path)
    yield opened
    opened.close()


def test_what_the_first_release_kept_reads_as_before(store: SqliteStore) -> None:
    found = store.function("fu-1")

    assert store.app("demo") == StoredApp("ap-1", "demo", 1.5, 0.0, "default")
    assert found is not None
    assert found == Function(
        function_id="fu-1",
        app_id="ap-1",
        app_name="demo",
        name="work",
        needs=Needs(1000, 256, runtime="process", host_id="host-1"),
        timeout_seconds=300.0,
        startup_timeout_seconds=60.0,
        retries=RetryPolicy(3, 1.0, 2.0, 60.0),
        scaling=Scaling(1, 7, 0, 61.0),
        body=found.body,
        blob=CODE,
        image_blobs=(FILES,),
    )
    assert tuple(store.open_calls()) == (
        CallRestored(
            call=Call("fc-A", "fu-1", CallKind.MAP, 10.0, attached=True, durable=False),
            known=(range(3),),
            unfinished=(range(1), range(2, 3)),
            closed=True,
            counts={"lost": 1},
        ),
    )


def test_blobs_of_the_first_release_are_in_use(store: SqliteStore) -> None:
    assert store.blobs_in_use([CODE, ARGS, RESULT, ITEM, FILES, "e" * 64]) == {
        CODE,
        ARGS,
        RESULT,
        ITEM,
        FILES,
    }


def test_lost_inputs_of_the_first_release_are_dead_letters(store: SqliteStore) -> None:
    assert [letter.input_id for letter in store.dead_letters("", 9)] == ["in-A-1"]
