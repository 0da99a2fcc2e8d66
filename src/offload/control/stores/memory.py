"""A store that forgets: for tests, and the plainest statement of what the others must do."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from offload.control.core.events import CallRestored, RestoredInput
from offload.control.core.ids import MAX_INPUTS_PER_CALL, input_id, split_input_id
from offload.control.ports.store import (
    CloseCall,
    DropItems,
    EndApp,
    FinishCall,
    InputRow,
    ItemRow,
    LogRow,
    OutcomeRow,
    Record,
    SaveApp,
    SaveCall,
    SaveFunction,
    SaveInputs,
    SaveItems,
    SaveLogs,
    SaveOutcomes,
    Snapshot,
    StoredApp,
    StoredCall,
    StoreError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offload.control.core.model import Call, Function


@dataclass(slots=True)
class _Call:
    call: Call
    inputs: dict[int, InputRow] = field(default_factory=dict)
    outcomes: dict[int, OutcomeRow] = field(default_factory=dict)
    closed: bool = False
    total: int = 0
    state: str = ""
    finished_at: float = 0.0

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(row.state.value for row in self.outcomes.values()))


class MemoryStore:
    """See `Store`. Nothing survives the object."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._apps: dict[str, StoredApp] = {}
        self._functions: dict[str, Function] = {}
        self._calls: dict[str, _Call] = {}
        self._items: dict[str, dict[int, ItemRow]] = {}
        self._logs: dict[int, LogRow] = {}

    def commit(self, records: Sequence[Record]) -> None:
        """See `Store`."""
        with self._lock:
            self._check(records)
            for record in records:
                self._apply(record)

    def snapshot(self) -> Snapshot:
        """See `Store`."""
        with self._lock:
            unfinished = [held for held in self._calls.values() if not held.state]
            busy = {self._functions[held.call.function_id].app_id for held in unfinished}
            apps = [a for a in self._apps.values() if not a.stopped_at or a.app_id in busy]
            kept = {app.app_id for app in apps}
            return Snapshot(
                apps=tuple(apps),
                functions=tuple(f for f in self._functions.values() if f.app_id in kept),
                calls=tuple(_restored(held) for held in unfinished),
                last_log_seq=max(self._logs, default=0),
            )

    def payloads(self, input_ids: Sequence[str]) -> dict[str, bytes]:
        """See `Store`."""
        with self._lock:
            found = {}
            for wanted in input_ids:
                held, index = self._find(wanted)
                row = held.inputs.get(index) if held else None
                if row is not None:
                    found[wanted] = row.payload
            return found

    def call(self, call_id: str) -> StoredCall | None:
        """See `Store`."""
        with self._lock:
            held = self._calls.get(call_id)
            return self._stored(held) if held else None

    def calls(self, app: str, open_only: bool, limit: int) -> list[StoredCall]:
        """See `Store`."""
        with self._lock:
            newest_first = (self._stored(held) for held in reversed(self._calls.values()))
            wanted = [
                call
                for call in newest_first
                if app in ("", call.app_id, call.app_name) and not (open_only and call.state)
            ]
            return wanted[:limit]

    def apps(self, limit: int) -> list[StoredApp]:
        """See `Store`."""
        with self._lock:
            return list(reversed(self._apps.values()))[:limit]

    def app(self, app: str) -> StoredApp | None:
        """See `Store`."""
        with self._lock:
            named = (held for held in reversed(self._apps.values()) if held.name == app)
            return self._apps.get(app) or next(named, None)

    def function(self, function_id: str) -> Function | None:
        """See `Store`."""
        with self._lock:
            return self._functions.get(function_id)

    def outcomes(self, call_id: str, after_seq: int, limit: int) -> list[OutcomeRow]:
        """See `Store`."""
        with self._lock:
            held = self._calls.get(call_id)
            rows = held.outcomes.values() if held else ()
            later = sorted((r for r in rows if r.seq > after_seq), key=lambda row: row.seq)
            return later[:limit]

    def outcome(self, input_id: str) -> OutcomeRow | None:
        """See `Store`."""
        with self._lock:
            held, index = self._find(input_id)
            return held.outcomes.get(index) if held else None

    def items(self, input_id: str, after_seq: int, limit: int) -> list[ItemRow]:
        """See `Store`."""
        with self._lock:
            rows = self._items.get(input_id, {})
            return [rows[seq] for seq in sorted(rows) if seq > after_seq][:limit]

    def logs(self, call_id: str, app_id: str, after_seq: int, limit: int) -> list[LogRow]:
        """See `Store`."""

        def is_wanted(row: LogRow) -> bool:
            return row.call_id == call_id if call_id else row.app_id == app_id

        with self._lock:
            later = (self._logs[seq] for seq in sorted(self._logs) if seq > after_seq)
            return [row for row in later if is_wanted(row)][:limit]

    def close(self) -> None:
        """See `Store`."""

    def _find(self, wanted: str) -> tuple[_Call | None, int]:
        try:
            call_id, index = split_input_id(wanted)
        except ValueError:
            return None, 0
        return self._calls.get(call_id), index

    def _stored(self, held: _Call) -> StoredCall:
        function = self._functions[held.call.function_id]
        return StoredCall(
            call_id=held.call.call_id,
            app_id=function.app_id,
            app_name=function.app_name,
            function_id=function.function_id,
            function_name=function.name,
            kind=held.call.kind,
            created_at=held.call.created_at,
            attached=held.call.attached,
            durable=held.call.durable,
            closed=held.closed,
            total=held.total,
            state=held.state,
            finished_at=held.finished_at,
            counts=held.counts,
        )

    def _check(self, records: Sequence[Record]) -> None:
        """Raise before anything changes, where a record names what is not there."""
        saved: set[str] = set()
        for record in records:
            match record:
                case SaveApp(app_id=app_id):
                    saved.add(app_id)
                case SaveFunction(function=function):
                    _require(function.app_id in saved or function.app_id in self._apps, function)
                    saved.add(function.function_id)
                case SaveCall(call=call):
                    is_known = call.function_id in saved or call.function_id in self._functions
                    _require(is_known, call)
                    saved.add(call.call_id)
                case _:
                    for call_id, index in _places(record):
                        is_known = call_id in saved or call_id in self._calls
                        _require(is_known and index < MAX_INPUTS_PER_CALL, record)

    def _apply(self, record: Record) -> None:
        match record:
            case SaveApp(app_id=app_id, name=name, created_at=at):
                self._apps.setdefault(app_id, StoredApp(app_id, name, at, 0.0))
            case EndApp(app_id=app_id, stopped_at=at):
                app = self._apps.get(app_id)
                if app is not None and not app.stopped_at:
                    self._apps[app_id] = replace(app, stopped_at=at)
            case SaveFunction(function=function):
                self._functions.setdefault(function.function_id, function)
            case SaveCall(call=call):
                self._calls.setdefault(call.call_id, _Call(call))
            case SaveLogs(rows=lines):
                for line in lines:
                    self._logs.setdefault(line.seq, line)
            case SaveItems() | DropItems():
                self._apply_items(record)
            case _:
                self._apply_to_call(record)

    def _apply_items(self, record: SaveItems | DropItems) -> None:
        match record:
            case SaveItems(rows=rows):
                for row in rows:
                    self._items.setdefault(row.input_id, {}).setdefault(row.seq, row)
            case DropItems(input_id=input_id):
                self._items.pop(input_id, None)

    def _apply_to_call(self, record: SaveInputs | CloseCall | SaveOutcomes | FinishCall) -> None:
        match record:
            case SaveInputs(call_id=call_id, rows=rows):
                for row in rows:
                    self._calls[call_id].inputs.setdefault(row.index, row)
            case CloseCall(call_id=call_id, total=total):
                held = self._calls[call_id]
                if not held.closed:
                    held.closed, held.total = True, total
            case SaveOutcomes(rows=outcomes):
                for outcome in outcomes:
                    self._calls[outcome.call_id].outcomes.setdefault(outcome.index, outcome)
            case FinishCall(call_id=call_id, state=state, at=at):
                held = self._calls[call_id]
                if not held.state:
                    held.state, held.finished_at = state, at


