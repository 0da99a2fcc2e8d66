"""Lines of output: numbered, written behind, and shown live before they are on disk."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.ids import split_input_id
from offload.control.core.model import ContainerState
from offload.control.ports.records import LogRow, SaveLogs
from offload.control.services.feeds import Follower, Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from offload.control.services.archive import Archive
    from offload.control.services.kernel import Kernel
    from offload.control.services.reading import Reading

# Lines shown but not written when a server dies have used numbers the store does not know. Whoever followed them asks for
# what comes after: so a restarted server goes on well beyond.
RESTART_GAP = 100_000

# How often it is looked whether the containers of a stopped app have ended: hardly any are waited for, and that not long.
_LOOK_SECONDS = 0.02


class Logs:
    """Takes lines from workers and gives them to whoever follows a call or an app."""

    def __init__(self, kernel: Kernel, reading: Reading, archive: Archive, last_seq: int) -> None:
        self._kernel = kernel
        self._reading = reading
        self._archive = archive
        self._last_seq = last_seq + RESTART_GAP if last_seq else 0
        self._unwritten: deque[LogRow] = deque()
        self._by_call: dict[str, Topic[LogRow]] = {}
        self._by_app: dict[str, Topic[LogRow]] = {}

    def take(self, lines: Sequence[LogRow]) -> None:
        """Give the lines numbers, show them, and write them behind."""
        rows = self._number(lines)
        if not rows:
            return
        self._unwritten.extend(rows)
        self._kernel.journal.write((SaveLogs(rows),))
        self._kernel.journal.after_commit(lambda: self._drop_written(rows[-1].seq))
        _publish(self._by_call, rows, lambda row: row.call_id)
        _publish(self._by_app, rows, lambda row: row.app_id)
        self._kernel.answer_later()

    def follow(
        self, call_id: str, app_id: str, after_seq: int, live: bool = True
    ) -> Follower[LogRow]:
        """Follow a call's lines or (with an empty call_id) an app's, by ids. Close the follower when done."""
        topics, key = (self._by_call, call_id) if call_id else (self._by_app, app_id)
        if live:
            for gone in [name for name, topic in topics.items() if not topic.is_followed]:
                del topics[gone]
            topic: Topic[LogRow] | None = topics.setdefault(key, Topic())
        else:
            topic = None

        async def read(after: int, limit: int) -> list[LogRow]:
            # Taken before the read: what is written meanwhile would otherwise be in neither.
            fresh = [
                row for row in self._unwritten if key == (row.call_id if call_id else row.app_id)
            ]
            rows = await self._reading.get(self._reading.store.logs, call_id, app_id, after, limit)
            if len(rows) < limit:
                last = rows[-1].seq if rows else after
                rows += [row for row in fresh if row.seq > last]
            return rows

        return Follower(topic, read, after_seq)

    async def resolve(self, call_id: str, app: str) -> tuple[str, str, bool]:
        """Return (call id, app id, whether more lines may come) for what a person named."""
        if call_id:
            if call_id in self._kernel.calls:
                return call_id, "", True
            await self._archive.require_call(call_id)
            return call_id, "", False
        stored = await self._reading.get(self._reading.store.app, app) if app else None
        if stored is None:
            raise DomainError(
                ErrorCode.NOT_FOUND,
                f"There is no app {app!r}: name a call or an app by id or name.",
            )
        return "", stored.app_id, not stored.stopped_at

    def end_call(self, call_id: str) -> None:
        """Say that the call is over."""
        topic = self._by_call.pop(call_id, None)
        if topic is not None:
            topic.end()

    def end_app(self, app_id: str, linger_seconds: float = 0.0) -> None:
        """Say that the app is stopped; up to so much later, where containers of it are still ending, and may print."""
        if linger_seconds > 0 and self._is_ending(app_id):
            left = linger_seconds - _LOOK_SECONDS
            asyncio.get_running_loop().call_later(_LOOK_SECONDS, self.end_app, app_id, left)
            return
        topic = self._by_app.pop(app_id, None)
        if topic is not None:
            topic.end()

    def _is_ending(self, app_id: str) -> bool:
        return any(
            view.function.app_id == app_id and view.state == ContainerState.STOPPING.value
            for view in self._kernel.dispatcher.containers()
        )

    def _number(self, lines: Sequence[LogRow]) -> tuple[LogRow, ...]:
        """Return the lines as they are kept. Everything else of the server waits meanwhile: what lines share is found once."""
        owners: dict[tuple[str, str, str, str], tuple[str, str, str]] = {}
        rows = []
        for seq, line in enumerate(lines, self._last_seq + 1):
            said = (line.input_id, line.call_id, line.app_id, line.function_name)
            owner = owners.get(said)
            if owner is None:
                owner = owners[said] = self._owner(*said)
            call_id, app_id, name = owner
            shared = (call_id, line.input_id, line.container_id, name)
            rows.append(LogRow(seq, line.at, app_id, *shared, line.stream, line.text))
        self._last_seq += len(rows)
        return tuple(rows)

    def _owner(
        self, input_id: str, call_id: str, app_id: str, function_name: str
    ) -> tuple[str, str, str]:
        """Return the call, the app and the function that a line belongs to, as far as anyone knows."""
        if input_id and not call_id:
            with contextlib.suppress(ValueError):
                call_id = split_input_id(input_id)[0]
        live = self._kernel.calls.get(call_id)
        if live is None or app_id:
            return call_id, app_id, function_name
        function = self._kernel.dispatcher.function(live.call.function_id)
        if function is None:
            return call_id, app_id, function_name
        return call_id, function.app_id, function.name

    def _drop_written(self, seq: int) -> None:
        while self._unwritten and self._unwritten[0].seq <= seq:
            self._unwritten.popleft()


def _publish(
    topics: dict[str, Topic[LogRow]], rows: Sequence[LogRow], key: Callable[[LogRow], str]
) -> None:
    if not topics:
        return
    for name, topic in topics.items():
        mine = [row for row in rows if key(row) == name]
        if mine:
            topic.publish(mine)
