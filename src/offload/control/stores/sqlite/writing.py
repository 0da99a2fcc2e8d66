"""One commit as few statements.

Theory of operation. sqlite3 lets go of the GIL around every step of a statement and wants it back after. A busy event
loop beside it gives the GIL up only for the microseconds of its system calls, so that each return can take milliseconds.
What counts is therefore the number of statements and steps of a commit, not of its rows: `executemany` over 200 rows
steps 200 times. Measured here, inserting inputs and outcomes in batches of 200, in inputs per second, alone and beside a
thread that only computes: executemany 41,000 and 61, one statement over a JSON array 29,000 and 3,500, one statement with
200 rows of VALUES 57,000 and 3,500. Hence every statement here takes many rows, a lookup answers with one row of JSON,
the keys of open calls are remembered between commits, and a trigger keeps the counts.

The records of a commit are sorted by kind first. That changes nothing anyone can see, because a commit is atomic and no
kind undoes another, except items and their drops, which keep their order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import ChainMap, defaultdict
from itertools import chain
from typing import TYPE_CHECKING, TypeVar, cast

from offload.control.core.ids import MAX_INPUTS_PER_CALL
from offload.control.ports.store import (
    CloseCall,
    DropItems,
    EndApp,
    FinishCall,
    SaveApp,
    SaveCall,
    SaveFunction,
    SaveInputs,
    SaveItems,
    SaveLogs,
    SaveOutcomes,
    StoreError,
)
from offload.control.stores.sqlite.keys import find_call_keys, input_key, known_input_id
from offload.control.stores.sqlite.statements import for_rows, statements

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from offload.control.core.model import Call, Function
    from offload.control.ports.store import LogRow, Record

R = TypeVar("R")

# Every number of rows is a statement to compile, so a chunk is filled up to one of these by repeating its last row, which
# every statement here ignores. SQLite takes 32,766 parameters a statement; the widest row has 18.
_CHUNK_ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


def apply(
    connection: sqlite3.Connection, records: Sequence[Record], call_keys: dict[str, int]
) -> dict[str, int]:
    """Carry out the records inside the transaction that the caller opened.

    `call_keys` are keys known from earlier commits; returns those that had to be looked up.
    """
    commit = _Commit(connection, records)
    commit.apply(call_keys)
    return commit.found_keys


class _Commit:
    def __init__(self, connection: sqlite3.Connection, records: Sequence[Record]) -> None:
        self._connection = connection
        self._by_kind: dict[type[object], list[Record]] = defaultdict(list)
        self._items: list[SaveItems | DropItems] = []
        self._apps: list[SaveApp | EndApp] = []
        for record in records:
            if isinstance(record, SaveItems | DropItems):
                self._items.append(record)
            elif isinstance(record, SaveApp | EndApp):
                self._apps.append(record)
            else:
                self._by_kind[type(record)].append(record)
        self._keys: Mapping[str, int] = {}
        self.found_keys: dict[str, int] = {}

    def apply(self, call_keys: dict[str, int]) -> None:
        # An app that this commit saves only later is still unknown where its end comes first.
        ends_of_known, ends_of_new = self._ends()
        self._run("end_apps", _first_of_each(ends_of_known))
        new = [r for r in self._apps if isinstance(r, SaveApp)]
        self._run("insert_apps", [(r.app_id, r.name, r.created_at) for r in new])
        self._run("insert_functions", [_function_row(r.function) for r in self._of(SaveFunction)])
        self._run("insert_calls", [_call_row(r.call) for r in self._of(SaveCall)])
        unknown = self._calls_named() - call_keys.keys()
        if unknown:
            self.found_keys = find_call_keys(self._connection, unknown)
        self._keys = ChainMap(self.found_keys, call_keys)
        self._run("insert_inputs", self._input_rows())
        closed = ((self._key(r.call_id), r.total) for r in self._of(CloseCall))
        self._run("close_calls", _first_of_each(closed))
        self._save_and_drop_items()
        self._run("insert_outcomes", self._outcome_rows())
        finished = ((self._key(r.call_id), r.state, r.at) for r in self._of(FinishCall))
        self._run("finish_calls", _first_of_each(finished))
        self._run("insert_logs", [_log_row(line) for r in self._of(SaveLogs) for line in r.rows])
        self._run("end_apps", _first_of_each(ends_of_new))

    def _ends(self) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
        """Part the ends of apps into those of apps saved by earlier commits and by this one."""
        known: list[tuple[object, ...]] = []
        new: list[tuple[object, ...]] = []
        saved: set[str] = set()
        for record in self._apps:
            if isinstance(record, SaveApp):
                saved.add(record.app_id)
            else:
                ends = new if record.app_id in saved else known
                ends.append((record.app_id, record.stopped_at))
        return known, new

    def _of(self, kind: type[R]) -> list[R]:
        return cast("list[R]", self._by_kind.get(kind, []))

    def _run(self, name: str, rows: Sequence[tuple[object, ...]]) -> None:
        for start in range(0, len(rows), _CHUNK_ROWS[-1]):
            chunk = rows[start : start + _CHUNK_ROWS[-1]]
            row_count = _CHUNK_ROWS[bisect_left(_CHUNK_ROWS, len(chunk))]
            parameters = list(chain.from_iterable(chunk))
            for _ in range(row_count - len(chunk)):
                parameters += chunk[-1]
            self._connection.execute(for_rows(name, row_count), parameters)

    def _calls_named(self) -> set[str]:
        named = {r.call_id for r in self._of(SaveInputs)}
        named.update(r.call_id for r in self._of(CloseCall))
        named.update(r.call_id for r in self._of(FinishCall))
        named.update(row.call_id for r in self._of(SaveOutcomes) for row in r.rows)
        for record in self._items:
            rows = record.rows if isinstance(record, SaveItems) else (record,)
            places = (known_input_id(row.input_id) for row in rows)
            named.update(place[0] for place in places if place)
        return named

    def _key(self, call_id: str) -> int:
        try:
            return self._keys[call_id]
        except KeyError:
            raise StoreError(
                f"A record belongs to the call {call_id}, which was never saved."
            ) from None

    def _input_rows(self) -> list[tuple[int, bytes]]:
        rows: list[tuple[int, bytes]] = []
        for record in self._of(SaveInputs):
            first = input_key(self._key(record.call_id), 0)
            for row in record.rows:
                _check_index(record.call_id, row.index)
                rows.append((first + row.index, row.payload))
        return rows

    def _save_and_drop_items(self) -> None:
        rows: list[tuple[int, int, bytes]] = []
        for record in self._items:
            if isinstance(record, SaveItems):
                rows += [(self._item_key(i.input_id), i.seq, i.payload) for i in record.rows]
            else:
                self._run("insert_items", rows)
                rows = []
                self._drop_items(record.input_id)
        self._run("insert_items", rows)

    def _item_key(self, input_id: str) -> int:
        place = known_input_id(input_id)
        if place is None:
            raise StoreError(f"An item belongs to {input_id!r}, which is not the id of an input.")
        return input_key(self._key(place[0]), place[1])

    def _drop_items(self, input_id: str) -> None:
        place = known_input_id(input_id)
        if place is not None and place[0] in self._keys:
            key = input_key(self._keys[place[0]], place[1])
            self._connection.execute(statements("write.sql")["drop_items"], (key,))

    def _outcome_rows(self) -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = []
        for record in self._of(SaveOutcomes):
            for o in record.rows:
                _check_index(o.call_id, o.index)
                call_key = self._key(o.call_id)
                key = input_key(call_key, o.index)
                failure = o.failure.value if o.failure else None
                rows.append(
                    (
                        key,
                        call_key,
                        o.seq,
                        o.attempts,
                        o.state.value,
                        failure,
                        o.reason,
                        o.body,
                        o.at,
                    )
                )
        return rows


def _check_index(call_id: str, index: int) -> None:
    if not 0 <= index < MAX_INPUTS_PER_CALL:
        raise StoreError(
            f"Input {index} of call {call_id} is beyond the {MAX_INPUTS_PER_CALL} that a call can have."
        )


def _first_of_each(rows: Iterable[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Keep the first row of each key (the first column): an UPDATE … FROM would take any of them."""
    first: dict[object, tuple[object, ...]] = {}
    for row in rows:
        first.setdefault(row[0], row)
    return list(first.values())


def _call_row(call: Call) -> tuple[object, ...]:
    function_id = call.function_id
    return (
        call.call_id,
        function_id,
        function_id,
        call.kind.value,
        call.created_at,
        call.attached,
        call.durable,
    )


def _function_row(f: Function) -> tuple[object, ...]:
    return (
        f.function_id,
        f.app_id,
        f.name,
        f.cpu_milli,
        f.memory_mib,
        f.timeout_seconds,
        f.startup_timeout_seconds,
        f.retries.max_retries,
        f.retries.initial_delay_seconds,
        f.retries.backoff_coefficient,
        f.retries.max_delay_seconds,
        f.min_containers,
        f.max_containers,
        f.scaledown_window_seconds,
        f.runtime,
        f.host_id,
        f.is_generator,
        f.body,
    )


def _log_row(line: LogRow) -> tuple[object, ...]:
    return (
        line.seq,
        line.at,
        line.app_id,
        line.call_id,
        line.input_id,
        line.container_id,
        line.function_name,
        line.stream,
        line.text,
    )
