"""Volumes: trees of files that functions share, and that programs anywhere read and write."""

from __future__ import annotations

from contextlib import aclosing
from datetime import datetime
from typing import IO, TYPE_CHECKING, NamedTuple

from offload.errors import InvalidError, NotFoundError
from offload.sdk.blocking import StreamWork, Work, blocking, blocking_stream, run, run_aio
from offload.sdk.objects import NamedObject
from offload.sdk.option_checks import check_whole
from offload.sdk.session import current_client
from offload.sdk.volume_files import sources_of_directory, sources_of_file, volume_path
from offload.sdk.volume_moves import gather, store
from offload.wire import guest
from offload.wire.inside import COMMIT_MOUNT, RELOAD_MOUNT
from offload.wire.trees import Entry, Kind
from offload.wire.volume_requests import Change, TreeRequest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
    from os import PathLike
    from types import TracebackType
    from typing import Self, TypeVar

    from offload.sdk.blocking import Blocking
    from offload.sdk.object_reference import Reference
    from offload.sdk.volume_files import Source
    from offload.wire.volume_requests import Snapshot

    T = TypeVar("T")
    LocalFile = str | PathLike[str] | IO[bytes]

_TYPES = {Kind.FILE: "file", Kind.DIRECTORY: "directory", Kind.SYMLINK: "symlink"}


class FileEntry(NamedTuple):
    """What stands under a path of a volume."""

    path: str  # relative to the volume
    type: str  # "file", "directory" or "symlink"
    size: int  # bytes
    mtime: float  # Unix seconds
    mode: int
    target: str = ""  # where a symlink leads


class VolumeSnapshot(NamedTuple):
    """A version of a volume that can be restored."""

    id: int
    created_at: float  # Unix seconds
    cause: str  # what made it, for people
    files: int
    size: int  # bytes of all files together

    def __str__(self) -> str:
        made = datetime.fromtimestamp(self.created_at).astimezone().isoformat(" ", "seconds")
        return f"{self.id} of {made} by {self.cause}: {self.files} files, {self.size} bytes"


class _Rename:
    """`Volume.rename(old, new)` renames a volume, `volume.rename(old, new)` a file or folder in it."""

    def __get__(self, instance: Volume | None, owner: type[Volume]) -> Blocking[[str, str], None]:
        if instance is None:
            return super(Volume, owner).rename
        return instance.rename_file


