"""A person at a terminal: types, looks, makes the window larger, and leaves."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING

from tests.support.acceptance import COMMAND

if TYPE_CHECKING:
    from tests.support.acceptance import User

# A test that waits longer has failed, on however busy a machine.
PATIENCE_SECONDS = 120.0


class Terminal:
    """A terminal with one command of a user's in it."""

    def __init__(self, user: User, *words: str, rows: int = 31, columns: int = 97) -> None:
        self._leader, self._follower = pty.openpty()
        self.drawn = b""
        self.resize(rows, columns)
        self.modes_before = termios.tcgetattr(self._follower)
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *COMMAND, *words],
            env={**user.environment, "TERM": "xterm-256color"},
            cwd=user.folder,
            stdin=self._follower,
            stdout=self._follower,
            stderr=self._follower,
        )

    def resize(self, rows: int, columns: int) -> None:
        """Make the window another size."""
        fcntl.ioctl(self._leader, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._leader, text.encode())

    def see(self, text: str) -> None:
        """Look until the text is there, after all that was looked for before."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text.encode() not in self.drawn:
            left = deadline - time.monotonic()
            if left <= 0 or not self._look(left):
                raise AssertionError(
                    f"{text!r} is not there: {self.drawn.decode(errors='replace')}"
                )
        self.drawn = self.drawn.partition(text.encode())[2]

    def modes(self) -> list[object]:
        """Return how the terminal treats keys now."""
        return termios.tcgetattr(self._follower)

    def wait(self) -> int:
        """Return the exit code of the command, which draws meanwhile."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            self._look(0.05)
        while self._look(0.0):
            pass
        return self.process.wait(timeout=1)

    def close(self) -> None:
        """Take the terminal away, and what is left of the command."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._leader)
        os.close(self._follower)

    def _look(self, seconds: float) -> bool:
        if not select.select([self._leader], [], [], seconds)[0]:
            return False
        self.drawn += os.read(self._leader, 65536)
        return True
