"""The terminal of this process, or its pipes, as those of a program somewhere else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import termios
import threading
import tty
from typing import TYPE_CHECKING

from offload.cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import FrameType

    from offload.sdk.client.consoles import Conversation

_PIECE_BYTES = 32 * 1024
_LOOK_SECONDS = 0.2


def is_terminal() -> bool:
    """Whether a person sits there: what is typed is one's, and what is shown."""
    return os.isatty(0) and os.isatty(1)


def size() -> tuple[int, int]:
    """Return the rows and columns."""
    columns, rows = os.get_terminal_size(1)
    return rows, columns


class Keyboard:
    """Reads descriptor 0 in a thread, one piece ahead: a file or another program's pipe cannot be waited for otherwise."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(1)
        self._stopped, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._read_all, name="keyboard", daemon=True)
        self._thread.start()

    async def read(self) -> bytes:
        """See `Person`."""
        return await self._pieces.get()

    async def show(self, data: bytes, *, is_error: bool) -> None:
        """See `Person`."""
        await asyncio.to_thread(_write, 2 if is_error else 1, data)

    def close(self) -> None:
        """Take no more; what was typed for whoever is next stays."""
        os.close(self._stop)
        while self._thread.is_alive() and not self._pieces.empty():
            self._pieces.get_nowait()

    def _read_all(self) -> None:
        data = b"?"
        while data:
            if self._stopped in select.select([0, self._stopped], [], [])[0]:
                return
            try:
                data = os.read(0, _PIECE_BYTES)
            except OSError:  # the terminal is gone
                data = b""
            putting = asyncio.run_coroutine_threadsafe(self._pieces.put(data), self._loop)
            while not putting.done():
                with contextlib.suppress(TimeoutError):
                    putting.result(_LOOK_SECONDS)
                    continue
                # The loop may have ended with nobody left to take it.
                if select.select([self._stopped], [], [], 0)[0]:
                    putting.cancel()
                    return


async def follow_signals(conversation: Conversation, run: Callable[[], Awaitable[int]]) -> int:
    """Run a program, and pass on to it what happens to this process: another size, and Ctrl-C where that is no key."""
    loop = asyncio.get_running_loop()
    interrupts = 0

    def interrupt() -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1:
            restore_and_leave(Exit.INTERRUPTED)
        conversation.signal(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, interrupt)
    if is_terminal():
        loop.add_signal_handler(signal.SIGWINCH, lambda: conversation.resize(*size()))
    try:
        return await run()
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGWINCH)


_before: list[object] | None = None


@contextlib.contextmanager
def raw() -> Iterator[None]:
    """Let every key through, and give the terminal back as it was, however this process ends but for SIGKILL."""
    global _before  # noqa: PLW0603  # a process has one terminal
    if not is_terminal():
        yield
        return
    _before = termios.tcgetattr(0)
    numbers = (signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.signal(number, _on_end) for number in numbers]
    try:
        tty.setraw(0)
        yield
    finally:
        _restore()
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)


def restore_and_leave(code: int) -> None:
    """End this process at once."""
    _restore()
    sys.stdout.flush()
    os._exit(code)


def _restore() -> None:
    if _before is not None:
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(0, termios.TCSADRAIN, _before)  # type: ignore[arg-type]  # as it was given


def _on_end(number: int, _frame: FrameType | None) -> None:
    restore_and_leave(128 + number)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
