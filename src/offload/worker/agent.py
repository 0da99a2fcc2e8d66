"""The agent: introduces the worker's parts to one another and obeys the server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from offload.wire.link import connect
from offload.worker.cache import BlobCache
from offload.worker.copies import Copies
from offload.worker.core.hands import INTERRUPT_GRACE_SECONDS
from offload.worker.core.output import USUAL_OUTPUT, OutputLimits
from offload.worker.core.templates import TemplatePolicy
from offload.worker.inputs import Desk, DeskOptions
from offload.worker.link import (
    ConsoleLink,
    Dial,
    PlatformLink,
    SecretLink,
    Session,
    SessionOptions,
    VolumeLink,
)
from offload.worker.link import Listener as SessionListener
from offload.worker.supervisor import (
    Supervisor,
    SupervisorOptions,
    Templates,
    TemplatesOptions,
)
from offload.worker.volumes import Volumes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from offload.wire import guest
    from offload.worker.core.attribution import Ending
    from offload.worker.core.values import Content, Function, Held, Line, Orders, Report
    from offload.worker.ports import ImageBuilder, OpenBlob, Runtime
    from offload.worker.supervisor.life import Life

# How often a busy worker looks for what has taken too long.
TICK_SECONDS = 0.025

# How long a leaving worker waits for the server to have its last results on disk.
_LAST_WORDS_SECONDS = 5.0
_GOODBYE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """What a worker is made of."""

    session: SessionOptions
    runtimes: Mapping[str, Runtime]  # default first
    data_dir: Path
    cache_bytes: int
    templates: TemplatePolicy = field(default_factory=TemplatePolicy)
    drain_seconds: float = (
        30.0  # how long inputs in hand may go on when the worker is asked to leave
    )
    cancel_grace_seconds: float = INTERRUPT_GRACE_SECONDS  # see `WorkerConfig`
    on_ready: Callable[[], None] = lambda: (
        None
    )  # called once, when the server has welcomed the worker
    dial: Dial = connect
    output: OutputLimits = USUAL_OUTPUT  # what each container may print
    make_images: Callable[[OpenBlob], Mapping[str, ImageBuilder]] = (
        lambda _: {}
    )  # see `RuntimeCapabilities`


class Agent:
    """One worker. To be made inside its event loop."""

    def __init__(self, options: AgentOptions) -> None:
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._functions: dict[str, Function] = {}
        self._is_ready = False
        self._is_ticking = False
        self._leaving = asyncio.Event()
        self._was_asked = False
        self._patience: asyncio.Timeout | None = (
            None  # with the server, while it is all that is waited for
        )
        self._drain_seconds = options.drain_seconds
        self._until = 0.0  # when what is in hand has had its time, once the worker is leaving
        self._session = Session(
            options.session,
            SessionListener(
                holds=self._holds,
                on_joined=self._on_joined,
                on_orders=self._on_orders,
                on_congested=self._on_congested,
                monotonic=time.monotonic,
                unix=time.time,  # noqa: TID251  # the worker's composition: everything below takes a clock
                dial=options.dial,
            ),
        )
        self._cache = BlobCache(
            options.data_dir / "blobs", options.cache_bytes, self._session.download
        )
        spool_dir = options.data_dir / "spool"
        spool_dir.mkdir(parents=True, exist_ok=True)
        self._volumes = Volumes(
            options.data_dir / "volumes", options.cache_bytes, VolumeLink(self._session)
        )
        self._copies = Copies(self._cache, self._volumes, self._session.upload)
        self._desk = Desk(
            DeskOptions(
                uplink=self._session,
                open_blob=self._open_blob,
                monotonic=time.monotonic,
                spool_dir=spool_dir,
                commit_volumes=self._volumes.commit_all_of,
                cancel_grace_seconds=options.cancel_grace_seconds,
            )
        )
        self._images = options.make_images(self._open_blob)
        self._templates = Templates(
            TemplatesOptions(
                runtimes=options.runtimes,
                host_id=options.session.facts.host_id,
                open_blob=self._open_blob,
                on_line=self.on_line,
                policy=options.templates,
                images=self._images,
            )
        )
        self._supervisor = self._make_supervisor(options)
        self._consoles = ConsoleLink(self._session, self._supervisor)

    def _make_supervisor(self, options: AgentOptions) -> Supervisor:
        return Supervisor(
            SupervisorOptions(
                runtimes=options.runtimes,
                host_id=options.session.facts.host_id,
                open_blob=self._open_blob,
                listener=self,
                gpus=options.session.facts.gpus,
                images=self._images,
                templates=self._templates,
                output=options.output,
                volumes=self._volumes,
                platform=PlatformLink(self._session, self._volumes),
                secrets=SecretLink(self._session),
            )
        )

    @property
    def templates(self) -> list[str]:
        """The functions whose next containers are forked."""
        return self._templates.ready

    async def run(self) -> None:
        """Work until told to leave, or until there was no server for too long. Raises `RefusedError`."""
        session = asyncio.create_task(self._session.run())
        leaving = asyncio.create_task(self._leave())
        try:
            # Where the session is over first, nobody will hear the rest.
            done, _ = await asyncio.wait({session, leaving}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (leaving, session):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task
            await self._close()

    def leave(self) -> None:
        """Finish what is in hand within the grace, give the rest back, and end `run`.

        Asked again, give back at once also what is in hand.
        """
        if self._was_asked:
            self.leave_now()
        self._was_asked = True
        self._leaving.set()

    def leave_now(self) -> None:
        """Give everything back, also what is in hand, and end `run`. Idempotent."""
        self._drain_seconds = 0.0
        self._until = min(self._until, self._loop.time())
        if self._leaving.is_set():
            self._supervisor.end_grace()
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(self._loop.time() + _GOODBYE_SECONDS)
        self._leaving.set()

    async def _leave(self) -> None:
        await self._leaving.wait()
        self._until = self._loop.time() + self._drain_seconds
        self._session.say_draining()
        self._desk.leave()
        for report in self._supervisor.reports:
            self._desk.stop_container(report.container_id)
        await self._stop_containers()
        await self._deliver()
        await self._session.say_goodbye()
        if self._session.is_open:
            # The session's end, with the server's answer, ends this.
            await asyncio.sleep(_GOODBYE_SECONDS)

    async def _stop_containers(self) -> None:
        """End all containers. What one wrote last to volumes is waited for while there is a server to have it."""
        stopping = asyncio.create_task(self._supervisor.stop_all(self._drain_seconds))
        try:
            while not stopping.done() and self._may_still_stop():
                await asyncio.wait({stopping}, timeout=_GOODBYE_SECONDS)
        finally:
            stopping.cancel()
            await asyncio.gather(stopping, return_exceptions=True)

    def _may_still_stop(self) -> bool:
        if self._session.is_open and self._drain_seconds > 0:
            return True
        more = _LAST_WORDS_SECONDS if self._session.is_open else _GOODBYE_SECONDS
        return self._loop.time() < self._until + more

    async def _deliver(self) -> None:
        """Wait for the server to have everything on disk; where it is away with outcomes not told, while the time lasts."""
        # A server that ends too writes what it has heard; there is less to wait for.
        is_patient = self._drain_seconds > 0
        seconds = _LAST_WORDS_SECONDS if is_patient and self._session.is_open else _GOODBYE_SECONDS
        if is_patient and (self._desk.is_storing or self._session.owes_outcomes):
            seconds = max(seconds, self._until - self._loop.time())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds) as self._patience:
                await self._desk.wait_stored()
                await self._session.wait_recorded()
        self._patience = None

    async def _close(self) -> None:
        await self._consoles.close()
        await self._supervisor.close()
        await self._desk.close()
        for builder in self._images.values():
            await builder.close()
        await self._copies.close()
        await self._cache.close()
        for runtime in self._options.runtimes.values():
            await runtime.close()

    async def _open_blob(self, content: Content) -> IO[bytes]:
        return await self._cache.open(content)

    # --- what the server says ---

    def _holds(self) -> tuple[list[Held], list[Report]]:
        reports = [
            report._replace(inputs_in_hand=self._desk.inputs_in_hand(report.container_id))
            for report in self._supervisor.reports
        ]
        return self._desk.held, reports

    def _on_joined(self) -> None:
        self._desk.announce_all()
        if not self._is_ready:
            self._is_ready = True
            self._options.on_ready()

    def _on_orders(self, orders: Orders) -> None:
        for sent in orders.functions:
            function = sent.on(self._options.session.facts.host_id)
            self._functions[function.function_id] = function
            self._desk.add_function(function)
        for function_id, tasks in orders.assignments:
            self._desk.assign(function_id, tasks)
        if orders.assignments:
            self._keep_ticking()
        if orders.cancels:
            self._desk.cancel(orders.cancels)
        for session_id, container_id in orders.consoles:
            self._consoles.open(session_id, container_id)
        if orders.start or orders.stop or orders.forget or orders.shut_down or orders.drain:
            self._on_rare_orders(orders)
        self._copies.give(orders.bring)

    def _on_rare_orders(self, orders: Orders) -> None:
        for order in orders.start:
            started = self._functions.get(order.function_id)
            if started is not None and not self._leaving.is_set():
                self._supervisor.start(order, started)
        for container_id, grace_seconds in orders.stop:
            self._desk.stop_container(container_id)
            self._supervisor.stop(container_id, grace_seconds)
        for function_id in orders.forget:
            self._functions.pop(function_id, None)
            self._desk.forget_function(function_id)
            self._supervisor.forget_function(function_id)
        if orders.shut_down:
            # The server goes too and waits for this; what is in hand is run again when it is back.
            self.leave_now()
        if orders.drain:
            self._leaving.set()

    def _on_congested(self, is_congested: bool) -> None:
        self._supervisor.hold("the server is slow", on=is_congested)

    # --- what containers do; see `offload.worker.supervisor.Listener` ---

    def on_report(self, report: Report) -> None:
        """Pass a container's news on."""
        in_hand = self._desk.inputs_in_hand(report.container_id)
        self._session.report(report._replace(inputs_in_hand=in_hand) if in_hand else report)

    def on_ready(self, life: Life) -> None:
        """Give the container work."""
        self._desk.add_container(life.function, life)

    def on_message(self, container_id: str, message: guest.Message) -> None:
        """Pass what a container said on to the desk."""
        self._desk.on_message(container_id, message)
        if not self._desk.is_busy:
            # With nothing else in hand, nothing else will come to go with it.
            self._session.send_now()

    def on_gone(self, container_id: str, ending: Ending, *, is_innocent: bool) -> None:
        """Settle what a container has left behind."""
        self._desk.remove_container(container_id, ending, is_innocent=is_innocent)

    def on_line(self, line: Line) -> None:
        """Pass a line of output on."""
        self._session.log(line)

    def current_input(self, container_id: str) -> str:
        """Return what a container runs."""
        return self._desk.current_input(container_id)

    # --- time ---

    def _keep_ticking(self) -> None:
        if not self._is_ticking:
            self._is_ticking = True
            self._loop.call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._is_ticking = False
        self._desk.tick()
        if self._desk.is_busy:
            self._keep_ticking()
