"""The trees of volumes in memory, every version whole; see `VolumeStore`."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from offload.control.core.trees import plan
from offload.control.ports.volumes import Pruned, TreeCommit, TreeSnapshot, Version
from offload.wire.trees import Entry, Kind, is_below

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from offload.control.stores.memory.objects import MemoryObjects


@dataclass(slots=True)
class _Made:
    commit: TreeCommit
    entries: dict[str, Entry]


@dataclass(slots=True)
class _Tree:
    entries: dict[str, Entry]

    def at(self, paths: Iterable[str]) -> dict[str, Entry]:
        return {path: self.entries[path] for path in paths if path in self.entries}

    def below(self, path: str) -> dict[str, Entry]:
        return {name: entry for name, entry in self.entries.items() if is_below(name, path)}


@dataclass(slots=True)
class _Volume:
    newest: int = 0
    versions: dict[int, _Made] = field(default_factory=dict)

    @property
    def entries(self) -> dict[str, Entry]:
        return self.versions[self.newest].entries if self.newest else {}

    def make(self, commit: TreeCommit, entries: dict[str, Entry]) -> Version:
        if entries == self.entries:
            return Version(self.newest, is_new=False)
        self.newest += 1
        self.versions[self.newest] = _Made(commit, entries)
        return Version(self.newest, is_new=True)

    def made_by(self, commit_id: str) -> int:
        made = (n for n, made in self.versions.items() if made.commit.commit_id == commit_id)
        return next(made, 0)


class MemoryVolumes:
    """See `VolumeStore`."""

    def __init__(self, objects: MemoryObjects) -> None:
        self._objects = objects
        self._lock = threading.Lock()
        self._volumes: dict[str, _Volume] = {}
        self._freed: set[str] = set()

    def commit(self, commit: TreeCommit) -> Version:
        """See `VolumeStore`."""
        with self._lock:
            volume = self._volumes.get(commit.volume_id, _Volume())
            known = volume.made_by(commit.commit_id)
            if known:
                return Version(known, is_new=False)
            planned = plan(_Tree(volume.entries), commit.changes)
            entries = dict(volume.entries)
            for path in planned.ended:
                del entries[path]
            entries.update((entry.path, entry) for entry in planned.added)
            self._volumes[commit.volume_id] = volume
            return volume.make(commit, entries)

    def restore(self, commit: TreeCommit, version: int) -> Version | None:
        """See `VolumeStore`."""
        with self._lock:
            volume = self._volumes.get(commit.volume_id, _Volume())
            known = volume.made_by(commit.commit_id)
            if known:
                return Version(known, is_new=False)
            made = volume.versions.get(version)
            return None if made is None else volume.make(commit, dict(made.entries))

    def newest(self, volume_id: str) -> int:
        """See `VolumeStore`."""
        with self._lock:
            return self._volumes.get(volume_id, _Volume()).newest

    def entries(
        self, volume_id: str, version: int, path: str, after: str, limit: int, *, shallow: bool
    ) -> list[Entry] | None:
        """See `VolumeStore`."""
        with self._lock:
            made = self._volumes.get(volume_id, _Volume()).versions.get(version)
            if made is None:
                return [] if version == 0 else None
            found = [
                made.entries[name]
                for name in sorted(made.entries)
                if name > after
                and (name.rpartition("/")[0] == path if shallow else is_below(name, path))
            ]
            return found[:limit]

    def snapshots(self, volume_id: str, limit: int) -> list[TreeSnapshot]:
        """See `VolumeStore`."""
        with self._lock:
            versions = self._volumes.get(volume_id, _Volume()).versions
            return [
                TreeSnapshot(
                    number,
                    made.commit.at,
                    made.commit.cause,
                    sum(entry.kind is Kind.FILE for entry in made.entries.values()),
                    sum(entry.size_bytes for entry in made.entries.values()),
                )
                for number, made in sorted(versions.items(), reverse=True)
            ][:limit]

    def orphans(self, limit: int) -> list[str]:
        """See `VolumeStore`."""
        with self._lock:
            return [each for each in self._volumes if self._objects.get(each) is None][:limit]

    def forget(self, volume_ids: Sequence[str]) -> None:
        """See `VolumeStore`."""
        with self._lock:
            for volume_id in volume_ids:
                volume = self._volumes.pop(volume_id, _Volume())
                self._freed |= _blobs(volume.versions.values())

    def prune(self, before: float, limit: int) -> Pruned:
        """See `VolumeStore`."""
        del limit
        with self._lock:
            freed, self._freed = self._freed, set()
            for volume in self._volumes.values():
                replaced = [n for n, made in volume.versions.items() if made.commit.at < before]
                for number in [n for n in volume.versions if replaced and n < max(replaced)]:
                    freed |= _blobs([volume.versions.pop(number)])
            return Pruned(len(freed), tuple(sorted(freed)))

    def blobs(self) -> set[str]:
        """Return the blobs that something names."""
        with self._lock:
            versions = [v.versions.values() for v in self._volumes.values()]
            return set().union(*map(_blobs, versions)) if versions else set()


def _blobs(versions: Iterable[_Made]) -> set[str]:
    return {
        chunk.sha256
        for made in versions
        for entry in made.entries.values()
        for chunk in entry.chunks
    }
