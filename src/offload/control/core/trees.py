"""What a commit makes of a volume's tree. Pure: how the tree is kept is the store's business.

The last writer wins for each entry: a commit takes the place of what stands under the names it puts, whoever put that
there, and leaves all other names alone. What cannot stand beside what is put, a file where a folder has to be or a
folder's content where a file comes, goes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from offload.control.core.errors import DomainError, ErrorCode
from offload.wire.trees import (
    BadNameError,
    Entry,
    Kind,
    check_entry,
    check_path,
    is_below,
    parents,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FOLDER_MODE = 0o755


@dataclass(frozen=True, slots=True)
class Moved:
    """A tree that is to stand somewhere else too, or instead."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Changes:
    """One commit. Copies come from the tree as it was before; then things are removed, and last of all put."""

    puts: tuple[Entry, ...] = ()
    removes: tuple[str, ...] = ()  # a folder goes only where nothing is left in it
    remove_trees: tuple[str, ...] = ()  # they must be there
    copies: tuple[Moved, ...] = ()
    renames: tuple[Moved, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What the store is to do: end the entries of these paths, and then add these."""

    ended: tuple[str, ...]
    added: tuple[Entry, ...]


class Tree(Protocol):
    """The newest version of a tree."""

    def at(self, paths: Iterable[str]) -> Mapping[str, Entry]:
        """Return the entries of these paths, without those that are not there."""

    def below(self, path: str) -> Mapping[str, Entry]:
        """Return the entry of a path, if there is one, and all below it."""


def check_changes(changes: Changes) -> None:
    """Refuse names that may not stand in a volume, and whatever contradicts itself."""
    try:
        for entry in changes.puts:
            check_entry(entry)
        for path in (*changes.removes, *changes.remove_trees):
            check_path(path)
        for moved in (*changes.copies, *changes.renames):
            check_path(moved.source)
            check_path(moved.target)
            if is_below(moved.target, moved.source):
                raise BadNameError(
                    f"{moved.source!r} cannot be put into itself, as {moved.target!r}: choose another name"
                )
    except BadNameError as error:
        raise DomainError(ErrorCode.INVALID, f"{error}.") from error


def plan(tree: Tree, changes: Changes) -> Plan:
    """Return what changes. Raises `DomainError` where something is to be moved or removed that is not there."""
    merge = _Merge(tree)
    puts = [*changes.puts]
    for moved in (*changes.copies, *changes.renames):
        puts += merge.copies(moved)
    merge.load([*puts, *(Entry(path, Kind.FILE) for path in changes.removes)])
    for path in (*changes.remove_trees, *(moved.source for moved in changes.renames)):
        merge.remove_tree(path)
    # What is in a folder before the folder.
    for path in sorted(changes.removes, key=lambda path: -path.count("/")):
        merge.remove(path)
    for entry in puts:
        merge.put(entry)
    return merge.plan()


@dataclass(slots=True)
class _Merge:
    tree: Tree
    before: dict[str, Entry] = field(default_factory=dict)
    after: dict[str, Entry | None] = field(default_factory=dict)

    def load(self, entries: Iterable[Entry]) -> None:
        paths: set[str] = set()
        for entry in entries:
            paths.add(entry.path)
            paths.update(parents(entry.path))
        self.before.update(self.tree.at(paths - self.before.keys()))

    def copies(self, moved: Moved) -> list[Entry]:
        found = self._below(moved.source)
        if not found:
            raise _not_there(moved.source)
        return [
            entry._replace(path=moved.target + path[len(moved.source) :])
            for path, entry in sorted(found.items())
        ]

    def remove_tree(self, path: str) -> None:
        found = self._below(path)
        if not found:
            raise _not_there(path)
        for name in found:
            self.after[name] = None

    def remove(self, path: str) -> None:
        entry = self._now(path)
        is_full = (
            entry is not None
            and entry.kind is Kind.DIRECTORY
            and any(self._now(name) for name in self._below(path) if name != path)
        )
        if entry is not None and not is_full:
            self.after[path] = None

    def put(self, entry: Entry) -> None:
        for folder in parents(entry.path):
            standing = self._now(folder)
            if standing is not None and standing.kind is Kind.DIRECTORY:
                break
            self.after[folder] = Entry(folder, Kind.DIRECTORY, FOLDER_MODE, entry.mtime_ns)
        standing = self._now(entry.path)
        if (
            standing is not None
            and standing.kind is Kind.DIRECTORY
            and entry.kind is not Kind.DIRECTORY
        ):
            for name in [*self._below(entry.path), *self._added_below(entry.path)]:
                self.after[name] = None
        self.after[entry.path] = entry

    def plan(self) -> Plan:
        changed = {
            path: entry for path, entry in self.after.items() if entry != self.before.get(path)
        }
        return Plan(
            ended=tuple(path for path in changed if path in self.before),
            added=tuple(entry for entry in changed.values() if entry is not None),
        )

    def _now(self, path: str) -> Entry | None:
        return self.after[path] if path in self.after else self.before.get(path)

    def _below(self, path: str) -> Mapping[str, Entry]:
        found = self.tree.below(path)
        self.before.update(found)
        return found

    def _added_below(self, path: str) -> list[str]:
        return [name for name in self.after if is_below(name, path)]


def _not_there(path: str) -> DomainError:
    return DomainError(
        ErrorCode.NOT_FOUND,
        f"There is no {path!r} in the volume: `offload volume ls` shows what is.",
    )
