"""All volumes that containers of this worker see."""

from __future__ import annotations

import asyncio
import logging
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from offload.wire.chunking import Batch
from offload.wire.status import WireError
from offload.worker.ports import ContainerStartError, VolumeBind
from offload.worker.volumes.files import FileCache
from offload.worker.volumes.view import View, VolumeError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from offload.worker.core.values import VolumeMount
    from offload.worker.ports import VolumeServer

# How often what a container has written is published while it runs. A guess: looking at 10,000 files takes 60 ms.
BACKGROUND_SECONDS = 30.0

_log = logging.getLogger(__name__)


class Volumes:
    """Makes the views of containers below one directory. What an earlier worker left there is removed."""

    def __init__(
        self,
        directory: Path,
        cache_bytes: int,
        server: VolumeServer,
        background_seconds: float = BACKGROUND_SECONDS,
    ) -> None:
        self._views = directory / "views"
        shutil.rmtree(self._views, ignore_errors=True)
        # What is below is for containers' own users, who see no more than what is shown to them.
        self._views.mkdir(mode=0o711, parents=True)
        for path in (directory, self._views):
            path.chmod(0o711)
        self._server = server
        self._cache = FileCache(directory / "files", cache_bytes, server)
        self._background_seconds = background_seconds
        self._mounts: dict[str, Mounts] = {}

    async def mount(
        self, container_id: str, mounts: Sequence[VolumeMount], tell: Callable[[str], None]
    ) -> Mounts:
        """Fill the folders of a container that is about to start.

        Raises `VolumeError` for what cannot be mounted, and `ContainerStartError` where it cannot be had.
        """
        place = self._views / container_id
        views = [
            View(mount, place / str(number), self._server, self._cache, tell)
            for number, mount in enumerate(mounts)
        ]
        made = Mounts(container_id, views, self._background_seconds, self._forget)
        try:
            place.mkdir(mode=0o711)
            for view in views:
                await view.fill()
        except (WireError, OSError) as error:
            await made.close(commits=False)
            reason = error.message if isinstance(error, WireError) else str(error)
            raise ContainerStartError(f"its volumes could not be brought here: {reason}") from error
        except BaseException:
            await made.close(commits=False)
            raise
        self._mounts[container_id] = made
        return made

    async def commit(self, container_id: str, volume_id: str) -> None:
        """Publish what a container has changed in a volume, because its user code asks. Raises `VolumeError`."""
        await self._of(container_id).commit(volume_id)

    async def reload(self, container_id: str, volume_id: str) -> None:
        """Have a container see what others have published, because its user code asks. Raises `VolumeError`."""
        await self._of(container_id).reload(volume_id)

    async def commit_all_of(self, container_id: str) -> str:
        """Publish what a container has changed in its volumes; return why that could not be done."""
        mounts = self._mounts.get(container_id)
        try:
            if mounts is not None:
                await mounts.commit_all()
        except VolumeError as error:
            return f"its volumes could not be committed: {error}"
        return ""

    async def give_chunk(self, sha256: str) -> bool:
        """Give the server a chunk of a volume that it has lost; return whether it is here. Raises `WireError`."""
        data = await asyncio.to_thread(self._cache.chunk, bytes.fromhex(sha256))
        if data is not None:
            batches = [Batch(memoryview(b""), []), Batch(memoryview(data), [len(data)])]
            await self._server.upload(batches.pop)
        return data is not None

    def _of(self, container_id: str) -> Mounts:
        return self._mounts.get(container_id) or Mounts(container_id, [], 0.0, lambda _: None)

    def _forget(self, container_id: str) -> None:
        self._mounts.pop(container_id, None)
        with suppress(OSError):
            (self._views / container_id).rmdir()


class Mounts:
    """The volumes of one container, from before its start until it is gone."""

    def __init__(
        self,
        container_id: str,
        views: list[View],
        background_seconds: float,
        forget: Callable[[str], None],
    ) -> None:
        self._container_id = container_id
        self._views = views
        self._background_seconds = background_seconds
        self._forget = forget
        self._background: asyncio.Task[None] | None = None

    @property
    def binds(self) -> tuple[VolumeBind, ...]:
        """What a runtime is to show."""
        return tuple(
            VolumeBind(str(view.place), view.mount.path, view.mount.is_read_only)
            for view in self._views
        )

    @property
    def are_writable(self) -> bool:
        """Whether the container can have something to commit."""
        return any(not view.mount.is_read_only for view in self._views)

    async def settle(self) -> None:
        """Take note of what is there; call it when the container is there and before it may run user code."""
        for view in self._views:
            await view.settle()
        if self.are_writable:
            loop = asyncio.get_running_loop()
            self._background = loop.create_task(
                self._commit_now_and_then(), name=f"volumes of {self._container_id}"
            )

    async def commit(self, volume_id: str) -> None:
        """See `Volumes.commit`."""
        for view in self._of(volume_id):
            await _explained(view.commit(self._cause, is_asked=True))

    async def reload(self, volume_id: str) -> None:
        """See `Volumes.reload`."""
        for view in self._of(volume_id):
            await _explained(view.reload())

    async def commit_all(self) -> None:
        """Publish what has changed, but what is still being written. Raises `VolumeError`."""
        for view in self._views:
            await _explained(view.commit(self._cause, is_asked=False))

    async def close(self, *, commits: bool) -> str:
        """Remove the folders of a container that is gone; publish before what it has left. Returns why it could not be."""
        if self._background is not None:
            self._background.cancel()
            await asyncio.gather(self._background, return_exceptions=True)
        why_not = ""
        try:
            if commits:
                await self.commit_all()
        except VolumeError as error:
            why_not = str(error)
        except asyncio.CancelledError:
            # Its worker leaves. Another commit may be under way, so the folders stay until the next worker removes them.
            _log.warning("last_commit_given_up %s", self._container_id)
            raise
        for view in self._views:
            await view.close()
        self._forget(self._container_id)
        return why_not

    @property
    def _cause(self) -> str:
        return f"container {self._container_id}"

    def _of(self, volume_id: str) -> list[View]:
        views = [view for view in self._views if view.mount.volume_id == volume_id]
        if not views:
            raise VolumeError(
                'this volume is not mounted in this container: add volumes={"/data": volume} to the function'
            )
        return views

    async def _commit_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._background_seconds)
            try:
                await self.commit_all()
            except VolumeError as error:
                _log.warning("background_commit_failed %s %s", self._container_id, error)


async def _explained(work: Coroutine[object, object, None]) -> None:
    try:
        await work
    except WireError as error:
        raise VolumeError(error.message) from error
    except OSError as error:
        raise VolumeError(f"its worker could not do it: {error.strerror or error}") from error
