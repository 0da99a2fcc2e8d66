"""The trees of volumes, in the database of the store; see `VolumeStore`.

An entry is a row for as long as it stands unchanged, with the versions of its beginning and end. So a commit writes what it
changes, whatever the size of the tree, and every version that is kept can be read as it was.
"""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING

from offload.control.core.trees import Plan, plan
from offload.control.ports.volumes import Pruned, TreeCommit, TreeSnapshot, Version
from offload.control.stores.sqlite.statements import for_rows, statements
from offload.wire.trees import Entry, Kind

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from offload.control.stores.sqlite.objects import Connections

# A statement with many rows takes few steps, each of which lets go of the interpreter's lock: see `writing`.
_ROWS = 500


class SqliteVolumes:
    """See `VolumeStore`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def commit(self, commit: TreeCommit) -> Version:
        """See `VolumeStore`."""
        with self._connections.writing() as writer:
            volume = _Volume.open(writer, commit.volume_id)
            known = volume.made_by(commit.commit_id)
            if known:
                return Version(known, is_new=False)
            return volume.make(commit, plan(volume, commit.changes))

    def restore(self, commit: TreeCommit, version: int) -> Version | None:
        """See `VolumeStore`."""
        with self._connections.writing() as writer:
            volume = _Volume.open(writer, commit.volume_id)
            known = volume.made_by(commit.commit_id)
            if known:
                return Version(known, is_new=False)
            if not volume.has(version):
                return None
            now = {entry.path: entry for entry in volume.entries(volume.newest)}
            then = {entry.path: entry for entry in volume.entries(version)}
            difference = Plan(
                ended=tuple(path for path, entry in now.items() if then.get(path) != entry),
                added=tuple(entry for path, entry in then.items() if now.get(path) != entry),
            )
            return volume.make(commit, difference)

    def newest(self, volume_id: str) -> int:
        """See `VolumeStore`."""
        with self._connections.reading() as reader:
            row = _run(reader, "volume", volume_id=volume_id).fetchone()
            return 0 if row is None else int(row["newest"])

    def entries(
        self, volume_id: str, version: int, path: str, after: str, limit: int, *, shallow: bool
    ) -> list[Entry] | None:
        """See `VolumeStore`."""
        with self._connections.reading() as reader:
            row = _run(reader, "volume", volume_id=volume_id).fetchone()
            if row is None or not row["oldest"] <= version <= row["newest"]:
                return [] if version == 0 else None
            name = "entries_in" if shallow else "entries_below" if path else "entries"
            found = _run(
                reader,
                name,
                volume_key=row["volume_key"],
                version=version,
                path=path,
                after=after,
                limit=limit,
            )
            return [_entry(row) for row in found]

    def snapshots(self, volume_id: str, limit: int) -> list[TreeSnapshot]:
        """See `VolumeStore`."""
        with self._connections.reading() as reader:
            row = _run(reader, "volume", volume_id=volume_id).fetchone()
            if row is None:
                return []
            found = _run(
                reader,
                "snapshots",
                volume_key=row["volume_key"],
                oldest=row["oldest"],
                limit=limit,
            )
            return [TreeSnapshot(*row) for row in found]

    def orphans(self, limit: int) -> list[str]:
        """See `VolumeStore`."""
        with self._connections.reading() as reader:
            return [volume_id for (volume_id,) in _run(reader, "orphans", limit=limit)]

    def forget(self, volume_ids: Sequence[str]) -> None:
        """See `VolumeStore`."""
        with self._connections.writing() as writer:
            _run(writer, "forget_volumes", volume_ids=json.dumps(list(volume_ids)))

    def prune(self, before: float, limit: int) -> Pruned:
        """See `VolumeStore`."""
        with self._connections.writing() as writer:
            for row in _run(writer, "old_versions", before=before).fetchall():
                _run(writer, "set_oldest", **dict(row))
                _run(writer, "remove_versions", **dict(row))
            keys = [key for (key,) in _run(writer, "old_entries", limit=limit)]
            forgotten = _run(writer, "forgotten").fetchone()
            if not keys and forgotten is not None:
                volume_key = forgotten["volume_key"]
                keys = [
                    key for (key,) in _run(writer, "entries_of", volume_key=volume_key, limit=limit)
                ]
                if not keys:
                    _run(writer, "remove_versions", volume_key=volume_key, version=1 << 62)
                    _run(writer, "remove_volume", volume_key=volume_key)
                    return Pruned(1, ())
            ended = json.dumps(keys)
            ((blobs,),) = _run(writer, "chunks_of", keys=ended)
            _run(writer, "remove_chunks", keys=ended)
            _run(writer, "remove_entries", keys=ended)
            return Pruned(len(keys), tuple(json.loads(blobs)))


class _Volume:
    """One volume within a transaction. It is a `core.trees.Tree`."""

    def __init__(self, connection: sqlite3.Connection, row: sqlite3.Row) -> None:
        self._connection = connection
        self._key: int = row["volume_key"]
        self.newest: int = row["newest"]
        self._oldest: int = row["oldest"]

    @classmethod
    def open(cls, connection: sqlite3.Connection, volume_id: str) -> _Volume:
        row = _run(connection, "volume", volume_id=volume_id).fetchone()
        if row is None:
            _run(connection, "insert_volume", volume_id=volume_id)
            row = _run(connection, "volume", volume_id=volume_id).fetchone()
        return cls(connection, row)

    def made_by(self, commit_id: str) -> int:
        row = self._run("committed", commit_id=commit_id).fetchone()
        return 0 if row is None else int(row["version"])

    def has(self, version: int) -> bool:
        return 0 < self._oldest <= version <= self.newest

    def at(self, paths: Iterable[str]) -> dict[str, Entry]:
        found = self._run("heads_at", paths=json.dumps(list(paths)))
        return {row["path"]: _entry(row) for row in found}

    def below(self, path: str) -> dict[str, Entry]:
        return {row["path"]: _entry(row) for row in self._run("heads_below", path=path)}

    def entries(self, version: int) -> list[Entry]:
        return [
            _entry(row) for row in self._run("entries", version=version, after="", limit=1 << 62)
        ]

    def make(self, commit: TreeCommit, changed: Plan) -> Version:
        if not changed.ended and not changed.added:
            return Version(self.newest, is_new=False)
        version = self.newest + 1
        ended = list(self.at(changed.ended).values())
        self._run("end_entries", version=version, paths=json.dumps(changed.ended))
        self._add(version, changed.added)
        files = [entry for entry in changed.added if entry.kind is Kind.FILE]
        gone = [entry for entry in ended if entry.kind is Kind.FILE]
        self._run(
            "insert_version_from",
            version=version,
            commit_id=commit.commit_id,
            cause=commit.cause,
            at=commit.at,
            files=len(files) - len(gone),
            size_bytes=sum(e.size_bytes for e in files) - sum(e.size_bytes for e in gone),
        )
        self._run("set_newest", version=version)
        return Version(version, is_new=True)

    def _add(self, version: int, added: Sequence[Entry]) -> None:
        ((last_key,),) = self._run("last_entry_key")
        rows: list[tuple[object, ...]] = []
        chunks: list[tuple[object, ...]] = []
        for key, entry in enumerate(added, start=last_key + 1):
            folder = entry.path.rpartition("/")[0]
            rows.append((key, self._key, folder, entry.path, version, *entry[1:]))
            chunks += [(sha256, key) for sha256 in {chunk.sha256 for chunk in entry.chunks}]
        _insert(self._connection, "insert_entries", rows)
        _insert(self._connection, "insert_chunks", chunks)

    def _run(self, name: str, **parameters: object) -> sqlite3.Cursor:
        return _run(self._connection, name, volume_key=self._key, **parameters)


def _insert(connection: sqlite3.Connection, name: str, rows: list[tuple[object, ...]]) -> None:
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        statement = for_rows(name, len(part), "volumes.sql")
        connection.execute(statement, list(chain.from_iterable(part)))


def _entry(row: sqlite3.Row) -> Entry:
    return Entry(
        row["path"],
        Kind(row["kind"]),
        row["mode"],
        row["mtime_ns"],
        row["size_bytes"],
        row["content"],
    )


def _run(connection: sqlite3.Connection, name: str, **parameters: object) -> sqlite3.Cursor:
    return connection.execute(statements("volumes.sql")[name], parameters)
