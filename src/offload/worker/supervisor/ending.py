"""What is known of a container's end, from all who know something of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.worker.core.attribution import Ending

if TYPE_CHECKING:
    from offload.wire import guest
    from offload.worker.ports import Exit


def ending_of(
    exited: Exit, memory_mib: int, last_words: guest.Exiting | None, killed_because: str
) -> Ending:
    """Put together what the runtime saw, what the runner announced, and why the worker ended it, if it did."""
    return Ending(
        code=exited.code,
        signal=exited.signal,
        out_of_memory=exited.out_of_memory,
        peak_memory_mib=exited.peak_memory_mib,
        memory_mib=memory_mib,
        announced_code=last_words.code if last_words else None,
        announced_input=last_words.input_id if last_words else "",
        killed_because=killed_because,
        detail=exited.detail,
    )
