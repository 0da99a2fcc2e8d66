"""A runner played by a test: it says and hears what the test wants, in a container of the fake runtime."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

from offload.wire import guest

if TYPE_CHECKING:
    import threading


class ScriptedRunner:
    """Serves as the guest of one `FakeRuntime`; says Hello and Loaded by itself unless told otherwise."""

    def __init__(self, *, fault: guest.Fault | None = None, is_silent: bool = False) -> None:
        self._fault = fault
        self._is_silent = is_silent
        self._loop = asyncio.get_running_loop()
        self._socks: list[socket.socket] = []
        self.loads: list[guest.Load] = []
        self.printed: tuple[guest.Output, ...] = ()  # while it loads the function
        self.heard: asyncio.Queue[guest.Message] = asyncio.Queue()
        self.exit_code = 0
        self.forks = 0
        self.forks_die = False
        self.forks_babble = False  # they send what is no frame

    def __call__(self, sock: socket.socket, stop: threading.Event) -> int:
        if not self._is_silent:
            sock.sendall(guest.encode(guest.Hello(guest.GUEST_PROTOCOL, os.getpid(), "3.11")))
        return self._converse(sock)

    def _converse(self, sock: socket.socket) -> int:
        self._socks.append(sock)
        decoder = guest.Decoder()
        while data := sock.recv(1 << 16):
            for message in decoder.feed(data):
                if isinstance(message, guest.Load):
                    self.loads.append(message)
                    if self.printed:
                        sock.sendall(guest.encode(guest.Outputs(self.printed)))
                    sock.sendall(guest.encode(guest.Loaded(self._fault)))
                else:
                    self._loop.call_soon_threadsafe(self.heard.put_nowait, message)
        return self.exit_code

    def play_forked(self, sock: socket.socket, stop: threading.Event) -> int:
        """Be a container that was forked with the function loaded."""
        self.forks += 1
        if self.forks_die:
            return 1
        if self.forks_babble:
            sock.sendall(b"\xff" * 64)
        sock.sendall(guest.encode(guest.Hello(guest.GUEST_PROTOCOL, os.getpid(), "3.11")))
        sock.sendall(guest.encode(guest.Loaded(None)))
        return self._converse(sock)

    def say(self, *messages: guest.Message, container: int = -1) -> None:
        """Send frames from one of the containers, in the order of their starts."""
        self._socks[container].sendall(b"".join(map(guest.encode, messages)))

    def say_bytes(self, data: bytes) -> None:
        """Send bytes that are no frame."""
        self._socks[-1].sendall(data)

    def hang_up(self) -> None:
        """End the container."""
        self._socks[-1].shutdown(socket.SHUT_RDWR)

    async def next(self, kind: type[guest.Message]) -> guest.Message:
        """Return the next frame from the worker, which is to be of this kind."""
        async with asyncio.timeout(60):
            message = await self.heard.get()
        assert isinstance(message, kind), message
        return message


def result(input_id: str, attempt: int = 1, value: bytes = b"v", **fields: object) -> guest.Result:
    """Return a result as a runner would say it."""
    body = guest.Body("pickle", value) if "fault" not in fields else None
    facts: dict[str, object] = {
        "value": body,
        "fault": None,
        "interrupted": False,
        "item_count": 0,
        "started_at": 1.0,
        "run_seconds": 0.00001,
    }
    return guest.Result(input_id, attempt, **{**facts, **fields})
