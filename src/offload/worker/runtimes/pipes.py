"""The descriptors between a worker and one container, made together and closed together."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Literal

_DETAIL_BYTES = 2000


@dataclass(slots=True)
class Pipes:
    """Both ends of everything; `theirs` are closed once the process has them."""

    socket: socket.socket
    stdout_fd: int
    stderr_fd: int
    detail_fd: int  # what the process wrote to descriptor 2 before the guest took it over
    theirs: dict[str, int]

    @classmethod
    def open(cls) -> Pipes:
        """Make a socket pair and three pipes; our ends do not block. Raises OSError; then nothing is open."""
        with ExitStack() as opened:
            ours, theirs = map(opened.enter_context, socket.socketpair())
            ours.setblocking(False)
            reads, writes = {}, {"stdin": os.open(os.devnull, os.O_RDONLY)}
            opened.callback(os.close, writes["stdin"])
            for name in ("stdout", "stderr", "detail"):
                reads[name], writes[name] = open_pipe(opened)
                os.set_blocking(reads[name], False)
            writes["socket"] = theirs.detach()
            opened.pop_all()
        return cls(ours, reads["stdout"], reads["stderr"], reads["detail"], writes)

    def close_theirs(self) -> None:
        """Close the process's ends, so that ours see the end when the process ends."""
        while self.theirs:
            os.close(self.theirs.popitem()[1])

    def read_detail(self) -> str:
        """Read the last line of what came from the process before the guest: why it did not start."""
        with suppress(BlockingIOError):
            text = os.read(self.detail_fd, 64 * 1024).decode(errors="replace").strip()
            return text.splitlines()[-1][-_DETAIL_BYTES:] if text else ""
        return ""

    def close(self) -> None:
        """Close everything. Idempotent."""
        self.close_theirs()
        self.socket.close()
        for name in ("stdout_fd", "stderr_fd", "detail_fd"):
            fd = getattr(self, name)
            if fd >= 0:
                os.close(fd)
                setattr(self, name, -1)


def open_pipe(opened: ExitStack, keeps: Literal["read", "write"] | None = None) -> tuple[int, int]:
    """Make a pipe; return its ends, which `opened` closes, the read end first, except one that is kept."""
    read_fd, write_fd = os.pipe()
    if keeps != "write":
        opened.callback(os.close, write_fd)
    if keeps != "read":
        opened.callback(os.close, read_fd)
    return read_fd, write_fd


def read_now(fd: int) -> bytes:
    """Return what waits in a descriptor that does not block."""
    try:
        return os.read(fd, 64 * 1024)
    except BlockingIOError:
        return b""
