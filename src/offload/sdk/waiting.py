"""One line for whoever waits: why nothing of a function runs, once that has lasted or cannot change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from offload.sdk.values import LogLine

if TYPE_CHECKING:
    from offload.sdk.values import Output, PoolProgress

# Longer than any container takes to start, shorter than a person's patience.
NOTICE_SECONDS = 10.0


@dataclass(slots=True)
class _Pause:
    """Since when a function's inputs wait, with so many of them finished."""

    finished: int
    since: float
    is_said: bool = False


class Waiting:
    """Passes an app's output on, and adds a line where inputs wait and none has run for `NOTICE_SECONDS`."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._pools: list[PoolProgress] = []
        self._pauses: dict[str, _Pause] = {}

    def line(self, line: LogLine) -> None:
        """See `Output`."""
        self._output.line(line)

    def progress(self, pools: list[PoolProgress]) -> None:
        """See `Output`."""
        self._pools = pools
        self._output.progress(pools)

    def say(self, text: str, function_name: str = "") -> None:
        """Add a line of our own."""
        self._output.line(LogLine(0.0, "", "", "", "system", text, 0, function_name))

    def look(self, now: float) -> None:
        """Say what has waited long enough by `now` (seconds of any steady clock). To be called now and then.

        What no worker can ever run has waited long enough at once.
        """
        for pool in self._pools:
            known = self._pauses.get(pool.function_id)
            if not pool.inputs_pending or pool.inputs_running:
                self._pauses.pop(pool.function_id, None)
                continue
            if known is None or known.finished != pool.inputs_finished:
                known = self._pauses[pool.function_id] = _Pause(pool.inputs_finished, now)
            patience = 0.0 if pool.is_impossible else NOTICE_SECONDS
            if not known.is_said and now - known.since >= patience and pool.waiting_reason:
                known.is_said = True
                self.say(_notice(pool), pool.function_name)


def _notice(pool: PoolProgress) -> str:
    count = pool.inputs_pending
    inputs = "1 input waits" if count == 1 else f"{count:,} inputs wait"
    how_long = "" if pool.is_impossible else f" for more than {NOTICE_SECONDS:g} s"
    reason = pool.waiting_reason.removeprefix("waiting ")
    return f"{inputs}{how_long}: {reason} (`offload status` shows more)"