class Volume(NamedObject):
    """A tree of files: mounted in containers with `volumes={"/data": volume}`, read and written from anywhere.

    A container sees the files as they were when it started. What it writes is published by `commit`, and by itself in the
    background, after each input and at its end; others see it when they start after that, or `reload`. The last writer of
    a file wins, and no reader ever sees half a file.
    """

    kind = "volume"

    def read_only(self) -> Self:
        """Return this volume for mounting where containers cannot write to it: nothing has to be copied for them."""
        return self._with(is_read_only=True)

    def sub_path(self, path: str) -> Self:
        """Return this volume for mounting of one folder alone, which need not be there yet."""
        inside = volume_path(path)
        above = self.mounted_path
        return self._with(mounted_path=f"{above}/{inside}" if above and inside else above or inside)

    @blocking
    def commit(self) -> Work[None, None]:
        """Publish now what this container has written to the volume, all of it as one version."""
        return Work(self._ask_worker(COMMIT_MOUNT, "commit"), lambda _: None)

    @blocking
    def reload(self) -> Work[None, None]:
        """Have this container see what others have published; refused with a list while files of the volume are open.

        What this container has written and not committed stays as it is.
        """
        return Work(self._ask_worker(RELOAD_MOUNT, "reload"), lambda _: None)

    @blocking
    def put_file(
        self, local_file: LocalFile, remote_path: str, *, force: bool = True
    ) -> Work[int, None]:
        """Store a file of this machine, or an open binary one, as one commit; without `force` only where nothing is."""
        sources = sources_of_file(local_file, remote_path)
        return Work(store(self, sources, "put_file", force=force), lambda _: None)

    @blocking
    def put_directory(
        self, local_path: str | PathLike[str], remote_path: str = "/", *, force: bool = True
    ) -> Work[int, None]:
        """Store a folder of this machine with all that is in it, as one commit; without `force` only where nothing is."""
        sources = sources_of_directory(local_path, remote_path)
        return Work(store(self, sources, "put_directory", force=force), lambda _: None)

    def batch_upload(self, *, force: bool = False) -> BatchUpload:
        """Return a context that gathers files, and stores all of them as one commit at its end."""
        return BatchUpload(self, force=force)

    @blocking_stream
    def read_file(self, path: str) -> StreamWork[bytes, bytes]:
        """Yield the bytes of a file, piece by piece, as they were when this began."""
        wanted = volume_path(path, allow_root=False)
        return StreamWork(lambda _: self._read(wanted), lambda pieces: pieces)

    @blocking_stream
    def iterdir(self, path: str = "/", *, recursive: bool = True) -> StreamWork[Entry, FileEntry]:
        """Yield what stands in a folder, by path; a file's path yields the file."""
        wanted = volume_path(path)
        return StreamWork(
            lambda _: self._list(wanted, shallow=not recursive), lambda found: map(_entry, found)
        )

    @blocking
    def listdir(
        self, path: str = "/", *, recursive: bool = False
    ) -> Work[list[Entry], list[FileEntry]]:
        """Return what stands in a folder, by path; a file's path gives the file."""
        listing = self._list(volume_path(path), shallow=not recursive)
        return Work(gather(listing), lambda found: [_entry(entry) for entry in found])

    @blocking
    def remove_file(self, path: str, *, recursive: bool = False) -> Work[None, None]:
        """Remove a file, or with `recursive` a folder with all that is in it."""
        wanted = volume_path(path, allow_root=False)
        return Work(self._remove(wanted, recursive=recursive), lambda _: None)

    @blocking
    def copy_files(self, source_paths: Sequence[str], destination_path: str) -> Work[int, None]:
        """Copy files and folders within the volume, as one commit that moves no bytes.

        The destination is a folder where it ends in "/", is one already, or takes more than one source.
        """
        if isinstance(source_paths, str):
            raise InvalidError(
                f"copy_files() takes a list of paths: copy_files([{source_paths!r}], …)"
            )
        sources = [volume_path(path, allow_root=False) for path in source_paths]
        return Work(self._move("copy", sources, destination_path), lambda _: None)

    rename = _Rename()  # type: ignore[assignment]  # see there

    @blocking
    def rename_file(self, path: str, new_path: str) -> Work[int, None]:
        """Give a file or a folder within the volume another path."""
        source = volume_path(path, allow_root=False)
        return Work(self._move("rename", [source], new_path), lambda _: None)

    @blocking
    def snapshots(self, *, limit: int = 100) -> Work[list[Snapshot], list[VolumeSnapshot]]:
        """Return the versions that can be restored, newest first: one for each commit that changed something."""
        check_whole("limit", limit, 1, 1_000)
        return Work(
            self._with_id(lambda volume_id: current_client().volumes.snapshots(volume_id, limit)),
            lambda found: [VolumeSnapshot(*snapshot) for snapshot in found],
        )

    @blocking
    def restore(self, snapshot: int | VolumeSnapshot) -> Work[int, int]:
        """Make the volume what it was at a snapshot, as a new version; return that version's id."""
        version = snapshot.id if isinstance(snapshot, VolumeSnapshot) else snapshot
        check_whole("snapshot", version, 1, 1 << 62)
        return Work(
            self._with_id(lambda volume_id: current_client().volumes.restore(volume_id, version)),
            lambda made: made,
        )

    async def find(self) -> str:
        """See `VolumeChoice`."""
        return await self._reference.object_id()

    def __getstate__(self) -> dict[str, object]:
        return {
            **super().__getstate__(),
            "is_read_only": self.is_read_only,
            "mounted_path": self.mounted_path,
        }

    def __setstate__(self, state: dict[str, Reference]) -> None:
        super().__setstate__(state)
        self.is_read_only = bool(state.get("is_read_only"))
        self.mounted_path = str(state.get("mounted_path") or "")

    def _take(self, reference: Reference) -> None:
        super()._take(reference)
        self.is_read_only = False
        self.mounted_path = ""  # the folder of the volume that a mount shows

    def _with(self, *, is_read_only: bool | None = None, mounted_path: str | None = None) -> Self:
        changed = self._of(self._reference)
        changed.is_read_only = self.is_read_only if is_read_only is None else is_read_only
        changed.mounted_path = self.mounted_path if mounted_path is None else mounted_path
        return changed

    async def _ask_worker(self, method: str, name: str) -> None:
        if guest.find_platform is None:
            raise InvalidError(
                f"{name}() is for code in a container that has the volume mounted; out here every change is committed "
                "as it is made, and every read sees the newest version"
            )
        await current_client().volumes.ask_worker(method, await self._reference.object_id())

    async def _with_id(self, ask: Callable[[str], Coroutine[object, object, T]]) -> T:
        return await ask(await self._reference.object_id())

    async def _read(self, path: str) -> AsyncGenerator[list[bytes], None]:
        entry = await self._entry_at(path)
        if entry.kind is not Kind.FILE:
            raise InvalidError(f"{path!r} is a {_TYPES[entry.kind]}, not a file")
        async with aclosing(current_client().volumes.contents(entry.chunks)) as pieces:
            async for piece in pieces:
                yield [piece]

    async def _entry_at(self, path: str) -> Entry:
        volume_id = await self._reference.object_id()
        request = TreeRequest(volume_id, path=path)
        async with aclosing(current_client().volumes.entries(request)) as pages:
            async for page in pages:
                if page[0].path == path:
                    return page[0]
                break
        raise NotFoundError(
            f"there is no {path!r} in volume {self._reference.label}: listdir() and `offload volume ls` show what is"
        )

    async def _list(self, path: str, *, shallow: bool) -> AsyncGenerator[list[Entry], None]:
        if path:
            entry = await self._entry_at(path)
            if entry.kind is not Kind.DIRECTORY:
                yield [entry]
                return
        volume_id = await self._reference.object_id()
        request = TreeRequest(volume_id, path=path, shallow=shallow)
        async with aclosing(current_client().volumes.entries(request)) as pages:
            async for page in pages:
                found = [entry for entry in page if entry.path != path]
                if found:
                    yield found

    async def _remove(self, path: str, *, recursive: bool) -> None:
        entry = await self._entry_at(path)
        if entry.kind is Kind.DIRECTORY and not recursive:
            raise InvalidError(
                f"{path!r} is a folder: write recursive=True (on the command line: --recursive) to remove all of it"
            )
        change = Change(kind="remove_tree", path=path)
        volume_id = await self._reference.object_id()
        await current_client().volumes.commit(volume_id, "remove_file", [change])

    async def _move(self, kind: str, sources: list[str], destination: str) -> int:
        target = volume_path(destination)
        into = destination.endswith("/") or not target or len(sources) > 1
        if not into:
            try:
                into = (await self._entry_at(target)).kind is Kind.DIRECTORY
            except NotFoundError:
                into = False
        above = f"{target}/" if target else ""
        changes = [
            Change(
                kind=kind,
                path=source,
                target=f"{above}{source.rpartition('/')[2]}" if into else target,
            )
            for source in sources
        ]
        volume_id = await self._reference.object_id()
        cause = "copy_files" if kind == "copy" else "rename_file"
        return await current_client().volumes.commit(volume_id, cause, changes)


class BatchUpload:
    """Gathers what is to be stored; at the end of its `with` block all of it is, as one commit, or after an error nothing."""

    def __init__(self, volume: Volume, *, force: bool) -> None:
        self._volume = volume
        self._force = force
        self._sources: list[Source] = []

    def put_file(self, local_file: LocalFile, remote_path: str) -> None:
        """Have a file of this machine, or an open binary one, stored under this path."""
        self._sources += sources_of_file(local_file, remote_path)

    def put_directory(self, local_path: str | PathLike[str], remote_path: str = "/") -> None:
        """Have a folder of this machine stored with all that is in it now."""
        self._sources += sources_of_directory(local_path, remote_path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            run(self._store())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            await run_aio(self._store())

    async def _store(self) -> None:
        await store(self._volume, self._sources, "batch_upload", force=self._force)


def _entry(entry: Entry) -> FileEntry:
    target = entry.target if entry.kind is Kind.SYMLINK else ""
    mtime = entry.mtime_ns / 1e9
    return FileEntry(entry.path, _TYPES[entry.kind], entry.size_bytes, mtime, entry.mode, target)
