"""What a kernel's terminal does about the keys that are signals, where the kernel does not: gVisor's of 2022 is one."""

from __future__ import annotations

import os
import signal
import termios

_KEYS = (
    (termios.VINTR, signal.SIGINT),
    (termios.VQUIT, signal.SIGQUIT),
    (termios.VSUSP, signal.SIGTSTP),
)
_LOCAL_FLAGS, _CHARACTERS = 3, 6  # where termios has them


def take_keys(terminal: int, typed: bytes, otherwise: int) -> bytes:
    """Signal whatever has the terminal for the keys that mean that; return the rest of what was typed."""
    modes = termios.tcgetattr(terminal)
    if not modes[_LOCAL_FLAGS] & termios.ISIG:
        return typed
    for place, number in _KEYS:
        key = modes[_CHARACTERS][place]
        if key != b"\0" and key in typed:
            typed = typed.replace(key, b"")
            tell_foreground(terminal, number, otherwise)
    return typed


def tell_foreground(terminal: int, number: int, otherwise: int) -> None:
    """Signal the group of processes that has the terminal; where the kernel does not say which, this one."""
    try:
        group = os.tcgetpgrp(terminal)
    except OSError:
        group = otherwise
    try:
        os.killpg(group if group > 0 else otherwise, number)
    except OSError:
        return
