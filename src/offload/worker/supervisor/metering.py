"""The one way that all output of a container goes: counted, cut where it is too much, and slowed down."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from offload.worker.core.output import OutputBudget, OutputLimits, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from offload.worker.core.values import Line


class OutputMeter:
    """Passes a container's lines on, and has the container held while it prints faster than it may.

    Held are its pipes and its socket: then it waits in its own `write`, and nobody else does.
    """

    def __init__(
        self,
        limits: OutputLimits,
        forward: Callable[[Line], None],
        hold: Callable[[bool], None],
    ) -> None:
        self._budget = OutputBudget(limits)
        self._forward = forward
        self._hold = hold
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def take(self, line: Line) -> None:
        """Pass a line on, or drop it where its input has printed too much."""
        now = self._loop.time()
        verdict = self._budget.take(line.input_id, len(line.text), now)
        if verdict is Verdict.KEEP:
            self._forward(line)
        elif verdict is Verdict.TRUNCATE:
            self._forward(line._replace(stream="system", text=self._truncation(line)))
        if self._timer is None:
            self._hold_while_needed(now)

    def close(self) -> None:
        """Hold it no more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._hold(False)

    def _hold_while_needed(self, now: float) -> None:
        seconds = self._budget.pause(now)
        if seconds > 0:
            self._timer = self._loop.call_later(seconds, self._look_again)
            self._hold(True)

    def _look_again(self) -> None:
        """Go on, unless what had been read already took longer to work off."""
        self._timer = None
        self._hold_while_needed(self._loop.time())
        if self._timer is None:
            self._hold(False)

    def _truncation(self, line: Line) -> str:
        mib = self._budget.limits.bytes_per_input >> 20
        whose = "this input" if line.input_id else "this container, between inputs,"
        return f"output truncated after {mib} MiB: what else {whose} prints is dropped"
