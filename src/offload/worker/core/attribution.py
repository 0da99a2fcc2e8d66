"""Whose fault a container's end is: docs/design/how-it-fits.md, "Crash attribution"."""

from __future__ import annotations

from dataclasses import dataclass

from offload.worker.core.values import Failure, FailureKind

# Linux on x86 and arm; a table because the core must not ask the machine.
_SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    10: "SIGUSR1",
    11: "SIGSEGV",
    12: "SIGUSR2",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
    24: "SIGXCPU",
    25: "SIGXFSZ",
    26: "SIGVTALRM",
    27: "SIGPROF",
    31: "SIGSYS",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a container ended, as far as anyone knows."""

    code: int | None = None
    signal: int | None = None
    out_of_memory: bool = False
    peak_memory_mib: int | None = None
    memory_mib: int = 0  # its limit
    announced_code: int | None = None  # the runner said that user code is ending the process
    announced_input: str = ""  # and which input it was, where it said that
    killed_because: str = ""  # why the worker itself ended it; empty: it did not
    detail: str = ""  # what the runtime had to say


@dataclass(frozen=True, slots=True)
class Blame:
    """What is to become of the inputs in a dead container's hand."""

    guilty: str | None  # fails with the ending's failure
    returned: tuple[str, ...]
    suspects: tuple[
        str, ...
    ] = ()  # it is unknown which of these ended it: each is to run by itself


def blame(
    hand: tuple[str, ...],
    running: str | None,
    *,
    suspects: tuple[str, ...] | None = None,
    is_innocent: bool = False,
) -> Blame:
    """Decide about the inputs in hand, in the order they were given.

    `running` is the input known to have run by itself, or to have ended the container, if one is; `suspects` are those that
    may have begun, by default all. An innocent end (the worker stopped the container) fails nobody.
    """
    if is_innocent or not hand:
        return Blame(None, hand)
    guilty = running if running in hand else (hand[0] if len(hand) == 1 else None)
    if guilty is None:
        may_have_run = hand if suspects is None else suspects
        return Blame(None, tuple(i for i in hand if i not in may_have_run), may_have_run)
    return Blame(guilty, tuple(i for i in hand if i != guilty))


def failure_of(ending: Ending) -> Failure:
    """Say in one line why the container ended."""
    if ending.killed_because:
        return Failure(FailureKind.EXIT, ending.killed_because)
    if ending.out_of_memory:
        peak = f" (peak {ending.peak_memory_mib} MiB)" if ending.peak_memory_mib is not None else ""
        return Failure(
            FailureKind.OUT_OF_MEMORY,
            f"passed its memory limit of {ending.memory_mib} MiB{peak}",
            signal=ending.signal or 0,
        )
    if ending.announced_code is not None:
        return Failure(
            FailureKind.EXIT,
            f"its container exited with code {ending.announced_code} (os._exit or the like)",
            exit_code=ending.announced_code,
        )
    if ending.signal is not None:
        return Failure(
            FailureKind.SIGNAL,
            f"its container was ended by {signal_name(ending.signal)}",
            signal=ending.signal,
        )
    detail = f": {ending.detail}" if ending.detail else ""
    return Failure(
        FailureKind.EXIT,
        f"its container exited with code {ending.code}{detail}",
        exit_code=ending.code or 0,
    )


def signal_name(number: int) -> str:
    """Return "signal SIGSEGV (11)" for 11, and the number alone where it has no name."""
    name = _SIGNALS.get(number)
    return f"signal {name} ({number})" if name else f"signal {number}"
