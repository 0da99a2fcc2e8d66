"""One commit as few statements.

Theory of operation. sqlite3 lets go of the GIL around every step of a statement and wants it back after. A busy event
loop beside it gives the GIL up only for the microseconds of its system calls, so that each return can take milliseconds.
What counts is therefore the number of statements and steps of a commit, not of its rows: `executemany` over 200 rows
steps 200 times. Measured here, inserting inputs and outcomes in batches of 200, in inputs per second, alone and beside a
thread that only computes: executemany 41,000 and 61, one statement over a JSON array 29,000 and 3,500, one statement with
200 rows of VALUES 57,000 and 3,500. Hence every statement here takes many rows, a lookup answers with one row of JSON,
the keys of open calls are remembered between commits, and a trigger keeps the counts. What comes one at a time (a run of
outcomes, a worker, new bounds of a function) has a statement for each.

The records of a commit are sorted by kind first. That changes nothing anyone can see, because a commit is atomic and no
kind undoes another, except where `_IN_ORDER` says so: those keep their order.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from itertools import chain, groupby
from typing import TYPE_CHECKING, TypeVar, cast

from offload.control.core.ids import MAX_INPUTS_PER_CALL
from offload.control.ports.key_records import RemoveWebKey, SaveWebKey
from offload.control.ports.records import (
    CloseCall,
    DropFunctions,
    DropItems,
    DropLetter,
    EndApp,
    FinishCall,
    RemoveSchedule,
    RemoveWorker,
    ReplayedLetter,
    SaveApp,
    SaveCall,
    SaveDeployment,
    SaveFunction,
    SaveHistory,
    SaveInputs,
    SaveItems,
    SaveLogs,
    SaveOutcomeRun,
    SaveOutcomes,
    SaveRun,
    SaveScaling,
    SaveSchedule,
    SaveWorker,
)
from offload.control.ports.store import StoreError
from offload.control.stores.sqlite import deployed, parameters
from offload.control.stores.sqlite.keys import find_call_keys, input_key, known_input_id
from offload.control.stores.sqlite.statements import for_rows, statements

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from offload.control.ports.records import OutcomeRow, Record
    from offload.control.stores.sqlite.keys import CallKeys

R = TypeVar("R")
Row = tuple[object, ...]
EndOfInputs = SaveOutcomes | SaveOutcomeRun | ReplayedLetter | DropLetter

# Every number of rows is a statement to compile, so a chunk is filled up to one of these by repeating its last row, which
# every statement here ignores. SQLite takes 32,766 parameters a statement; the widest row has 23.
_CHUNK_ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


def apply(
    connection: sqlite3.Connection, records: Sequence[Record], keys: CallKeys
) -> dict[str, int]:
    """Carry out the records inside the transaction that the caller opened; return the keys that had to be looked up."""
    commit = _Commit(connection, records)
    commit.apply(keys)
    return commit.found_keys


class _Commit:
    def __init__(self, connection: sqlite3.Connection, records: Sequence[Record]) -> None:
        self._connection = connection
        self._by_kind: dict[type[object], list[Record]] = defaultdict(list)
        for record in records:
            self._by_kind[_IN_ORDER.get(type(record), type(record))].append(record)
        self._keys: dict[str, int] = {}  # of the calls that this commit names
        self.found_keys: dict[str, int] = {}

    def apply(self, keys: CallKeys) -> None:
        # An app that this commit saves only later is still unknown where its end comes first.
        ends_of_known, ends_of_new = self._ends()
        self._run("end_apps", _first_of_each(ends_of_known))
        new = [r for r in self._of(SaveApp) if isinstance(r, SaveApp)]
        self._run("insert_apps", [_app_row(r) for r in new])
        for drop in self._of(DropFunctions):
            dropped = json.dumps(drop.function_ids)
            self._connection.execute(statements("write.sql")["drop_functions"], (dropped,))
        self._run(
            "insert_functions", [parameters.function(r.function) for r in self._of(SaveFunction)]
        )
        deployed.save(self._connection, self._deployed())
        self._set_scalings()
        calls = [parameters.call(keys.new(), r.call) for r in self._of(SaveCall)]
        self._run("insert_calls", calls)
        named = self._calls_named()
        unknown = named - keys.known.keys()
        if unknown:
            self.found_keys = find_call_keys(self._connection, unknown)
        self._keys = {name: keys.known[name] for name in named - unknown} | self.found_keys
        self._run("insert_inputs", self._input_rows())
        closed = ((self._key(r.call_id), r.total) for r in self._of(CloseCall))
        self._run("close_calls", _first_of_each(closed))
        self._save_and_drop_items()
        self._end_inputs()
        self._run("insert_histories", self._history_rows())
        finished = ((self._key(r.call_id), r.state, r.at) for r in self._of(FinishCall))
        self._run("finish_calls", _first_of_each(finished))
        self._save_and_remove_workers()
        lines = chain.from_iterable(r.rows for r in self._of(SaveLogs))
        self._run("insert_logs", [parameters.log(line) for line in lines])
        self._run("end_apps", _first_of_each(ends_of_new))

    def _ends(self) -> tuple[list[Row], list[Row]]:
        """Part the ends of apps into those of apps saved by earlier commits and by this one."""
        known: list[Row] = []
        new: list[Row] = []
        saved: set[str] = set()
        for record in cast("list[SaveApp | EndApp]", self._of(SaveApp)):
            if isinstance(record, SaveApp):
                saved.add(record.app_id)
            else:
                ends = new if record.app_id in saved else known
                ends.append((record.app_id, record.stopped_at))
        return known, new

    def _of(self, kind: type[R]) -> list[R]:
        return cast("list[R]", self._by_kind.get(kind, []))

    def _run(self, name: str, rows: Sequence[Row]) -> None:
        for start in range(0, len(rows), _CHUNK_ROWS[-1]):
            chunk = rows[start : start + _CHUNK_ROWS[-1]]
            row_count = _CHUNK_ROWS[bisect_left(_CHUNK_ROWS, len(chunk))]
            values = list(chain.from_iterable(chunk))
            for _ in range(row_count - len(chunk)):
                values += chunk[-1]
            self._connection.execute(for_rows(name, row_count), values)

    def _calls_named(self) -> set[str]:
        named = {r.call_id for r in self._of(SaveInputs)}
        named.update(r.call_id for r in self._of(CloseCall))
        named.update(r.call_id for r in self._of(FinishCall))
        named.update(r.call_id for r in self._of(SaveHistory))
        input_ids: list[str] = []
        for record in self._ends_of_inputs():
            if isinstance(record, SaveOutcomes):
                named.update(row.call_id for row in record.rows)
            elif isinstance(record, SaveOutcomeRun):
                named.add(record.call_id)
            else:
                input_ids.append(record.input_id)
        for item in self._items():
            rows = item.rows if isinstance(item, SaveItems) else (item,)
            input_ids += [row.input_id for row in rows]
        places = map(known_input_id, input_ids)
        named.update(place[0] for place in places if place)
        return named

    def _key(self, call_id: str) -> int:
        try:
            return self._keys[call_id]
        except KeyError:
            raise StoreError(
                f"A record belongs to the call {call_id}, which was never saved."
            ) from None

    def _key_of_known(self, input_id: str) -> int | None:
        place = known_input_id(input_id)
        if place is None or place[0] not in self._keys:
            return None
        return input_key(self._keys[place[0]], place[1])

    def _set_scalings(self) -> None:
        for record in self._of(SaveScaling):
            row = (*parameters.scaling(record.scaling), record.function_id)
            if not self._connection.execute(statements("write.sql")["set_scaling"], row).rowcount:
                raise StoreError(
                    f"A record belongs to the function {record.function_id}, which was never saved."
                )

    def _input_rows(self) -> list[Row]:
        rows: list[Row] = []
        for record in self._of(SaveInputs):
            first = input_key(self._key(record.call_id), 0)
            _check_indices(record.call_id, [row.index for row in record.rows])
            rows += [(first + row.index, row.payload, row.blob) for row in record.rows]
        return rows

    def _history_rows(self) -> list[Row]:
        rows: list[Row] = []
        for record in self._of(SaveHistory):
            index = record.history.index
            _check_indices(record.call_id, [index])
            key = input_key(self._key(record.call_id), index)
            rows.append(parameters.history(key, record.history))
        return rows

    def _deployed(self) -> list[deployed.DeployedRecord]:
        return cast("list[deployed.DeployedRecord]", self._of(SaveDeployment))

    def _items(self) -> list[SaveItems | DropItems]:
        return cast("list[SaveItems | DropItems]", self._of(SaveItems))

    def _save_and_drop_items(self) -> None:
        rows: list[Row] = []
        for record in self._items():
            if isinstance(record, SaveItems):
                rows += [
                    (self._item_key(i.input_id), i.seq, i.payload, i.blob) for i in record.rows
                ]
            else:
                self._run("insert_items", rows)
                rows = []
                key = self._key_of_known(record.input_id)
                if key is not None:
                    self._connection.execute(statements("write.sql")["drop_items"], (key,))
        self._run("insert_items", rows)

    def _item_key(self, input_id: str) -> int:
        place = known_input_id(input_id)
        if place is None:
            raise StoreError(f"An item belongs to {input_id!r}, which is not the id of an input.")
        return input_key(self._key(place[0]), place[1])

    def _ends_of_inputs(self) -> list[EndOfInputs]:
        return cast("list[EndOfInputs]", self._of(SaveOutcomes))

    def _end_inputs(self) -> None:
        for _, group in groupby(self._ends_of_inputs(), key=_batch_kind):
            records = list(group)
            if isinstance(records[0], SaveOutcomes):
                self._save_outcomes(cast("list[SaveOutcomes]", records))
            elif isinstance(records[0], SaveOutcomeRun):
                for run in cast("list[SaveOutcomeRun]", records):
                    self._save_run(run)
            else:
                self._close_letters(cast("list[ReplayedLetter | DropLetter]", records))

    def _save_outcomes(self, records: list[SaveOutcomes]) -> None:
        rows: list[Row] = []
        for call_id, group in groupby(chain.from_iterable(r.rows for r in records), _call_id):
            call_key = self._key(call_id)
            outcomes = list(group)
            _check_indices(call_id, [outcome.index for outcome in outcomes])
            rows += [parameters.outcome(call_key, outcome) for outcome in outcomes]
        self._run("insert_outcomes", rows)

    def _save_run(self, run: SaveOutcomeRun) -> None:
        """Save the run where no input has ended yet: one row, unless some have."""
        call_key = self._key(run.call_id)
        _check_indices(run.call_id, [run.first, run.first + run.count - 1])
        first = input_key(call_key, run.first)
        end = first + run.count
        ended = self._connection.execute(
            statements("write.sql")["ended_between"],
            {
                "first_key_of_call": input_key(call_key, 0),
                "first_key": first,
                "end_key": end,
            },
        )
        rows: list[Row] = []
        start = first
        for next_ended, count in [*ended, (end, 0)]:
            if start < next_ended:
                seq = run.first_seq + start - first
                rows.append(parameters.outcome_run(start, next_ended - start, call_key, seq, run))
            start = max(start, next_ended + count)
        self._run("insert_outcome_runs", rows)

    def _close_letters(self, records: list[ReplayedLetter | DropLetter]) -> None:
        closed: list[Row] = []
        for record in records:
            key = self._key_of_known(record.input_id)
            if key is not None:
                replay = record.replay_call_id if isinstance(record, ReplayedLetter) else ""
                closed.append((key, replay))
        self._run("close_letters", _first_of_each(closed))

    def _save_and_remove_workers(self) -> None:
        for record in cast("list[SaveWorker | RemoveWorker]", self._of(SaveWorker)):
            if isinstance(record, SaveWorker):
                self._run("insert_workers", [(record.worker_id, record.name)])
            else:
                remove = statements("write.sql")["remove_worker"]
                self._connection.execute(remove, (record.worker_id,))


# Kinds that undo or forestall each other, under the first of them.
_IN_ORDER: dict[type[object], type[object]] = {
    EndApp: SaveApp,
    DropItems: SaveItems,
    SaveOutcomeRun: SaveOutcomes,
    ReplayedLetter: SaveOutcomes,
    DropLetter: SaveOutcomes,
    RemoveWorker: SaveWorker,
    SaveSchedule: SaveDeployment,
    RemoveSchedule: SaveDeployment,
    SaveRun: SaveDeployment,
    SaveWebKey: SaveDeployment,
    RemoveWebKey: SaveDeployment,
}


def _app_row(app: SaveApp) -> Row:
    return (app.app_id, app.name, app.created_at, app.workspace, app.environment)


def _batch_kind(record: EndOfInputs) -> type[object]:
    return ReplayedLetter if isinstance(record, DropLetter) else type(record)


def _call_id(outcome: OutcomeRow) -> str:
    return outcome.call_id


def _check_indices(call_id: str, indices: list[int]) -> None:
    beyond = [index for index in indices if not 0 <= index < MAX_INPUTS_PER_CALL]
    if beyond:
        raise StoreError(
            f"Input {beyond[0]} of call {call_id} is beyond the {MAX_INPUTS_PER_CALL} that a call can have."
        )


def _first_of_each(rows: Iterable[Row]) -> list[Row]:
    """Keep the first row of each key (the first column): an UPDATE … FROM would take any of them."""
    first: dict[object, Row] = {}
    for row in rows:
        first.setdefault(row[0], row)
    return list(first.values())
