"""The service `Volumes`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from offload.control.core.trees import Changes, Moved
from offload.control.frontends.rpc.errors import invalid
from offload.wire.gen import volumes_pb2
from offload.wire.tree_messages import in_pages, read_entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offload.control.ports.volumes import Version
    from offload.control.services.assembly import Services
    from offload.wire.rpc import Handler, RequestContext
    from offload.wire.trees import Entry


class VolumesHandlers:
    """Translates for the services."""

    def __init__(self, services: Services) -> None:
        self._volumes = services.volumes

    def methods(self) -> dict[str, Handler]:
        """Return the handlers by full method name."""
        return {
            "offload.v1.Volumes/Commit": self.commit,
            "offload.v1.Volumes/ReadTree": self.read_tree,
            "offload.v1.Volumes/ListSnapshots": self.list_snapshots,
            "offload.v1.Volumes/Restore": self.restore,
        }

    async def commit(
        self, requests: AsyncIterator[volumes_pb2.CommitVolume], _context: RequestContext
    ) -> volumes_pb2.VolumeVersion:
        """See `Volumes.Commit`."""
        gathered = _Gathered()
        async for request in requests:
            gathered.add(request)
        version = await self._volumes.commit(
            gathered.volume_id, gathered.commit_id, gathered.cause, gathered.changes()
        )
        return _version(version)

    async def read_tree(
        self, request: volumes_pb2.ReadTreeRequest, _context: RequestContext
    ) -> AsyncIterator[volumes_pb2.TreePage]:
        """See `Volumes.ReadTree`."""
        newest = await self._volumes.newest(request.volume_id)
        version = request.version or newest
        yield volumes_pb2.TreePage(version=version)
        if version == request.unless_version:
            return
        pages = self._volumes.entries(
            request.volume_id, version, request.path, shallow=request.shallow
        )
        async for entries in pages:
            for page in in_pages(entries):
                yield volumes_pb2.TreePage(version=version, entries=page)

    async def list_snapshots(
        self, request: volumes_pb2.ListSnapshotsRequest, _context: RequestContext
    ) -> volumes_pb2.ListSnapshotsReply:
        """See `Volumes.ListSnapshots`."""
        found = await self._volumes.snapshots(request.volume_id, request.limit)
        return volumes_pb2.ListSnapshotsReply(
            snapshots=[
                volumes_pb2.VolumeSnapshot(
                    version=snapshot.version,
                    at=snapshot.at,
                    cause=snapshot.cause,
                    files=snapshot.files,
                    size_bytes=snapshot.size_bytes,
                )
                for snapshot in found
            ]
        )

    async def restore(
        self, request: volumes_pb2.RestoreVolume, _context: RequestContext
    ) -> volumes_pb2.VolumeVersion:
        """See `Volumes.Restore`."""
        return _version(
            await self._volumes.restore(request.volume_id, request.version, request.commit_id)
        )


@dataclass(slots=True)
class _Gathered:
    volume_id: str = ""
    commit_id: str = ""
    cause: str = ""
    puts: list[Entry] = field(default_factory=list)
    removes: list[str] = field(default_factory=list)
    remove_trees: list[str] = field(default_factory=list)
    copies: list[Moved] = field(default_factory=list)
    renames: list[Moved] = field(default_factory=list)

    def add(self, request: volumes_pb2.CommitVolume) -> None:
        self.volume_id = self.volume_id or request.volume_id
        self.commit_id = self.commit_id or request.commit_id
        self.cause = self.cause or request.cause[:200]
        for change in request.changes:
            match change.WhichOneof("change"):
                case "put":
                    try:
                        self.puts.append(read_entry(change.put))
                    except ValueError as error:
                        raise invalid(f"{change.put.path!r:.200} is of no known kind.") from error
                case "remove":
                    self.removes.append(change.remove)
                case "remove_tree":
                    self.remove_trees.append(change.remove_tree)
                case "copy":
                    self.copies.append(Moved(change.copy.source, change.copy.target))
                case "rename":
                    self.renames.append(Moved(change.rename.source, change.rename.target))
                case _:
                    raise invalid("A change of a volume must be one of put, remove, copy, rename.")

    def changes(self) -> Changes:
        return Changes(
            tuple(self.puts),
            tuple(self.removes),
            tuple(self.remove_trees),
            tuple(self.copies),
            tuple(self.renames),
        )


def _version(version: Version) -> volumes_pb2.VolumeVersion:
    return volumes_pb2.VolumeVersion(version=version.number, changed=version.is_new)