def _places(record: Record) -> set[tuple[str, int]]:
    """Return the calls and indices that a record names."""
    match record:
        case SaveInputs(call_id=call_id, rows=inputs):
            return {(call_id, 0), *((call_id, row.index) for row in inputs)}
        case CloseCall(call_id=call_id) | FinishCall(call_id=call_id):
            return {(call_id, 0)}
        case SaveOutcomes(rows=outcomes):
            return {(row.call_id, row.index) for row in outcomes}
        case SaveItems(rows=items):
            return {_place(row.input_id) for row in items}
        case _:
            return set()


def _place(input_id: str) -> tuple[str, int]:
    try:
        return split_input_id(input_id)
    except ValueError as error:
        raise StoreError(f"An item cannot be kept: {error}.") from error


def _require(is_known: bool, record: object) -> None:
    if not is_known:
        raise StoreError(
            f"A record cannot be kept, it belongs to nothing that was saved: {record!r:.200}"
        )


def _restored(held: _Call) -> CallRestored:
    left = sorted(held.inputs.keys() - held.outcomes.keys())
    call_id = held.call.call_id
    return CallRestored(
        call=held.call,
        inputs=tuple(RestoredInput(input_id(call_id, index), index, 0) for index in left),
        closed=held.closed,
        total=held.total,
        outcome_count=len(held.outcomes),
        counts=held.counts,
    )
