"""Talking to a console as a worker does."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from offload.wire.guest import console
from offload.worker.runtimes.readiness import readable

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from offload.worker.ports import Container

# A test that waits longer has failed, on however busy a machine.
PATIENCE_SECONDS = 60.0


@dataclass
class Talk:
    """A console, and all that it has said so far."""

    sock: socket.socket
    output: bytes = b""
    errors: bytes = b""
    code: int | None = None
    refused: str = ""
    is_over: bool = False
    _frames: console.Frames = field(default_factory=console.Frames)

    def say(self, kind: int, body: bytes = b"") -> None:
        """Send a frame."""
        self.sock.setblocking(True)
        self.sock.sendall(console.pack(kind, body))
        self.sock.setblocking(False)

    async def hear(self, until: Callable[[Talk], bool] = lambda talk: talk.is_over) -> Talk:
        """Listen until something holds, or the console has hung up."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (self.is_over or until(self)):
                await readable(self.sock.fileno())
                try:
                    data = self.sock.recv(65536)
                except ConnectionResetError:
                    data = b""
                self.is_over = not data
                for kind, body in self._frames.feed(data):
                    self._take(kind, body)
        return self

    def _take(self, kind: int, body: bytes) -> None:
        if kind == console.OUTPUT:
            self.output += body
        elif kind == console.ERRORS:
            self.errors += body
        elif kind == console.EXIT:
            self.code = body[0]
        else:
            self.refused = body.decode()


def start(argv: Sequence[str] = (), size: tuple[int, int] | None = None, **order: object) -> bytes:
    """Return what START says."""
    return json.dumps({"argv": argv, "env": {}, "cwd": "/", "size": size, **order}).encode()


async def open_talk(
    container: Container, argv: Sequence[str] = (), size: tuple[int, int] | None = None
) -> Talk:
    """Start a program in a container."""
    talk = Talk(await container.open_console())
    talk.say(console.START, start(argv, size))
    return talk


async def run(container: Container, *argv: str) -> Talk:
    """Run a program without a terminal to its end."""
    talk = await open_talk(container, argv)
    talk.say(console.INPUT_END)
    await talk.hear()
    talk.sock.close()
    return talk
