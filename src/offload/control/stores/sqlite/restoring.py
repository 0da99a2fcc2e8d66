"""Reading back what is unfinished.

A store may hold a million inputs in one call, or in a million calls. So nothing is read whole: one cursor walks the open
calls, another one beside it says of each, in the same order, from where to where its inputs reach. Only where that does
not say all, because some are missing in between or have ended, their keys are walked one by one. What is kept are runs.
Calls go out as they are read: what becomes of them may take less than they do.

The cursors here give plain tuples and the values are made by position: with names a million calls take twice as long.
"""

from __future__ import annotations

import json
from collections import defaultdict
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from offload.control.core.events import CallRestored, History
from offload.control.core.model import Call, CallKind
from offload.control.stores.sqlite.keys import input_key, split_input_key
from offload.control.stores.sqlite.statements import statements

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

Runs: TypeAlias = tuple[range, ...]

_KINDS = {kind.value: kind for kind in CallKind}
_ONE_INPUT: Runs = (range(1),)  # one object for all calls that have no other


class _Extent(NamedTuple):
    """From where to where the inputs of a call reach, and how many there are."""

    call_key: int
    first_key: int
    last_key: int
    input_count: int


def restored_calls(connection: sqlite3.Connection) -> Iterator[CallRestored]:
    """Yield the open calls, see `Store.open_calls`. The caller holds a read transaction."""
    histories = _histories(connection)
    function_ids: dict[str, str] = {}  # one object for all calls of a function
    extents = map(_Extent._make, _cursor(connection, "open_inputs"))
    extent = next(extents, None)
    dependants: list[tuple[int, CallRestored]] = []
    for row in _cursor(connection, "open_calls"):
        call_key, call_id, function_id, kind, created_at, attached, durable = row[:7]
        priority, deadline, after, run_anyway, not_before, closed, counts, ended = row[7:]
        call = Call(
            call_id,
            function_ids.setdefault(function_id, function_id),
            _KINDS[kind],
            created_at,
            bool(attached),
            bool(durable),
            priority,
            deadline,
            () if after == "[]" else tuple(json.loads(after)),
            bool(run_anyway),
            not_before,
        )
        known: Runs = ()
        unfinished: Runs = ()
        if extent is not None and extent.call_key == call_key:
            known, unfinished = _runs(connection, extent, has_outcomes=counts != "{}")
            extent = next(extents, None)
        restored = CallRestored(
            call,
            known,
            unfinished,
            bool(closed),
            tuple(histories.get(call_key, ())),
            {} if counts == "{}" else json.loads(counts),
            () if ended == "[]" else tuple((of, state) for of, state in json.loads(ended)),
        )
        if call.after:
            dependants.append((call_key, restored))
        else:
            yield restored
    dependants.sort(key=itemgetter(0))
    yield from map(itemgetter(1), dependants)


def _histories(connection: sqlite3.Connection) -> dict[int, list[History]]:
    found: dict[int, list[History]] = defaultdict(list)
    for key, attempts, failures, losses, kills, alone, retry_at in _cursor(
        connection, "open_histories"
    ):
        call_key, index = split_input_key(key)
        found[call_key].append(
            History(index, attempts, failures, losses, kills, bool(alone), retry_at)
        )
    return found


def _runs(
    connection: sqlite3.Connection, extent: _Extent, *, has_outcomes: bool
) -> tuple[Runs, Runs]:
    """Return the runs of a call's inputs, and of those that have not ended."""
    zero = input_key(extent.call_key, 0)
    if not has_outcomes and extent.input_count == extent.last_key - extent.first_key + 1:
        known: Runs = (range(extent.first_key - zero, extent.last_key - zero + 1),)
        known = _ONE_INPUT if known == _ONE_INPUT else known
        return known, known
    keys = _cursor(
        connection, "inputs_between", first_key=extent.first_key, last_key=extent.last_key
    )
    all_of_them, unfinished = _RisingRuns(zero), _RisingRuns(zero)
    for key, has_ended in keys:
        all_of_them.add(key)
        if not has_ended:
            unfinished.add(key)
    return all_of_them.runs(), unfinished.runs()


class _RisingRuns:
    """Makes runs of rising keys."""

    def __init__(self, zero: int) -> None:
        self._zero = zero
        self._start = self._end = 0
        self._before: list[range] = []

    def add(self, key: int) -> None:
        if key != self._end:
            self._before += self._last()
            self._start = key
        self._end = key + 1

    def runs(self) -> Runs:
        return (*self._before, *self._last())

    def _last(self) -> Runs:
        if self._start == self._end:
            return ()
        return (range(self._start - self._zero, self._end - self._zero),)


def _cursor(connection: sqlite3.Connection, name: str, **parameters: object) -> sqlite3.Cursor:
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor.execute(statements("read.sql")[name], parameters)
