"""A tree's entries as the schema's messages, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.wire.gen import volumes_pb2
from offload.wire.limits import BATCH_BYTES
from offload.wire.trees import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What an entry takes beside its path and its content, about.
_ENTRY_BYTES = 64


def entry_message(entry: Entry) -> volumes_pb2.TreeEntry:
    """Return the entry as a message."""
    return volumes_pb2.TreeEntry(
        path=entry.path,
        kind=int(entry.kind),  # type: ignore[arg-type]  # the numbers are the schema's
        mode=entry.mode,
        mtime_ns=entry.mtime_ns,
        size_bytes=entry.size_bytes,
        content=entry.content,
    )


def read_entry(message: volumes_pb2.TreeEntry) -> Entry:
    """Return the entry of a message, unchecked. Raises ValueError for a kind that there is not."""
    return Entry(
        message.path,
        Kind(message.kind),
        message.mode,
        message.mtime_ns,
        message.size_bytes,
        message.content,
    )


def in_pages(entries: Iterable[Entry]) -> Iterator[list[volumes_pb2.TreeEntry]]:
    """Yield the entries as messages, as many at a time as fit well into one."""
    page: list[volumes_pb2.TreeEntry] = []
    size_bytes = 0
    for entry in entries:
        page.append(entry_message(entry))
        size_bytes += len(entry.path) + len(entry.content) + _ENTRY_BYTES
        if size_bytes >= BATCH_BYTES:
            yield page
            page, size_bytes = [], 0
    if page:
        yield page
