"""Maps: many inputs of one function under one call.

Three parties take part. The *feeder*, a thread of its own, runs the user's iterators and pickles what they give,
until the window is full; they may be slow or endless. The *sender* on the background loop submits what has gathered
while its last message was under way, so that one slow item leaves at once and many quick ones share a message. The
*receiver* collects outcomes until the caller takes them; taking one makes room in the window.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Protocol

from offload.errors import OffloadError
from offload.sdk import serialize
from offload.sdk.client import Submission
from offload.sdk.identity import whoever_runs_this
from offload.sdk.ids import new_id
from offload.sdk.mapping import BATCH_INPUTS, Batcher, Window
from offload.sdk.session import current_client
from offload.wire.limits import BATCH_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from offload.sdk.call_options import CallOptions
    from offload.sdk.values import Ended

Arguments = tuple[tuple[object, ...], dict[str, object]]

# AddInputs requests under way at once: enough to hide a group commit, few enough to gather meanwhile.
_REQUESTS = 4

# How long the first message waits for company; a quick iterator of a few inputs is then sent and closed in one.
_FIRST_GATHER_SECONDS = 0.0005


class CallOpener(Protocol):
    """Knows the function that is mapped."""

    async def open_call(self, opening: Submission) -> str:
        """Open a call of it, which the submission need not name; return the call's id once it is on disk."""
        ...


class Feeder:
    """Runs the user's iterator in a thread and keeps what the sender has not taken yet."""

    def __init__(self, inputs: Iterator[Arguments]) -> None:
        self._inputs = inputs
        self._window = Window()
        self._room = threading.Condition()
        self._batcher = Batcher(BATCH_INPUTS, BATCH_BYTES)
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._told = False
        self._stopped = False
        self._exhausted = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="offload-map", daemon=True)

    def start(self) -> None:
        """Begin to run the iterator."""
        self._thread.start()

    def stop(self) -> None:
        """Take nothing more from the iterator. Idempotent."""
        with self._room:
            self._stopped = True
            self._room.notify()

    def release(self, index: int) -> None:
        """Make room: this input's result has reached the caller."""
        with self._room:
            was_full = not self._window.has_room
            self._window.release(index)
            if was_full:
                self._room.notify()

    async def next_batch(self) -> tuple[list[tuple[int, bytes]], bool]:
        """Return at least one input, where there is one left, and whether these are the last.

        Raises what the iterator raised, or why an input cannot be pickled.
        """
        while True:
            self._news.clear()
            self._told = False
            exhausted = self._exhausted  # read first: it is set after the last input was added
            batch = self._batcher.cut()
            if batch or exhausted:
                if exhausted and self._error is not None:
                    raise self._error
                return batch, exhausted and not len(self._batcher)
            await self._news.wait()

    def _run(self) -> None:
        try:
            for index, arguments in enumerate(self._inputs):
                data = serialize.dumps(arguments)
                if not self._take(index, len(data)):
                    return
                self._batcher.add(index, data)
                if not self._told:
                    self._told = True
                    self._loop.call_soon_threadsafe(self._news.set)
        except BaseException as error:  # noqa: BLE001  # the caller of the map gets it
            self._error = error
        finally:
            self._exhausted = True
            self._loop.call_soon_threadsafe(self._news.set)

    def _take(self, index: int, size_bytes: int) -> bool:
        with self._room:
            while not self._window.has_room and not self._stopped:
                self._room.wait()
            self._window.take(index, size_bytes)
            return not self._stopped


