"""The session: one link to the server, made again whenever it breaks, with nothing lost in between."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

from offload.wire.gen import workers_pb2
from offload.wire.link import connect
from offload.wire.status import LinkClosedError, Status, UntrustedServerError, WireError
from offload.worker.core.values import Held
from offload.worker.link import blobs
from offload.worker.link.backoff import Backoff
from offload.worker.link.outbox import Outbox
from offload.worker.link.translate import read_orders, write_hello, write_line, write_report

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

    from offload.wire.link import Link, Stream
    from offload.worker.core.values import Line, Orders, Report, WorkerFacts

_log = logging.getLogger(__name__)

# Until the server has said what it wants.
_DEFAULT_HEARTBEAT_SECONDS = 3.0

_METHOD = "offload.v1.Workers/Session"

# What trying again cannot mend.
_REFUSALS = {Status.UNAUTHENTICATED, Status.PERMISSION_DENIED, Status.FAILED_PRECONDITION}


class RefusedError(Exception):
    """Server and worker will not have each other; the message is one line that says why."""


class Dial(Protocol):
    """Opens a link; see `offload.wire.link.connect`."""

    async def __call__(self, url: str, token: str, *, tls: ssl.SSLContext | None = None) -> Link:
        """Return the open link."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Where the server is and who we are."""

    url: str  # "ws://host:port/link", or "wss://…"
    token: str
    facts: WorkerFacts
    tls: ssl.SSLContext | None = None
    give_up_after_seconds: float = 0.0  # without a server for so long the session ends; 0: never


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom the session tells what happens."""

    holds: Callable[[], tuple[list[Held], list[Report]]]  # what the worker has, for Hello
    on_joined: Callable[[], None]
    on_orders: Callable[[Orders], None]
    on_congested: Callable[[bool], None]
    monotonic: Callable[[], float]
    unix: Callable[[], float]
    dial: Dial = connect


class Session:
    """Everything between this worker and its server. See `offload.worker.inputs.Uplink`."""

    def __init__(self, options: SessionOptions, listener: Listener) -> None:
        self._options = options
        self._listener = listener
        self._wake = asyncio.Event()
        self._outbox = Outbox(self._send_soon, listener.on_congested)
        self._loop = asyncio.get_running_loop()
        self._is_sending_soon = False
        self._is_beat_due = False
        self._is_writer_idle = False  # it waits to be woken, and has sent all it has taken
        self._link: Link | None = None
        self._has_link = asyncio.Event()
        self._is_welcome = asyncio.Event()  # over the link that is open
        self._heartbeat_seconds = _DEFAULT_HEARTBEAT_SECONDS
        self._has_joined = False
        self._was_welcome = False
        self._is_empty = asyncio.Event()
        self._stream: Stream[workers_pb2.ServerMessage] | None = None
        self._is_draining = False
        self._is_over = False
        self.gathering = self._outbox.gathering

    # --- what the worker says ---

    def report(self, report: Report) -> None:
        """Send what became of a container."""
        reason_bytes = len(report.failure.reason) if report.failure else 0
        write_report(self.gathering(128 + reason_bytes).containers.add(), report)

    def log(self, line: Line) -> None:
        """Send a line of output."""
        message = self.gathering(160 + len(line.text))
        write_line(message.logs.add(), line, self._listener.unix())

    def say_draining(self) -> None:
        """Tell the server that this worker is leaving."""
        self._is_draining = True
        self.gathering(16).draining = True

    async def say_goodbye(self) -> None:
        """Tell the server that nothing more comes; `run` returns once it has answered."""
        self._is_over = True
        if self._stream is not None:
            with contextlib.suppress(WireError):
                await self._stream.end()

    def send_now(self) -> None:
        """Send what has been gathered, in this very callback, as far as nothing makes it wait."""
        while self._is_writer_idle and self._stream is not None and self._stream.can_send:
            message = self._outbox.take()
            if message is None:
                break
            self._stream.send_now(message)
        if not self._outbox.is_sent:
            self._wake.set()
        elif self._outbox.is_empty:
            self._is_empty.set()

    async def upload(self, file: IO[bytes]) -> tuple[str, int]:
        """Store a file on the server. See `blobs.upload`."""
        return await blobs.upload(self, file)

    def download(self, sha256: str) -> AsyncIterator[bytes]:
        """Yield a blob's bytes. See `blobs.download`."""
        return blobs.download(self, sha256)

    async def link(self) -> Link:
        """Return the open link; wait while there is none."""
        while self._link is None or self._link.is_closed:
            await self._has_link.wait()
            if self._link is None or self._link.is_closed:
                self._has_link.clear()
        return self._link

    async def welcoming_link(self) -> Link:
        """Return the open link once the server has welcomed this worker over it; wait while there is none."""
        while True:
            await self._is_welcome.wait()
            if self._link is not None and not self._link.is_closed:
                return self._link
            self._is_welcome.clear()

    @property
    def is_open(self) -> bool:
        """Whether the server can be told anything now."""
        return self._stream is not None

    @property
    def owes_outcomes(self) -> bool:
        """Whether inputs have ended here of which the server may not know."""
        return bool(self._outbox.unrecorded())

    async def wait_recorded(self) -> None:
        """Return when everything said is on the server's disk."""
        while not self._outbox.is_empty:
            self._is_empty.clear()
            await self._is_empty.wait()

    # --- keeping it ---

    async def run(self) -> None:
        """Keep the session until cancelled, or until there was no server for too long. Raises `RefusedError`."""
        backoff = Backoff()
        lost_at = self._listener.monotonic()
        told = ""
        while True:
            self._has_joined = False
            try:
                await self._join(await self._dial())
            except WireError as error:
                if error.status in _REFUSALS:
                    raise RefusedError(self._refused(error)) from error
                if self._has_joined or error.message != told:
                    _log.warning("server_lost, trying again: %s", error.message)
                told = error.message
            finally:
                self._has_link.clear()
            now = self._listener.monotonic()
            if self._has_joined:
                backoff, lost_at = Backoff(), now
            if self._is_over or 0 < self._options.give_up_after_seconds <= now - lost_at:
                return
            await asyncio.sleep(backoff.next_seconds())

    async def _dial(self) -> Link:
        options = self._options
        try:
            return await self._listener.dial(options.url, options.token, tls=options.tls)
        except UntrustedServerError as error:
            if self._was_welcome:
                raise
            raise RefusedError(error.message) from error
        except WireError as error:
            # What was right once, somebody may be about to put right again: a token, a release on either side.
            if self._was_welcome and error.status in _REFUSALS:
                raise LinkClosedError(self._refused(error)) from error
            raise

    def _refused(self, error: WireError) -> str:
        return f"the server at {self._options.url} refused this worker: {error.message}"

    async def _join(self, link: Link) -> None:
        try:
            stream = link.stream(_METHOD, workers_pb2.ServerMessage)
            await stream.send(self._hello())
            self._link, self._stream = link, stream
            self._has_link.set()
            writer = asyncio.create_task(self._write(stream))
            heartbeat = asyncio.create_task(self._beat())
            # Whichever of the two ends first ends the other.
            writer.add_done_callback(lambda _: stream.cancel())
            try:
                await self._read(stream)
            finally:
                heartbeat.cancel()
                writer.cancel()
                with contextlib.suppress(asyncio.CancelledError, WireError):
                    await writer
        finally:
            self._link = self._stream = None
            self._is_welcome.clear()
            await link.close()

    def _hello(self) -> workers_pb2.WorkerMessage:
        held, reports = self._listener.holds()
        self._outbox.start_over()
        known = {entry.input_id for entry in held}
        # An end that the server may not have heard of is still ours to tell: it must not be run again meanwhile.
        held += [
            Held(input_id, attempt, "")
            for input_id, attempt in self._outbox.unrecorded()
            if input_id not in known
        ]
        message = workers_pb2.WorkerMessage(seq=self._outbox.next_seq())
        message.draining = self._is_draining
        write_hello(message.hello, self._options.facts, held, reports)
        return message

    async def _read(self, stream: Stream[workers_pb2.ServerMessage]) -> None:
        stream.intercept(self._hear)
        async for message in stream:
            self._hear(message)

    def _hear(self, message: workers_pb2.ServerMessage) -> bool:
        if message.recorded_seq:
            self._outbox.recorded(message.recorded_seq)
            if self._outbox.is_empty:
                self._is_empty.set()
        if message.HasField("welcome"):
            self._has_joined = self._was_welcome = True
            self._is_welcome.set()
            self._heartbeat_seconds = message.welcome.heartbeat_seconds or self._heartbeat_seconds
            self._listener.on_joined()
        self._listener.on_orders(read_orders(message))
        return True

    async def _beat(self) -> None:
        # One clock for the session: a timer per message costs more than the message.
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            self._is_beat_due = True
            self._wake.set()

    def _send_soon(self) -> None:
        # What else comes in this turn of the loop goes in the same message.
        if not self._is_sending_soon:
            self._is_sending_soon = True
            self._loop.call_soon(self._send_gathered)

    def _send_gathered(self) -> None:
        self._is_sending_soon = False
        self.send_now()

    async def _write(self, stream: Stream[workers_pb2.ServerMessage]) -> None:
        """Send what could not be sent at once, and a sign of life where one is due."""
        outbox = self._outbox
        while True:
            message = outbox.take()
            if message is None and self._is_beat_due:
                message = workers_pb2.WorkerMessage(seq=outbox.next_seq())
            self._is_beat_due = False
            if message is not None:
                await stream.send(message)
                if outbox.is_empty:
                    self._is_empty.set()
                continue
            self._wake.clear()
            self._is_writer_idle = True
            try:
                await self._wake.wait()
            finally:
                self._is_writer_idle = False
