"""The port to the trees of volumes. What is in their files are blobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offload.control.core.trees import Changes
    from offload.wire.trees import Entry


@dataclass(frozen=True, slots=True)
class TreeCommit:
    """Changes of one volume. `commit_id` is chosen by whoever asks: a repeat changes nothing."""

    volume_id: str
    commit_id: str
    cause: str  # for people
    at: float
    changes: Changes


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a volume's tree, from 1; 0 is the empty tree that every volume begins with."""

    number: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class TreeSnapshot:
    """A version that can be read and restored."""

    version: int
    at: float
    cause: str
    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one pass took away."""

    rows: int  # 0: there is nothing more to take
    blobs: tuple[str, ...]  # that something named which is gone


class VolumeStore(Protocol):
    """Keeps the trees, every version of the last while. Blocking, and raises `StoreError` as `Store` does.

    A commit is one version, whole or not at all, and survives power loss when it returns. One that would change nothing
    makes no version. Nothing here asks whether there is such a volume, or whether the blobs that entries name are there.
    """

    def commit(self, commit: TreeCommit) -> Version:
        """Make a version of the newest one and these changes. Raises `DomainError` as `core.trees.plan` does."""

    def restore(self, commit: TreeCommit, version: int) -> Version | None:
        """Make a version with the tree of an earlier one; None where that is not kept. `commit.changes` are ignored."""

    def newest(self, volume_id: str) -> int:
        """Return the number of the newest version; 0 where nothing was ever committed."""

    def entries(
        self, volume_id: str, version: int, path: str, after: str, limit: int, *, shallow: bool
    ) -> list[Entry] | None:
        """List entries of a version in the order of their paths, those behind `after`; None where it is not kept.

        With a path only that entry and what is below it, and `shallow` only what is directly below it.
        """

    def snapshots(self, volume_id: str, limit: int) -> list[TreeSnapshot]:
        """List the versions that are kept, newest first."""

    def orphans(self, limit: int) -> list[str]:
        """List volumes with a tree whose object is gone, some of them."""

    def forget(self, volume_ids: Sequence[str]) -> None:
        """Let all of these volumes go; their rows go with `prune`."""

    def prune(self, before: float, limit: int) -> Pruned:
        """Remove versions that a newer one had replaced before that time, and forgotten volumes, about `limit` rows."""
