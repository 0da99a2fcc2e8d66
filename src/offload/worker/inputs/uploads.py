"""Large values become blobs before the message that names them; per input, in order."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from offload.wire.status import WireError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import IO

    from offload.worker.inputs.spool import SpooledBody

# What a container may have on its way before it is not listened to any more.
_MAX_WAITING_BYTES = 256 * 1024 * 1024

T = TypeVar("T")


class Blob(NamedTuple):
    """Bytes that the server keeps."""

    sha256: str
    size_bytes: int


class Uploads:
    """The values that are on their way to the server."""

    def __init__(
        self,
        upload: Callable[[IO[bytes]], Awaitable[tuple[str, int]]],
        hold: Callable[[str, bool], None],
        commit_volumes: Callable[[str], Awaitable[str]] | None = None,
    ) -> None:
        self._upload = upload
        self._commit_volumes = commit_volumes
        self._hold = hold  # asks to stop (True) or go on (False) listening to a container
        self._lines: dict[str, deque[_Entry]] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._waiting_bytes: Counter[str] = Counter()  # by container

    def has(self, input_id: str) -> bool:
        """Whether something of the input is on its way, so that what follows must wait for it."""
        return input_id in self._lines

    def add(
        self,
        input_id: str,
        owner: str,
        body: SpooledBody | None,
        then: Callable[[Blob | None, str], None],
        *,
        commits: bool = False,
    ) -> None:
        """Store the body, after what is on its way for this input, and call `then(blob, why_not)`; `owner` is its container.

        Without a body `then(None, "")` is called in its turn. With `commits` the volumes of the container are committed first.
        """
        if body is not None:
            self._count(owner, body.size_bytes)
        # At once, not in its turn: by then the container may have ended, and what it wrote have gone with it.
        commit = self._start(self._commit(owner)) if commits else None
        entry = _Entry(owner, body, then, commit)
        line = self._lines.get(input_id)
        if line is not None:
            line.append(entry)
            return
        self._lines[input_id] = deque([entry])
        self._start(self._work(input_id))

    def _start(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self._tasks

    async def close(self) -> None:
        """Drop what is left. Idempotent."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def wait_done(self) -> None:
        """Return when nothing is on its way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _work(self, input_id: str) -> None:
        line = self._lines[input_id]
        try:
            while line:
                owner, body, then, commit = line[0]
                why_not = await commit if commit is not None else ""
                blob, why_not = await self._store(owner, body, why_not)
                line.popleft()
                then(blob, why_not)
        finally:
            for _, body, _, _ in line:
                if body is not None:
                    body.close()
            del self._lines[input_id]

    async def _commit(self, owner: str) -> str:
        return "" if self._commit_volumes is None else await self._commit_volumes(owner)

    async def _store(
        self, owner: str, body: SpooledBody | None, why_not: str
    ) -> tuple[Blob | None, str]:
        if body is None:
            return None, why_not
        size_bytes = body.size_bytes
        try:
            if why_not:
                return None, why_not
            if body.failure or body.file is None:
                return None, body.failure or "it was empty"
            body.file.seek(0)
            return Blob(*await self._upload(body.file)), ""
        except (WireError, OSError) as error:
            return None, str(error)
        finally:
            body.close()
            self._count(owner, -size_bytes)

    def _count(self, owner: str, size_bytes: int) -> None:
        self._waiting_bytes[owner] += size_bytes
        waiting = self._waiting_bytes[owner]
        if not waiting:
            del self._waiting_bytes[owner]
        self._hold(owner, waiting > _MAX_WAITING_BYTES)


class _Entry(NamedTuple):
    owner: str
    body: SpooledBody | None
    then: Callable[[Blob | None, str], None]
    commit: asyncio.Task[str] | None  # whose outcome is why it could not be done