class MapCall:
    """One map under way. Used on the background loop, except `release`."""

    def __init__(self, function: CallOpener, options: CallOptions | None) -> None:
        is_shared = options is not None and options.idempotency_key is not None
        self.call_id = "" if is_shared else new_id("fc-")  # the server knows the call of a key
        self._function = function
        self._options = options
        self._feeder: Feeder | None = None
        self._arrived: list[Ended] = []
        self._news = asyncio.Event()
        self._receiving: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._is_complete = False

    def release(self, ended: Ended) -> None:
        """Make room for another input: this result has reached the caller."""
        if self._feeder is not None:
            self._feeder.release(ended.position)

    async def batches(self, inputs: Iterator[Arguments]) -> AsyncGenerator[list[Ended], None]:
        """Yield how the inputs ended, as they do. Leaving early cancels the rest."""
        sending = asyncio.get_running_loop().create_task(self._guard_sending(inputs))
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                arrived, self._arrived = self._arrived, []
                if arrived:
                    yield arrived
                elif self._error is not None:
                    raise self._error
                elif self._is_complete:
                    return
                if self._error is not None or self._is_complete:
                    self._news.set()
        finally:
            await self._leave(sending)

    async def submit_all(self, inputs: Iterator[Arguments]) -> str:
        """Submit every input for whoever asks later; return the call's id once all are on disk."""
        try:
            if not await self._send(inputs, attached=False):
                await self._open([], closed=True, attached=False)
        finally:
            if self._feeder is not None:
                self._feeder.stop()
        return self.call_id

    async def _guard_sending(self, inputs: Iterator[Arguments]) -> None:
        try:
            if not await self._send(inputs, attached=True):
                self._is_complete = True
                self._news.set()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  # the caller of the map gets it
            self._error = error
            self._news.set()

    async def _send(self, inputs: Iterator[Arguments], *, attached: bool) -> bool:
        """Send all inputs; return whether there was any."""
        feeder = self._feeder = Feeder(inputs)
        feeder.start()
        await asyncio.sleep(_FIRST_GATHER_SECONDS)
        batch, is_last = await feeder.next_batch()
        if not batch:
            return False
        await self._open(batch, closed=is_last, attached=attached)
        if attached:
            self._receiving = asyncio.get_running_loop().create_task(self._receive())
        else:
            _release_all(feeder, batch)
        if not is_last:
            await self._send_rest(feeder, attached=attached)
        return True

    async def _send_rest(self, feeder: Feeder, *, attached: bool) -> None:
        free = asyncio.Semaphore(_REQUESTS)
        requests: set[asyncio.Task[None]] = set()
        try:
            while True:
                await free.acquire()
                batch, is_last = await feeder.next_batch()
                if is_last:
                    break
                task = asyncio.get_running_loop().create_task(
                    self._add(feeder, batch, free, attached=attached)
                )
                requests.add(task)
            # The call is closed only when all before is on disk.
            await asyncio.gather(*requests)
        finally:
            for task in requests:
                task.cancel()
        await current_client().add_inputs(self.call_id, batch, close=True)

    async def _add(
        self,
        feeder: Feeder,
        batch: list[tuple[int, bytes]],
        free: asyncio.Semaphore,
        *,
        attached: bool,
    ) -> None:
        try:
            await current_client().add_inputs(self.call_id, batch, close=False)
        except OffloadError as error:
            self._error = error
            self._news.set()
            raise
        if not attached:
            _release_all(feeder, batch)
        free.release()

    async def _open(self, batch: list[tuple[int, bytes]], *, closed: bool, attached: bool) -> None:
        opening = Submission(
            self.call_id, "", "map", batch, closed=closed, attached=attached, options=self._options
        )
        self.call_id = await self._function.open_call(opening)

    async def _receive(self) -> None:
        try:
            async for ended in current_client().outcomes(self.call_id):
                self._arrived += ended
                self._news.set()
        except OffloadError as error:
            self._error = error
        self._is_complete = True
        self._news.set()

    async def _leave(self, sending: asyncio.Task[None]) -> None:
        if self._feeder is not None:
            self._feeder.stop()
        was_open = self._receiving is not None and not self._is_complete
        for task in (sending, self._receiving):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait({task})
        if was_open:
            # The caller is leaving; where the server cannot be told, the app's end cancels the call.
            with contextlib.suppress(OffloadError):
                reason = f"cancelled by {whoever_runs_this()}, who left the map early"
                await current_client().cancel(self.call_id, reason)


def _release_all(feeder: Feeder, batch: list[tuple[int, bytes]]) -> None:
    for index, _ in batch:
        feeder.release(index)
