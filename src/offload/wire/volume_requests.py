"""The requests about volumes and their chunks that both the SDK and a worker make, over a link that is open.

Each fails with `LinkClosedError` where the link breaks, and may then be made again: chunks that have come are there, and a
commit is known by its id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from google.protobuf.message import Message

from offload.wire.gen import blobs_pb2, volumes_pb2
from offload.wire.limits import BATCH_BYTES, CHUNK_BYTES
from offload.wire.status import Status, WireError
from offload.wire.tree_messages import entry_message, read_entry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence

    from offload.wire.link import Link, Stream
    from offload.wire.trees import Entry

M = TypeVar("M", bound=Message)

# So many names fit into one message with room to spare.
MISSING_NAMES = 10_000
DOWNLOAD_NAMES = 2_000


class Change(NamedTuple):
    """One change of a tree: what is not empty says which. `kind` is "remove", "remove_tree", "copy" or "rename"."""

    put: Entry | None = None
    kind: str = ""
    path: str = ""
    target: str = ""


class Commit(NamedTuple):
    """Changes that are one version, or none."""

    volume_id: str
    commit_id: str
    cause: str
    changes: Sequence[Change]


class TreeRequest(NamedTuple):
    """What to read of a tree; 0 is the newest version."""

    volume_id: str
    version: int = 0
    unless_version: int = 0
    path: str = ""
    shallow: bool = False


class Snapshot(NamedTuple):
    """A version that can be read and restored."""

    version: int
    at: float
    cause: str
    files: int
    size_bytes: int


async def commit(link: Link, order: Commit) -> int:
    """Commit changes whose chunks have been uploaded; return the number of the newest version then."""
    stream = link.stream("offload.v1.Volumes/Commit", volumes_pb2.VolumeVersion)
    try:
        for page in _pages(order):
            await stream.send(page)
        await stream.end()
        return (await _only(stream)).version
    finally:
        stream.cancel()


async def read_tree(
    link: Link, request: TreeRequest
) -> AsyncGenerator[tuple[int, list[Entry]], None]:
    """Yield the number of the version, and its entries in the order of their paths, in pages."""
    stream = link.stream("offload.v1.Volumes/ReadTree", volumes_pb2.TreePage)
    try:
        await stream.send(
            volumes_pb2.ReadTreeRequest(
                volume_id=request.volume_id,
                version=request.version,
                unless_version=request.unless_version,
                path=request.path,
                shallow=request.shallow,
            )
        )
        await stream.end()
        async for page in stream:
            yield page.version, [read_entry(entry) for entry in page.entries]
    finally:
        stream.cancel()


async def snapshots(link: Link, volume_id: str, limit: int) -> list[Snapshot]:
    """Return the versions that are kept, newest first."""
    request = volumes_pb2.ListSnapshotsRequest(volume_id=volume_id, limit=limit)
    reply = await link.unary(
        "offload.v1.Volumes/ListSnapshots", request, volumes_pb2.ListSnapshotsReply
    )
    return [
        Snapshot(found.version, found.at, found.cause, found.files, found.size_bytes)
        for found in reply.snapshots
    ]


async def restore(link: Link, volume_id: str, version: int, commit_id: str) -> int:
    """Make an earlier version the newest; return the number it has then."""
    request = volumes_pb2.RestoreVolume(volume_id=volume_id, version=version, commit_id=commit_id)
    reply = await link.unary("offload.v1.Volumes/Restore", request, volumes_pb2.VolumeVersion)
    return reply.version


async def missing(link: Link, names: Sequence[str], machine: str = "") -> tuple[set[str], str]:
    """Return which of the blobs the server does not have, and the folder for packs that it has on this machine, if any.

    Those it has are safe for an hour.
    """
    found: set[str] = set()
    landing = ""
    for start in range(0, len(names), MISSING_NAMES):
        request = blobs_pb2.MissingRequest(
            sha256=names[start : start + MISSING_NAMES], machine=machine
        )
        reply = await link.unary("offload.v1.Blobs/Missing", request, blobs_pb2.MissingReply)
        found.update(reply.sha256)
        landing = reply.landing
    return found, landing


async def adopt(link: Link, pack: str, sizes: Sequence[int]) -> Sequence[str]:
    """Have the server keep the blobs of a pack in its landing folder; return their SHA-256s. All are on disk then."""
    request = blobs_pb2.AdoptRequest(pack=pack, size_bytes=sizes)
    reply = await link.unary("offload.v1.Blobs/Adopt", request, blobs_pb2.AdoptReply)
    return reply.sha256


async def upload_many(link: Link, blobs: Mapping[str, bytes | memoryview]) -> None:
    """Store blobs of at most a message each under their SHA-256s; all are on disk when this returns."""
    stream = link.stream("offload.v1.Blobs/UploadMany", blobs_pb2.UploadManyReply)
    page: list[bytes | memoryview] = []
    size_bytes = 0
    try:
        for sha256, data in blobs.items():
            page += (blob_head(sha256, len(data)), data)
            size_bytes += len(data) + 100
            if size_bytes >= CHUNK_BYTES:
                await stream.send_parts(page)
                page, size_bytes = [], 0
        if page:
            await stream.send_parts(page)
        await stream.end()
        await _only(stream)
    finally:
        stream.cancel()


def blob_head(sha256: str, size_bytes: int) -> bytes:
    """Return what stands before a blob's bytes among the `ManyBlobs.blobs`.

    Written here and not by the library, which would copy all bytes three times on their way into a frame.
    """
    inner = blobs_pb2.NamedBlob(sha256=sha256).SerializeToString() + b"\x12" + _varint(size_bytes)
    return b"\x0a" + _varint(len(inner) + size_bytes) + inner


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)


async def download_many(
    link: Link, names: Sequence[str]
) -> AsyncGenerator[tuple[str, bytes], None]:
    """Yield blobs with their names, in any order. Whoever gets them compares the SHA-256."""
    for start in range(0, len(names), DOWNLOAD_NAMES):
        stream = link.stream("offload.v1.Blobs/DownloadMany", blobs_pb2.ManyBlobs)
        try:
            wanted = names[start : start + DOWNLOAD_NAMES]
            await stream.send(blobs_pb2.DownloadManyRequest(sha256=wanted))
            await stream.end()
            parts: list[bytes] = []
            async for page in stream:
                for blob in page.blobs:
                    parts.append(blob.data)
                    if not blob.more:
                        yield blob.sha256, parts[0] if len(parts) == 1 else b"".join(parts)
                        parts = []
        finally:
            stream.cancel()


async def _only(stream: Stream[M]) -> M:
    reply = await stream.receive()
    if reply is None:
        raise WireError(Status.INTERNAL, "the server did not answer a commit or an upload")
    return reply


def _pages(order: Commit) -> Iterable[volumes_pb2.CommitVolume]:
    page = volumes_pb2.CommitVolume(
        volume_id=order.volume_id, commit_id=order.commit_id, cause=order.cause
    )
    size_bytes = 0
    for change in order.changes:
        size_bytes += _write(page.changes.add(), change) + 100
        if size_bytes >= BATCH_BYTES:
            yield page
            page, size_bytes = volumes_pb2.CommitVolume(), 0
    yield page


def _write(message: volumes_pb2.TreeChange, change: Change) -> int:
    if change.put is not None:
        message.put.CopyFrom(entry_message(change.put))
        return len(change.put.path) + len(change.put.content)
    if change.kind == "copy":
        message.copy.source, message.copy.target = change.path, change.target
    elif change.kind == "rename":
        message.rename.source, message.rename.target = change.path, change.target
    elif change.kind == "remove_tree":
        message.remove_tree = change.path
    else:
        message.remove = change.path
    return len(change.path) + len(change.target)
