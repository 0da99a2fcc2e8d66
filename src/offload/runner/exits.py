"""The ways out of the container's process."""

from __future__ import annotations

import os
import sys

from offload.runner.outbox import exit_now
from offload.wire.guest import Exiting

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import NoReturn

    from offload.runner.cancellation import Interrupts
    from offload.runner.link import Link
    from offload.runner.outbox import Outbox
    from offload.runner.stdio import StandardStreams


def announce_exits(
    link: Link, outbox: Outbox, interrupts: Interrupts, streams: StandardStreams
) -> None:
    """Have `os._exit` in user code say so, and send what is done, before it ends the process."""

    def announced_exit(status: int) -> NoReturn:
        if not outbox.is_child:
            with interrupts:
                link.tell_begun()
                streams.finish_lines()
                outbox.add(Exiting(int(status), streams.current_input), 64)
                outbox.flush()
        exit_now(status)

    os._exit = announced_exit


def leave(code: int) -> NoReturn:
    """Run what user code registered for the end, then end, without waiting for threads left behind."""
    import atexit  # noqa: PLC0415 - needed only here

    try:
        atexit._run_exitfuncs()  # noqa: SLF001 - the interpreter's own end would wait for threads as well
        sys.stdout.flush()
    finally:
        exit_now(code)
