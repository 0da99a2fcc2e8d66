"""The store port: the durable record that the dispatcher is rebuilt from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from offload.control.core.events import CallRestored
    from offload.control.core.model import Function
    from offload.control.ports.objects import ObjectStore
    from offload.control.ports.records import (
        Collected,
        DeadLetter,
        ItemRow,
        LogRow,
        OutcomeRow,
        Record,
        Snapshot,
        StoredApp,
        StoredCall,
    )
    from offload.control.ports.volumes import VolumeStore


class StoreError(Exception):
    """The store cannot serve; `message` says why and what a person can do (full disk, corrupt file, newer schema)."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Store(Protocol):
    """Keeps records. Blocking: the services call `commit` from one writer thread and reads from others.

    `commit` applies all records of the sequence in order, or none, and refuses those of an app, function or call that
    was never saved; when it returns they survive power loss. It may be
    repeated with the same records without changing anything. Reads see every commit that returned before they began,
    and may run while a commit does. Every method raises `StoreError`, and nothing of the library beneath. After an
    error of `commit` the store is as before and may be used again once the cause is gone.
    """

    @property
    def objects(self) -> ObjectStore:
        """The objects with a name, which are kept in the same place."""

    @property
    def volumes(self) -> VolumeStore:
        """The trees of the volumes, which are kept in the same place."""

    def commit(self, records: Sequence[Record]) -> None:
        """Write the records, all or none, durably."""

    def snapshot(self) -> Snapshot:
        """Read what a server needs to go on where the last one stopped, but the calls."""

    def open_calls(self) -> Iterator[CallRestored]:
        """Read the unfinished calls one by one; commits meanwhile do not change what is read.

        Those of an app come in the order they were saved, and calls that come after others behind all that do not.
        """

    def payloads(self, input_ids: Sequence[str]) -> dict[str, bytes]:
        """Read the encoded payloads of these inputs; unknown ones are missing from the answer."""

    def call(self, call_id: str) -> StoredCall | None:
        """Read one call."""

    def calls(self, app: str, open_only: bool, limit: int) -> list[StoredCall]:
        """List calls, newest (saved last) first. `app` is an id or a name; empty means all."""

    def apps(self, limit: int) -> list[StoredApp]:
        """List apps, newest (saved last) first."""

    def app(self, app: str) -> StoredApp | None:
        """Find an app by id, or the newest by name."""

    def function(self, function_id: str) -> Function | None:
        """Read one function."""

    def unused_functions(self, keep: int, limit: int) -> list[str]:
        """List functions on demand of which no call is kept, oldest first, beside the `keep` newest of them all."""

    def states(self, call_ids: Sequence[str]) -> dict[str, str]:
        """Read the final states of these calls, empty for open ones; unknown calls are missing from the answer."""

    def outcomes(self, call_id: str, after_seq: int, limit: int) -> list[OutcomeRow]:
        """Read a call's outcomes in the order of their seq."""

    def failures(self, call_id: str, limit: int) -> list[OutcomeRow]:
        """Read the first of a call's outcomes that are no success, in the order of their seq."""

    def outcome(self, input_id: str) -> OutcomeRow | None:
        """Read one input's outcome, if it has one."""

    def items(self, input_id: str, after_seq: int, limit: int) -> list[ItemRow]:
        """Read a generator's items in order."""

    def logs(self, call_id: str, app_id: str, after_seq: int, limit: int) -> list[LogRow]:
        """Read lines in order, of a call or (with an empty call_id) of an app."""

    def dead_letters(self, app: str, limit: int) -> list[DeadLetter]:
        """List dead letters, newest first. `app` is an id or a name; empty means all."""

    def dead_letter(self, input_id: str) -> DeadLetter | None:
        """Read one dead letter."""

    def dead_letter_count(self, app: str) -> int:
        """Count the dead letters, of an app or all."""

    def collect(self, before: float, limit: int) -> Collected:
        """Remove what ended before that time, up to about `limit` rows, durably; call it again until it returns none.

        Goes by finished calls with all that belongs to them, then stopped apps without calls, with their functions, then
        lines of output. A call whose end has passed is gone for readers from the first pass that touches it. Writes, so it
        takes turns with `commit`, and may be called from any thread.
        """

    def blobs_in_use(self, sha256: Sequence[str]) -> set[str]:
        """Return which of these blobs something in the store names."""

    def close(self) -> None:
        """Release the store. Idempotent."""
