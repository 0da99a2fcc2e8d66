"""Trees of volumes, for tests."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from offload.control.core.trees import Changes, Moved
from offload.control.ports.volumes import TreeCommit
from offload.wire.trees import Chunk, Entry, Kind, pack_chunks

if TYPE_CHECKING:
    from offload.control.ports.volumes import Version, VolumeStore

VOLUME = "vo-1"


def chunk_of(content: bytes) -> Chunk:
    """Return the chunk that these bytes are."""
    return Chunk(hashlib.sha256(content).digest(), len(content))


def file(path: str, content: bytes = b"", mode: int = 0o644) -> Entry:
    """Return the entry of a file of one chunk."""
    chunks = [chunk_of(content)] if content else []
    return Entry(path, Kind.FILE, mode, 0, len(content), pack_chunks(chunks))


def folder(path: str) -> Entry:
    """Return the entry of a folder."""
    return Entry(path, Kind.DIRECTORY, 0o755)


def link(path: str, target: str) -> Entry:
    """Return the entry of a symlink."""
    return Entry(path, Kind.SYMLINK, 0o777, 0, 0, target.encode())


def commit(
    trees: VolumeStore,
    *puts: Entry,
    removes: tuple[str, ...] = (),
    remove_trees: tuple[str, ...] = (),
    copies: tuple[tuple[str, str], ...] = (),
    renames: tuple[tuple[str, str], ...] = (),
    at: float = 1.0,
    commit_id: str = "",
    volume_id: str = VOLUME,
) -> Version:
    """Commit changes under an id of their own."""
    number = trees.newest(volume_id)
    changes = Changes(
        puts,
        removes,
        remove_trees,
        tuple(Moved(*pair) for pair in copies),
        tuple(Moved(*pair) for pair in renames),
    )
    return trees.commit(
        TreeCommit(volume_id, commit_id or f"c{number}-{at}", "a test", at, changes)
    )


def listing(trees: VolumeStore, version: int = 0, volume_id: str = VOLUME) -> dict[str, Entry]:
    """Return all entries of a version, or of the newest."""
    number = version or trees.newest(volume_id)
    entries = trees.entries(volume_id, number, "", "", 10**6, shallow=False)
    assert entries is not None
    return {entry.path: entry for entry in entries}
