"""The reading side: a pool of connections beside the writer's, so that no reader waits for a commit."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from offload.control.ports.records import ItemRow, Snapshot
from offload.control.ports.store import StoreError
from offload.control.stores.sqlite import deployed, rows
from offload.control.stores.sqlite.connection import connect, explained
from offload.control.stores.sqlite.keys import (
    find_call_keys,
    input_key,
    known_input_id,
)
from offload.control.stores.sqlite.restoring import restored_calls
from offload.control.stores.sqlite.statements import statements

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from offload.control.core.events import CallRestored
    from offload.control.core.model import Function
    from offload.control.ports.records import DeadLetter, LogRow, OutcomeRow, StoredApp, StoredCall


class Reader:
    """The reads of `Store`. Any number of threads may call it; each call has a connection to itself."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pool = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._is_closed = False

    def snapshot(self) -> Snapshot:
        """See `Store`."""
        with self.reading() as connection:
            connection.execute("BEGIN")  # one moment for all statements
            try:
                return Snapshot(
                    apps=tuple(map(rows.app, _all(connection, "running_apps"))),
                    functions=tuple(map(rows.function, _all(connection, "running_functions"))),
                    last_log_seq=_all(connection, "last_log_seq")[0][0],
                    workers=tuple((w["worker_id"], w["name"]) for w in _all(connection, "workers")),
                    deployments=deployed.deployments(connection),
                    schedules=deployed.schedules(connection),
                    web_keys=deployed.web_keys(connection),
                )
            finally:
                connection.execute("ROLLBACK")

    def open_calls(self) -> Iterator[CallRestored]:
        """See `Store`."""
        with self.reading() as connection:
            connection.execute("BEGIN")
            try:
                yield from restored_calls(connection)
            finally:
                connection.execute("ROLLBACK")

    def payloads(self, input_ids: Sequence[str]) -> dict[str, bytes]:
        """See `Store`."""
        places = {wanted: known_input_id(wanted) for wanted in input_ids}
        with self.reading() as connection:
            keys = find_call_keys(connection, {place[0] for place in places.values() if place})
            ids = {
                input_key(keys[place[0]], place[1]): wanted
                for wanted, place in places.items()
                if place and place[0] in keys
            }
            found = _all(connection, "payloads", input_keys=json.dumps(list(ids)))
            return {ids[row["input_key"]]: row["payload"] for row in found}

    def call(self, call_id: str) -> StoredCall | None:
        """See `Store`."""
        with self.reading() as connection:
            found = _calls(connection, "call_key", call_id=call_id)
            return found[0] if found else None

    def calls(self, app: str, open_only: bool, limit: int) -> list[StoredCall]:
        """See `Store`."""
        name = "newest_open_calls" if open_only else "newest_calls"
        with self.reading() as connection:
            if not app:
                return _calls(connection, name, limit=limit)
            return _calls(connection, f"{name}_of_app", app=app, limit=limit)

    def apps(self, limit: int) -> list[StoredApp]:
        """See `Store`."""
        with self.reading() as connection:
            return [rows.app(row) for row in _all(connection, "apps", limit=limit)]

    def app(self, app: str) -> StoredApp | None:
        """See `Store`."""
        with self.reading() as connection:
            found = _all(connection, "app", app=app)
            return rows.app(found[0]) if found else None

    def function(self, function_id: str) -> Function | None:
        """See `Store`."""
        with self.reading() as connection:
            found = _all(connection, "function", function_id=function_id)
            return rows.function(found[0]) if found else None

    def unused_functions(self, keep: int, limit: int) -> list[str]:
        """See `Store`."""
        with self.reading() as connection:
            ((count,),) = _all(connection, "on_demand_count")
            if count <= keep:  # the other statement looks at every call
                return []
            found = _all(connection, "unused_functions", older=count - keep, limit=limit)
            return [row["function_id"] for row in found]

    def states(self, call_ids: Sequence[str]) -> dict[str, str]:
        """See `Store`."""
        with self.reading() as connection:
            ((found,),) = _all(connection, "states", call_ids=json.dumps(list(call_ids)))
            states: dict[str, str] = json.loads(found)
            return states

    def outcomes(self, call_id: str, after_seq: int, limit: int) -> list[OutcomeRow]:
        """See `Store`."""
        with self.reading() as connection:
            found = _all(connection, "outcomes", call_id=call_id, after_seq=after_seq, limit=limit)
            return rows.outcomes(found, call_id, after_seq, limit)

    def failures(self, call_id: str, limit: int) -> list[OutcomeRow]:
        """See `Store`."""
        with self.reading() as connection:
            found = _all(connection, "failures", call_id=call_id, limit=limit)
            return rows.outcomes(found, call_id, 0, limit)

    def outcome(self, input_id: str) -> OutcomeRow | None:
        """See `Store`."""
        place = known_input_id(input_id)
        if place is None:
            return None
        call_id, index = place
        with self.reading() as connection:
            found = _all(connection, "outcome", call_id=call_id, index=index)
            return rows.outcome(found[0], call_id) if found else None

    def items(self, input_id: str, after_seq: int, limit: int) -> list[ItemRow]:
        """See `Store`."""
        place = known_input_id(input_id)
        if place is None:
            return []
        with self.reading() as connection:
            found = _all(
                connection,
                "items",
                call_id=place[0],
                index=place[1],
                after_seq=after_seq,
                limit=limit,
            )
            return [ItemRow(input_id, row["seq"], row["payload"], row["blob"]) for row in found]

    def logs(self, call_id: str, app_id: str, after_seq: int, limit: int) -> list[LogRow]:
        """See `Store`."""
        name = "call_logs" if call_id else "app_logs"
        with self.reading() as connection:
            found = _all(
                connection, name, call_id=call_id, app_id=app_id, after_seq=after_seq, limit=limit
            )
            return [rows.log(row) for row in found]

    def dead_letters(self, app: str, limit: int) -> list[DeadLetter]:
        """See `Store`."""
        with self.reading() as connection:
            found = _all(connection, "dead_letters", app=app, limit=limit)
            return [rows.dead_letter(row) for row in found]

    def dead_letter(self, input_id: str) -> DeadLetter | None:
        """See `Store`."""
        place = known_input_id(input_id)
        if place is None:
            return None
        with self.reading() as connection:
            found = _all(connection, "dead_letter", call_id=place[0], index=place[1])
            return rows.dead_letter(found[0]) if found else None

    def dead_letter_count(self, app: str) -> int:
        """See `Store`."""
        with self.reading() as connection:
            count: int = _all(connection, "dead_letter_count", app=app)[0][0]
            return count

    def blobs_in_use(self, sha256: Sequence[str]) -> set[str]:
        """See `Store`."""
        with self.reading() as connection:
            ((found,),) = _all(connection, "blobs_in_use", sha256=json.dumps(list(sha256)))
            return set(json.loads(found))

    def close(self) -> None:
        """Close the connections; those in use are closed when their read is done."""
        with self._pool:
            self._is_closed = True
            while self._idle:
                self._idle.pop().close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """See `Connections`."""
        with explained(self._path):
            connection = self._take()
            try:
                yield connection
            finally:
                self._give_back(connection)

    def _take(self) -> sqlite3.Connection:
        with self._pool:
            if self._is_closed:
                raise StoreError(f"The database {self._path} is closed.")
            if self._idle:
                return self._idle.pop()
        return connect(self._path, read_only=True)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._pool:
            if self._is_closed:
                connection.close()
            else:
                self._idle.append(connection)


def _all(connection: sqlite3.Connection, name: str, **parameters: object) -> list[sqlite3.Row]:
    return connection.execute(statements("read.sql")[name], parameters).fetchall()


def _calls(connection: sqlite3.Connection, keys: str, **parameters: object) -> list[StoredCall]:
    ((call_keys,),) = _all(connection, keys, **parameters)
    return [rows.stored_call(row) for row in _all(connection, "calls", call_keys=call_keys)]
