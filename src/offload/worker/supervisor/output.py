"""What is written below Python: the pipes behind a container's standard output and error."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from offload.worker.core.text import LineSplitter

if TYPE_CHECKING:
    from collections.abc import Callable

# Little enough that a read of nothing but empty lines keeps no other container waiting.
_READ_BYTES = 4 * 1024


class OutputPipe:
    """One pipe read into lines, without a task."""

    def __init__(self, fd: int, on_line: Callable[[str], None]) -> None:
        self._fd = fd
        self._on_line = on_line
        self._splitter = LineSplitter()
        self._loop = asyncio.get_running_loop()
        self._is_over = False
        self._is_held = False
        self._loop.add_reader(fd, self._read_once)

    def hold(self, *, on: bool) -> None:
        """Stop reading, or go on."""
        if self._is_over or on == self._is_held:
            return
        self._is_held = on
        if on:
            self._loop.remove_reader(self._fd)
        else:
            self._loop.add_reader(self._fd, self._read_once)

    def finish(self) -> None:
        """Read what is left and stop; the descriptor is the container's to close. Idempotent."""
        if not self._is_over:
            while self._read_once():
                pass
            self._stop()
            self._tell(self._splitter.finish())

    def _read_once(self) -> bool:
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._stop()
            self._tell(self._splitter.finish())
            return False
        self._tell(self._splitter.feed(data))
        return True

    def _stop(self) -> None:
        if not self._is_over:
            self._is_over = True
            if not self._is_held:
                self._loop.remove_reader(self._fd)

    def _tell(self, lines: list[str]) -> None:
        for line in lines:
            self._on_line(line)
