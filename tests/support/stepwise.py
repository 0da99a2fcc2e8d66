"""Runs a process and its children from one system call to the next, so that a test can act at any point of their course."""

from __future__ import annotations

import ctypes
import os
import select
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SYSCALL, _DETACH, _GETEVENTMSG, _SEIZE, _INTERRUPT = 24, 17, 0x4201, 0x4206, 0x4207
_TRACE_SYSGOOD, _TRACE_FORK, _TRACE_VFORK, _TRACE_CLONE, _TRACE_EXEC = 1, 2, 4, 8, 16
_EVENTS_OF_BIRTH, _EVENT_EXEC = (1, 2, 3), 4
_WALL = 0x40000000

_ptrace = ctypes.CDLL(None, use_errno=True).ptrace
_ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_ptrace.restype = ctypes.c_long


def _ask(request: int, pid: int, data: int | None = None) -> None:
    if _ptrace(request, pid, None, data) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Stepwise:
    """Holds a process and all it gives birth to; nothing of it moves but through `steps`.

    Raises PermissionError where this machine lets nobody trace.
    """

    def __init__(self, pid: int) -> None:
        self._first = pid
        self._pidfds: dict[int, int] = {}
        self._standing: set[int] = set()
        self._take(pid)
        options = _TRACE_SYSGOOD | _TRACE_FORK | _TRACE_VFORK | _TRACE_CLONE | _TRACE_EXEC
        _ask(_SEIZE, pid, options)
        _ask(_INTERRUPT, pid)

    def steps(self) -> Iterator[tuple[str, int]]:
        """Yield ("parent", n) and ("child", n) at every begin and end of a system call since the first birth.

        Ends when a child has become another program; what was yielded last stands still meanwhile.
        """
        counts = {"parent": 0, "child": 0}
        while True:
            pid, status = self._next_stop()
            event = status >> 16
            if event in _EVENTS_OF_BIRTH:
                self._take(self._newborn(pid))
            elif event == _EVENT_EXEC and pid != self._first:
                return
            elif len(self._pidfds) > 1:
                who = "parent" if pid == self._first else "child"
                counts[who] += 1
                yield who, counts[who]
            self._standing.discard(pid)
            _ask(_SYSCALL, pid)

    def kill(self) -> None:
        """Kill the first process alone, and let its parent know."""
        os.kill(self._first, signal.SIGKILL)
        os.waitpid(self._first, _WALL)

    def let_go(self) -> None:
        """Let every process run freely from where it is."""
        for pid in reversed(self._pidfds):
            # Only what stands can be let go; what was killed is gone already.
            with suppress(OSError):
                if pid not in self._standing:
                    _ask(_INTERRUPT, pid)
                    os.waitpid(pid, _WALL)
                _ask(_DETACH, pid)

    def survivors(self, seconds: float) -> list[int]:
        """Wait until all have ended; return, and kill, those that have not `seconds` after the last one that did."""
        alive = {pidfd: pid for pid, pidfd in self._pidfds.items()}
        # Whoever ends is buried at once: neither its parent nor the first process of its pid namespace gets on before.
        while alive and (ended := select.select(list(alive), [], [], seconds)[0]):
            for pidfd in ended:
                with suppress(ChildProcessError):
                    os.waitpid(alive.pop(pidfd), _WALL)
        for pid in alive.values():
            os.kill(pid, signal.SIGKILL)
        for pidfd in self._pidfds.values():
            os.close(pidfd)
        return list(alive.values())

    def _take(self, pid: int) -> None:
        if pid not in self._pidfds:
            self._pidfds[pid] = os.pidfd_open(pid)

    def _newborn(self, pid: int) -> int:
        number = ctypes.c_ulong()
        _ask(_GETEVENTMSG, pid, ctypes.addressof(number))
        return number.value

    def _next_stop(self) -> tuple[int, int]:
        while True:
            pid, status = os.waitpid(-1, _WALL)
            if os.WIFSTOPPED(status):
                self._take(pid)  # a newborn may stand before its parent tells of it
                self._standing.add(pid)
                return pid, status
            if pid == self._first:
                raise ChildProcessError(f"{pid} ended with {os.waitstatus_to_exitcode(status)}")
