"""The progress display of `offload run` on a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from offload.sdk.blocking import background_loop
from offload.sdk.output import attribution
from offload.sdk.stack import find_server
from offload.wire.gen import calls_pb2
from offload.wire.link import connect
from offload.wire.status import WireError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from offload.sdk.values import LogLine, PoolProgress

# What ends sooner needs no display.
QUIET_SECONDS = 0.4
_POLL_SECONDS = 0.5
_RATE_SECONDS = 5.0
_FINAL = ("succeeded", "failed", "timed_out", "cancelled", "lost")


@dataclass(slots=True)
class Rate:
    """How many inputs a second end, over the last few seconds."""

    _samples: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, done: int, now: float) -> None:
        """Take in how many have ended by `now` (seconds of any steady clock)."""
        self._samples.append((now, done))
        while self._samples[0][0] < now - _RATE_SECONDS:
            self._samples.popleft()

    def per_second(self) -> float:
        """Return the rate; 0 until there are two samples."""
        (first_at, first), (last_at, last) = self._samples[0], self._samples[-1]
        return (last - first) / (last_at - first_at) if last_at > first_at else 0.0


class Display:
    """Shows the lines that functions print, and under them how far each function's inputs are."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._pools: list[PoolProgress] = []
        self._done: dict[str, int] = {}
        self._rates: dict[str, Rate] = {}
        self._polling: Future[None] | None = None
        self._console = Console(stderr=True)
        # Made last, because it renders once when it is made.
        # With stdout in a pipe only the display goes to the terminal; otherwise prints must go above it.
        self._live = Live(
            get_renderable=self._render,
            console=self._console,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )

    def start(self, app_id: str) -> None:
        """Begin to show the app's progress."""
        self._began = time.monotonic()
        self._live.start()
        self._polling = asyncio.run_coroutine_threadsafe(self._poll(app_id), background_loop())

    def stop(self) -> None:
        """Take the display away. Idempotent."""
        if self._polling is not None:
            self._polling.cancel()
            self._polling = None
        self._live.stop()

    def line(self, line: LogLine) -> None:
        """See `Output`."""
        label = Text(attribution(line) + " ", style="dim")
        self._console.print(label.append(Text(line.text, style="not dim")), soft_wrap=True)

    def progress(self, pools: list[PoolProgress]) -> None:
        """See `Output`."""
        self._pools = pools

    async def _poll(self, app_id: str) -> None:
        # How many have ended is a question of its own: the progress events tell only what is left.
        with contextlib.suppress(WireError):
            await asyncio.sleep(QUIET_SECONDS)
            address = await asyncio.get_running_loop().run_in_executor(None, find_server)
            link = await connect(address.url, address.token, tls=address.tls)
            try:
                while True:
                    request = calls_pb2.ListCallsRequest(app_id=app_id, limit=100)
                    reply = await link.unary(
                        "offload.v1.Calls/ListCalls", request, calls_pb2.ListCallsReply
                    )
                    self._count(reply)
                    await asyncio.sleep(_POLL_SECONDS)
            finally:
                await link.close()

    def _count(self, reply: calls_pb2.ListCallsReply) -> None:
        done: dict[str, int] = {}
        for call in reply.calls:
            ended = sum(call.counts[state] for state in _FINAL if state in call.counts)
            done[call.function_id] = done.get(call.function_id, 0) + ended
        now = time.monotonic()
        for function_id, count in done.items():
            self._rates.setdefault(function_id, Rate()).add(count, now)
        self._done = done

    def _render(self) -> Group:
        busy = [pool for pool in self._pools if pool.inputs_pending or pool.inputs_running]
        if time.monotonic() - self._began < QUIET_SECONDS:
            busy = []
        return Group(*(self._describe(pool) for pool in busy))

    def _describe(self, pool: PoolProgress) -> Text:
        rate = self._rates.get(pool.function_id)
        text = Text.assemble(
            (pool.function_name, "bold"), "  ",
            (f"{self._done.get(pool.function_id, 0):,} done", "green"), ", ",
            (f"{pool.inputs_running:,} running", "cyan"), ", ",
            f"{pool.inputs_pending:,} pending, {_containers(pool)}",
        )  # fmt: skip
        if rate is not None and rate.per_second() > 0:
            text.append(f", {rate.per_second():,.0f}/s")
        if pool.waiting_reason:
            text.append(f"\n  waiting: {pool.waiting_reason}", style="yellow")
        return text


def _containers(pool: PoolProgress) -> str:
    ready, starting = pool.containers_ready, pool.containers_starting
    text = f"{ready} container{'' if ready == 1 else 's'}"
    return f"{text} (+{starting} starting)" if starting else text
