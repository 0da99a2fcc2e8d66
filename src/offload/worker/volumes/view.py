"""One volume as one container sees it: a folder of this machine, filled once, and compared with what it was filled with.

A container that may write has the files as copies of its own, which file systems with shared blocks make without copying; one
that may not has further names of files that all containers share. So a view costs no mount that needs privileges, can be
changed under a running container, and works the same in every runtime that shows a folder.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from offload.wire.chunking import ChunkReader
from offload.wire.trees import Entry, Kind, is_below
from offload.wire.volume_requests import Change
from offload.worker.volumes.folder import Folder, Found, Scan, Stamp, TooManyError, stamp_of
from offload.worker.volumes.open_files import open_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from offload.wire.chunking import Readable
    from offload.worker.core.values import VolumeMount
    from offload.worker.ports import VolumeServer
    from offload.worker.volumes.files import FileCache

# A file that changes while it is read is read again; one that never rests is told of.
_READS = 3
_NAMED = 5  # of files in a message


class VolumeError(Exception):
    """A volume cannot be committed or reloaded; the message is one line for the user."""


class View:
    """A mount of one container. Its folder is the container's to change at any time."""

    def __init__(
        self,
        mount: VolumeMount,
        place: Path,
        server: VolumeServer,
        cache: FileCache,
        tell: Callable[[str], None],
    ) -> None:
        self.mount = mount
        self.place = place
        self._server = server
        self._cache = cache
        self._tell = tell
        self._known: dict[str, Entry] = {}  # what the container was given or has committed, by path
        self._stamps: dict[str, Stamp] = {}  # of those files
        self._told: set[str] = set()  # of paths that no volume takes
        self._folder: Folder | None = None
        self._lock = asyncio.Lock()

    async def fill(self) -> None:
        """Make the folder what the volume is now. Raises `WireError`, `OSError`."""
        self.place.mkdir(mode=0o755, parents=True)
        self._known = await self._read()
        async with self._cache.held([e for e in self._known.values() if e.kind is Kind.FILE]):
            folder = self._open()
            await asyncio.to_thread(self._make, folder, list(self._known.values()))
            folder.close()
            self._folder = None

    async def settle(self) -> None:
        """Take note of what the files look like, before the container can have changed one."""
        folder = self._open()
        if not self.mount.is_read_only:
            scan = await asyncio.to_thread(folder.scan)
            self._stamps = {path: found.stamp for path, found in scan.found.items()}

    async def commit(self, cause: str, *, is_asked: bool) -> None:
        """Publish what the container has changed. What is not asked for leaves out what is still being written.

        Raises `VolumeError`, `WireError`.
        """
        if self.mount.is_read_only:
            if is_asked:
                raise VolumeError(f"the volume at {self.mount.path} is mounted read-only")
            return
        async with self._lock:
            for attempt in range(_READS):
                restless = await self._commit(cause, is_asked=is_asked)
                if not restless or not is_asked:
                    return
                if attempt == _READS - 1:
                    raise VolumeError(
                        f"{self._named(restless)} changed while it was read: commit when it is finished"
                    )

    async def reload(self) -> None:
        """Take in what others have published; what the container has changed and not committed stays as it is.

        Raises `VolumeError`, `WireError`, `OSError`.
        """
        async with self._lock:
            now = await self._read()
            folder = self._open()
            scan = await asyncio.to_thread(folder.scan)
            busy = await asyncio.to_thread(self._open_paths, scan)
            if busy:
                raise VolumeError(
                    f"reload() while files are open would take them from under the program: close {self._named(busy)}"
                )
            own = set() if self.mount.is_read_only else self._changed(scan).keys()
            new = [e for path, e in now.items() if self._known.get(path) != e and path not in own]
            gone = [path for path in self._known if path not in now and path not in own]
            async with self._cache.held([e for e in new if e.kind is Kind.FILE]):
                await asyncio.to_thread(self._make, folder, new)
            await asyncio.to_thread(self._remove, folder, gone)
            self._note(folder, new)

    async def close(self) -> None:
        """Remove the folder; the container is gone. Idempotent.

        A commit under way ends before: it would take what is removed under it for what the container removed.
        """
        async with self._lock:
            if self._folder is not None:
                self._folder.close()
            await asyncio.to_thread(shutil.rmtree, self.place, ignore_errors=True)

    # --- what it is made of ---

    def _open(self) -> Folder:
        if self._folder is None:
            self._folder = Folder(self.place)
        return self._folder

    async def _read(self) -> dict[str, Entry]:
        _, entries = await self._server.tree(self.mount.volume_id, 0)
        above = self.mount.sub_path
        if not above:
            return {entry.path: entry for entry in entries or ()}
        return {
            entry.path[len(above) + 1 :]: entry._replace(path=entry.path[len(above) + 1 :])
            for entry in entries or ()
            if entry.path != above and is_below(entry.path, above)
        }

    def _make(self, folder: Folder, entries: Iterable[Entry]) -> None:
        # A folder before what is in it; and no link before the files, that none is written through one.
        for entry in sorted(entries, key=lambda entry: (entry.kind is Kind.SYMLINK, entry.path)):
            if entry.kind is Kind.DIRECTORY:
                # As its files, a folder that nobody writes to is open to everybody who sees it.
                shared = 0o555 if self.mount.is_read_only else 0
                folder.make_folder(entry.path, _folder_mode(entry) | shared)
            elif entry.kind is Kind.SYMLINK:
                folder.make_link(entry.path, entry.content)
            elif self.mount.is_read_only:
                folder.link_in(entry.path, self._cache.place(entry))
            else:
                source = os.open(self._cache.place(entry), os.O_RDONLY | os.O_CLOEXEC)
                try:
                    # Its owner, who may be the worker's own user, can always read it.
                    folder.copy_in(entry.path, source, entry.mode | 0o400, entry.mtime_ns)
                finally:
                    os.close(source)

    def _remove(self, folder: Folder, paths: Iterable[str]) -> None:
        for path in sorted(paths, key=lambda path: -path.count("/")):
            folder.remove(path)
            self._known.pop(path, None)
            self._stamps.pop(path, None)

    def _note(self, folder: Folder, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._known[entry.path] = entry
            stamp = folder.look(entry.path)
            if stamp is not None:
                self._stamps[entry.path] = stamp

    def _open_paths(self, scan: Scan) -> list[str]:
        by_inode = {found.stamp.inode: path for path, found in scan.found.items()}
        device = self.place.stat().st_dev
        return sorted(by_inode[n] for n in open_files(device, by_inode.keys(), only_writing=False))

    # --- what has changed ---

    async def _commit(self, cause: str, *, is_asked: bool) -> list[str]:
        """Publish what can be read; return the files that did not rest."""
        folder = self._open()
        try:
            scan = await asyncio.to_thread(folder.scan)
        except TooManyError as error:
            raise VolumeError(f"the volume at {self.mount.path}: {error}") from error
        self._tell_refused(scan.refused)
        changed = self._changed(scan)
        if not is_asked:
            for path in await asyncio.to_thread(self._half_written, changed):
                del changed[path]
        removed = [
            path
            for path in self._known
            if path not in scan.found and not any(is_below(path, bad) for bad in scan.refused)
        ]
        if not changed and not removed:
            return []
        reading = _Reading(folder, changed)
        entries = reading.chunks.entries(await self._server.upload(reading.chunks.next_batch))
        await self._server.commit(
            self.mount.volume_id,
            cause,
            [
                *(Change(kind="remove", path=self._outside(path)) for path in removed),
                *(Change(put=entry._replace(path=self._outside(entry.path))) for entry in entries),
            ],
        )
        for path in removed:
            self._known.pop(path, None)
            self._stamps.pop(path, None)
        for entry in entries:
            self._known[entry.path] = entry
            self._stamps[entry.path] = reading.stamps[entry.path]
        return reading.restless

    def _changed(self, scan: Scan) -> dict[str, Found]:
        return {
            path: found
            for path, found in scan.found.items()
            if self._differs(found, self._known.get(path), self._stamps.get(path))
        }

    def _differs(self, found: Found, known: Entry | None, stamp: Stamp | None) -> bool:
        if known is None or known.kind is not found.kind:
            return True
        if found.kind is Kind.DIRECTORY:
            return found.mode != _folder_mode(known)
        if found.kind is Kind.SYMLINK:
            return found.target != known.content
        return found.stamp != stamp

    def _half_written(self, changed: dict[str, Found]) -> list[str]:
        files = {f.stamp.inode: path for path, f in changed.items() if f.kind is Kind.FILE}
        if not files:
            return []
        device = self.place.stat().st_dev
        return [files[n] for n in open_files(device, files.keys(), only_writing=True)]

    def _outside(self, path: str) -> str:
        above = self.mount.sub_path
        return f"{above}/{path}" if above else path

    def _named(self, paths: list[str]) -> str:
        more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
        return ", ".join(f"{self.mount.path}/{path}" for path in paths[:_NAMED]) + more

    def _tell_refused(self, refused: dict[str, str]) -> None:
        for path, why in refused.items():
            if path not in self._told and len(self._told) < 100:
                self._told.add(path)
                self._tell(f"{self.mount.path}/{path} is not committed: {why}")


class _Reading:
    """Reads the files of one commit; what changes meanwhile is left out."""

    def __init__(self, folder: Folder, changed: dict[str, Found]) -> None:
        self.stamps: dict[str, Stamp] = {}
        self.restless: list[str] = []
        self._folder = folder
        self.chunks = ChunkReader(self._files(changed))

    def _files(self, changed: dict[str, Found]) -> Iterator[tuple[Entry, Readable | None]]:
        for path, found in sorted(changed.items()):
            entry = Entry(path, found.kind, found.mode, found.stamp.mtime_ns)
            self.stamps[path] = found.stamp
            if found.kind is not Kind.FILE:
                yield entry._replace(content=found.target), None
                continue
            try:
                with self._folder.opened(path) as descriptor:
                    before = self.stamps[path] = stamp_of(os.fstat(descriptor))
                    yield (
                        entry._replace(mtime_ns=before.mtime_ns),
                        FileIO(descriptor, closefd=False),
                    )
                    if stamp_of(os.fstat(descriptor)) != before:
                        self.chunks.drop_last()
                        self.restless.append(path)
            except OSError:
                self.restless.append(path)  # gone, or something else by now: the next commit sees


def _folder_mode(entry: Entry) -> int:
    return entry.mode | 0o700
