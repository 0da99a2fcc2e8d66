"""The progress display of `offload run` on a terminal."""

from __future__ import annotations

import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from offload.sdk.output import attribution

if TYPE_CHECKING:
    from offload.sdk.values import LogLine, PoolProgress

# What ends sooner needs no display.
QUIET_SECONDS = 0.4
_RATE_SECONDS = 5.0


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

    def __init__(
        self, console: Console | None = None, quiet_seconds: float = QUIET_SECONDS
    ) -> None:
        self._quiet_seconds = quiet_seconds
        self._began = time.monotonic()
        self._pools: list[PoolProgress] = []
        self._rates: dict[str, Rate] = {}
        self._console = console or Console(stderr=True)
        # Made last, because it renders once when it is made.
        # With stdout in a pipe only the display goes to the terminal; otherwise prints must go above it.
        self._live = Live(
            get_renderable=self.render,
            console=self._console,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )

    def start(self) -> None:
        """Begin to show the app's progress."""
        self._began = time.monotonic()
        self._live.start()

    def stop(self) -> None:
        """Take the display away. Idempotent."""
        self._live.stop()

    def line(self, line: LogLine) -> None:
        """See `Output`."""
        label = Text(attribution(line) + " ", style="dim")
        self._console.print(label.append(Text(line.text, style="not dim")), soft_wrap=True)

    def progress(self, pools: list[PoolProgress]) -> None:
        """See `Output`."""
        self._pools = pools

    def render(self) -> Group:
        """Return what stands at the bottom of the terminal now."""
        busy = [pool for pool in self._pools if pool.inputs_pending or pool.inputs_running]
        if time.monotonic() - self._began < self._quiet_seconds:
            busy = []
        return Group(*(self._describe(pool) for pool in busy))

    def _describe(self, pool: PoolProgress) -> Text:
        # Sampled here and not where news comes in: where nothing ends any more there is no news, and the rate falls.
        rate = self._rates.setdefault(pool.function_id, Rate())
        rate.add(pool.inputs_finished, time.monotonic())
        text = Text.assemble(
            (pool.function_name, "bold"), "  ",
            (f"{pool.inputs_finished:,} done", "green"), ", ",
            (f"{pool.inputs_running:,} running", "cyan"), ", ",
            f"{pool.inputs_pending:,} pending, {_containers(pool)}",
        )  # fmt: skip
        if rate.per_second() > 0:
            text.append(f", {rate.per_second():,.0f}/s")
        reason = pool.waiting_reason
        if (
            reason and not pool.inputs_running
        ):  # while some run, the others wait for these, as the counts say
            label = "" if reason.startswith("waiting") else "waiting: "
            text.append(f"\n  {label}{reason}", style="yellow")
        return text


def _containers(pool: PoolProgress) -> str:
    ready, starting = pool.containers_ready, pool.containers_starting
    text = f"{ready} container{'' if ready == 1 else 's'}"
    return f"{text} (+{starting} starting)" if starting else text
