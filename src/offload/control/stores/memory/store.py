"""A store that forgets: for tests, and the plainest statement of what the others must do."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from offload.control.core.ids import split_input_id
from offload.control.ports.records import (
    CloseCall,
    Collected,
    DeadLetter,
    DropFunctions,
    DropItems,
    DropLetter,
    EndApp,
    FinishCall,
    ItemRow,
    LogRow,
    OutcomeRow,
    Record,
    RemoveWorker,
    ReplayedLetter,
    SaveApp,
    SaveCall,
    SaveFunction,
    SaveHistory,
    SaveInputs,
    SaveItems,
    SaveLogs,
    SaveOutcomeRun,
    SaveOutcomes,
    SaveScaling,
    SaveWorker,
    Snapshot,
    StoredApp,
    StoredCall,
)
from offload.control.stores.memory.deployed import Deployed, DeployedRecord, restored
from offload.control.stores.memory.held import HeldCall
from offload.control.stores.memory.objects import MemoryObjects
from offload.control.stores.memory.places import Known, check
from offload.control.stores.memory.volumes import MemoryVolumes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from offload.control.core.events import CallRestored
    from offload.control.core.model import Function


class MemoryStore:
    """See `Store`. Nothing survives the object."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.objects = MemoryObjects()
        self.volumes = MemoryVolumes(self.objects)
        self._apps: dict[str, StoredApp] = {}
        self._functions: dict[str, Function] = {}
        self._calls: dict[str, HeldCall] = {}
        self._logs: dict[int, LogRow] = {}
        self._workers: dict[str, str] = {}
        self._deployed = Deployed()

    def commit(self, records: Sequence[Record]) -> None:
        """See `Store`."""
        with self._lock:
            check(records, Known(self._apps, self._functions, self._calls))
            for record in records:
                self._apply(record)

    def snapshot(self) -> Snapshot:
        """See `Store`."""
        with self._lock:
            unfinished = [held for held in self._calls.values() if not held.state]
            called = {held.call.function_id for held in unfinished}
            busy = {self._functions[function_id].app_id for function_id in called}
            idle = self._deployed.idle_apps()
            apps = [
                a
                for a in self._apps.values()
                if a.app_id in busy or not (a.stopped_at or a.app_id in idle)
            ]
            kept = {app.app_id for app in apps}
            return Snapshot(
                apps=tuple(apps),
                functions=restored(self._functions.values(), kept, called),
                last_log_seq=max(self._logs, default=0),
                workers=tuple(self._workers.items()),
                deployments=self._deployed.deployments(),
                schedules=self._deployed.schedules(),
                web_keys=self._deployed.web_keys(),
            )

    def open_calls(self) -> Iterator[CallRestored]:
        """See `Store`."""
        with self._lock:
            unfinished = [held for held in self._calls.values() if not held.state]
            unfinished.sort(key=lambda held: bool(held.call.after))
            calls = [self._restored(held) for held in unfinished]
        return iter(calls)

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

    def unused_functions(self, keep: int, limit: int) -> list[str]:
        """See `Store`."""
        with self._lock:
            called = {held.call.function_id for held in self._calls.values()}
            on_demand = [each.function_id for each in self._functions.values() if each.is_on_demand]
            older = on_demand[: max(0, len(on_demand) - keep)]
            return [each for each in older if each not in called][:limit]

    def states(self, call_ids: Sequence[str]) -> dict[str, str]:
        """See `Store`."""
        with self._lock:
            return {
                wanted: self._calls[wanted].state for wanted in call_ids if wanted in self._calls
            }

    def outcomes(self, call_id: str, after_seq: int, limit: int) -> list[OutcomeRow]:
        """See `Store`."""
        with self._lock:
            held = self._calls.get(call_id)
            return held.outcomes(after_seq, limit) if held else []

    def failures(self, call_id: str, limit: int) -> list[OutcomeRow]:
        """See `Store`."""
        with self._lock:
            held = self._calls.get(call_id)
            return held.failures(limit) if held else []

    def outcome(self, input_id: str) -> OutcomeRow | None:
        """See `Store`."""
        with self._lock:
            held, index = self._find(input_id)
            return held.outcome(index) if held else None

    def items(self, input_id: str, after_seq: int, limit: int) -> list[ItemRow]:
        """See `Store`."""
        with self._lock:
            held, index = self._find(input_id)
            rows = held.items.get(index, {}) if held else {}
            return [rows[seq] for seq in sorted(rows) if seq > after_seq][:limit]

    def logs(self, call_id: str, app_id: str, after_seq: int, limit: int) -> list[LogRow]:
        """See `Store`."""

        def is_wanted(row: LogRow) -> bool:
            return row.call_id == call_id if call_id else row.app_id == app_id

        with self._lock:
            later = (self._logs[seq] for seq in sorted(self._logs) if seq > after_seq)
            return [row for row in later if is_wanted(row)][:limit]

    def dead_letters(self, app: str, limit: int) -> list[DeadLetter]:
        """See `Store`."""
        with self._lock:
            return self._letters(app)[:limit]

    def dead_letter(self, input_id: str) -> DeadLetter | None:
        """See `Store`."""
        with self._lock:
            letters = (letter for letter in self._letters("") if letter.input_id == input_id)
            return next(letters, None)

    def dead_letter_count(self, app: str) -> int:
        """See `Store`."""
        with self._lock:
            return len(self._letters(app))

    def collect(self, before: float, limit: int) -> Collected:
        """See `Store`. A call goes as a whole."""
        with self._lock:
            freed: set[str] = set()
            calls, rows = self._collect_calls(before, limit, freed)
            rows += self._collect_apps(before, limit - rows, freed)
            rows += self._collect_logs(before, limit - rows)
            return Collected(calls, rows, tuple(sorted(freed - self._blobs())))

    def blobs_in_use(self, sha256: Sequence[str]) -> set[str]:
        """See `Store`."""
        with self._lock:
            return self._blobs() & set(sha256)

    def close(self) -> None:
        """See `Store`."""

    def _find(self, wanted: str) -> tuple[HeldCall | None, int]:
        try:
            call_id, index = split_input_id(wanted)
        except ValueError:
            return None, 0
        return self._calls.get(call_id), index

    def _stored(self, held: HeldCall) -> StoredCall:
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
            priority=held.call.priority,
            deadline=held.call.deadline,
            after=held.call.after,
            run_anyway=held.call.run_anyway,
            not_before=held.call.not_before,
        )

    def _restored(self, held: HeldCall) -> CallRestored:
        known = ((wanted, self._calls.get(wanted)) for wanted in held.call.after)
        return held.restored(tuple((wanted, d.state) for wanted, d in known if d and d.state))

    def _letters(self, app: str) -> list[DeadLetter]:
        """Return the dead letters, newest first."""
        found = []
        for place, held in enumerate(self._calls.values()):
            function = self._functions[held.call.function_id]
            if app not in ("", function.app_id, function.app_name):
                continue
            for index, row in held.letters.items():
                found.append((row.at, place, index, held.letter(index, function)))
        return [letter for *_, letter in sorted(found, key=lambda f: f[:3], reverse=True)]

    def _collect_calls(self, before: float, limit: int, freed: set[str]) -> tuple[int, int]:
        over = [held for held in self._calls.values() if held.state and held.finished_at < before]
        calls = rows = 0
        for held in over:
            if rows >= limit:
                break
            del self._calls[held.call.call_id]
            freed.update(held.blobs())
            rows += held.row_count
            calls += 1
        return calls, rows

    def _collect_apps(self, before: float, limit: int, freed: set[str]) -> int:
        used = {self._functions[held.call.function_id].app_id for held in self._calls.values()}
        used |= self._deployed.versions()
        over = [a.app_id for a in self._apps.values() if 0 < a.stopped_at < before]
        rows = 0
        for app_id in over:
            if app_id in used or rows >= limit:
                continue
            functions = [f for f in self._functions.values() if f.app_id == app_id]
            for function in functions:
                del self._functions[function.function_id]
                freed.update(_blobs_of(function))
            del self._apps[app_id]
            rows += 1 + len(functions)
        return rows

    def _collect_logs(self, before: float, limit: int) -> int:
        over = [seq for seq in sorted(self._logs) if self._logs[seq].at < before][: max(0, limit)]
        for seq in over:
            del self._logs[seq]
        return len(over)

    def _blobs(self) -> set[str]:
        named = {blob for function in self._functions.values() for blob in _blobs_of(function)}
        for held in self._calls.values():
            named.update(held.blobs())
        return named | self.volumes.blobs()

    def _apply(self, record: Record) -> None:
        match record:
            case SaveApp(app_id, name, at, workspace, environment):
                self._apps.setdefault(
                    app_id, StoredApp(app_id, name, at, 0.0, workspace, environment)
                )
            case EndApp(app_id=app_id, stopped_at=at):
                app = self._apps.get(app_id)
                if app is not None and not app.stopped_at:
                    self._apps[app_id] = replace(app, stopped_at=at)
            case SaveFunction(function=function):
                self._functions.setdefault(function.function_id, function)
            case SaveScaling(function_id=function_id, scaling=scaling):
                function = self._functions[function_id]
                self._functions[function_id] = replace(function, scaling=scaling)
            case SaveCall(call=call):
                self._calls.setdefault(call.call_id, HeldCall(call))
            case SaveItems() | DropItems() | ReplayedLetter() | DropLetter():
                self._apply_to_input(record)
            case SaveLogs() | SaveWorker() | RemoveWorker() | DropFunctions():
                self._apply_aside(record)
            case _ if isinstance(record, DeployedRecord):
                self._deployed.apply(record)
            case _:
                self._apply_to_call(record)

    def _apply_aside(self, record: SaveLogs | SaveWorker | RemoveWorker | DropFunctions) -> None:
        match record:
            case SaveLogs(rows=lines):
                for line in lines:
                    self._logs.setdefault(line.seq, line)
            case SaveWorker(worker_id=worker_id, name=name):
                self._workers.setdefault(worker_id, name)
            case RemoveWorker(worker_id=worker_id):
                self._workers.pop(worker_id, None)
            case DropFunctions(function_ids=dropped):
                called = {held.call.function_id for held in self._calls.values()}
                for each in set(dropped) - called:
                    self._functions.pop(each, None)

    def _apply_to_input(self, record: SaveItems | DropItems | ReplayedLetter | DropLetter) -> None:
        if isinstance(record, SaveItems):
            for row in record.rows:
                call_id, index = split_input_id(row.input_id)
                self._calls[call_id].items.setdefault(index, {}).setdefault(row.seq, row)
            return
        held, index = self._find(record.input_id)
        if held is None:
            return
        if isinstance(record, DropItems):
            held.items.pop(index, None)
        else:
            held.letters.pop(index, None)

    def _apply_to_call(
        self,
        record: SaveInputs | CloseCall | SaveOutcomes | SaveOutcomeRun | SaveHistory | FinishCall,
    ) -> None:
        if isinstance(record, SaveOutcomes):
            for outcome in record.rows:
                self._calls[outcome.call_id].end(outcome)
            return
        held = self._calls[record.call_id]
        match record:
            case SaveInputs(rows=rows):
                for row in rows:
                    held.inputs.setdefault(row.index, row)
            case CloseCall(total=total) if not held.closed:
                held.closed, held.total = True, total
            case SaveOutcomeRun():
                held.end_run(record)
            case SaveHistory(history=history):
                held.histories[history.index] = history
            case FinishCall(state=state, at=at) if not held.state:
                held.state, held.finished_at = state, at


def _blobs_of(function: Function) -> set[str]:
    return {function.blob, *function.image_blobs} - {""}
