"""The name server of a gateway's containers: it answers for the names that each may reach, and opens what it has answered.

It listens in the router's namespace and asks the machine's own name servers from the machine's.
"""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING

from offload.worker.core.dns import (
    REFUSED,
    SERVER_FAILURE,
    answers_to,
    read_addresses,
    read_question,
    refuse,
)
from offload.worker.core.network import is_allowed
from offload.worker.sandbox.network import NAMES_ADDRESS, name_servers

if TYPE_CHECKING:
    from collections.abc import Callable

    from offload.worker.runtimes.gateway_lines import HeldLine, Lines
    from offload.worker.runtimes.gateway_loop import Loop, Outside

_PORT = 53
_PATIENCE_SECONDS = 2.0  # for each of the machine's name servers
_MOST_ASKED = 512
_MOST_ASKED_BY_ONE = 64
# Connections that have not asked yet: descriptors of this process, which every container's start needs some of.
_MOST_SILENT = 256
_MOST_SILENT_OF_ONE = 16
_MESSAGE_BYTES = 64 * 1024


class _Asked:
    """A question that has been passed on."""

    def __init__(
        self, held: HeldLine, query: bytes, servers: list[str], *, is_stream: bool
    ) -> None:
        self.held = held
        self.query = query
        self.passed_on = os.urandom(2) + query[2:]  # so that nobody can guess the answer's number
        self.servers = servers
        self.is_stream = is_stream
        self.deadline = 0.0
        self.answer = b""
        self.socket: socket.socket | None = None


class NameServer:
    """Forwards questions, and refuses those for names that a container may not reach."""

    def __init__(self, loop: Loop, outside: Outside, lines: Lines) -> None:
        self._loop = loop
        self._outside = outside
        self._lines = lines
        self._asked: dict[_Asked, Callable[[bytes], None]] = {}
        self._silent: Counter[str] = Counter()  # connections by address
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._streams = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        for listening in (self._datagrams, self._streams):
            listening.setblocking(False)
            listening.bind((NAMES_ADDRESS, _PORT))
        self._streams.listen()
        loop.watch(self._datagrams.fileno(), self._on_datagram)
        loop.watch(self._streams.fileno(), self._on_connection)

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for an answer."""
        return bool(self._asked)

    def give_up_late(self) -> None:
        """Ask another server where one has not answered in time."""
        now = time.monotonic()
        for asked in [asked for asked in self._asked if asked.deadline <= now]:
            self._ask_next(asked)

    def _on_datagram(self) -> None:
        try:
            query, address = self._datagrams.recvfrom(_MESSAGE_BYTES)
        except OSError:
            return

        def reply(message: bytes) -> None:
            self._datagrams.sendto(message, address)

        self._take(query, address[0], reply, is_stream=False)

    def _on_connection(self) -> None:
        try:
            client, address = self._streams.accept()
        except OSError:
            return
        if self._silent[address[0]] >= _MOST_SILENT_OF_ONE or self._silent.total() >= _MOST_SILENT:
            client.close()
            return
        self._silent[address[0]] += 1
        self._hear(client, address[0])

    def _hear(self, client: socket.socket, address: str) -> None:
        """Take the question of a connection, which ends with its answer."""
        # An answer goes out at once or not at all: nobody waits here for a container that does not read.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * _MESSAGE_BYTES)
        client.setblocking(False)
        received = bytearray()

        def forget() -> None:
            self._loop.forget(client.fileno())
            self._silent[address] -= 1
            if not self._silent[address]:
                del self._silent[address]

        def close() -> None:
            forget()
            client.close()

        def reply(message: bytes) -> None:
            try:
                client.send(len(message).to_bytes(2, "big") + message)
            finally:
                client.close()

        def on_data() -> None:
            try:
                data = client.recv(_MESSAGE_BYTES)
            except OSError:
                data = b""
            received.extend(data)
            size = int.from_bytes(received[:2], "big")
            if not data or len(received) > size + 2:
                close()
            elif len(received) >= 2 and len(received) == size + 2:
                forget()
                if not self._take(bytes(received[2:]), address, reply, is_stream=True):
                    client.close()

        # One that says nothing is closed in time.
        self._loop.watch(client.fileno(), on_data, close, _PATIENCE_SECONDS)

    def _take(
        self, query: bytes, address: str, reply: Callable[[bytes], None], *, is_stream: bool
    ) -> bool:
        """Take a question; tell whether it will get an answer."""
        held = self._lines.at(address)
        try:
            name = read_question(query).name
        except ValueError:
            return False
        if held is None:
            return False
        if held.allowed is not None and not is_allowed(name, held.allowed.domains):
            _try(reply, refuse(query, REFUSED))
        elif self._is_full(held):
            _try(reply, refuse(query, SERVER_FAILURE))
        else:
            asked = _Asked(held, query, _machines_servers(), is_stream=is_stream)
            self._asked[asked] = reply
            self._ask_next(asked)
        return True

    def _is_full(self, held: HeldLine) -> bool:
        own = sum(asked.held is held for asked in self._asked)
        return own >= _MOST_ASKED_BY_ONE or len(self._asked) >= _MOST_ASKED

    def _ask_next(self, asked: _Asked) -> None:
        self._close(asked)
        while asked.servers:
            server = asked.servers.pop(0)
            try:
                sock = self._outside.call(lambda: _connect(server, is_stream=asked.is_stream))  # noqa: B023 - called at once
            except OSError:
                continue
            asked.socket, asked.answer = sock, b""
            asked.deadline = time.monotonic() + _PATIENCE_SECONDS
            self._loop.watch_writable(sock.fileno(), lambda: self._pass_on(asked))
            return
        self._finish(asked, refuse(asked.query, SERVER_FAILURE))

    def _pass_on(self, asked: _Asked) -> None:
        """Ask a server that is connected by now; a question is small enough to go out at once."""
        if asked.socket is None:
            return
        message = asked.passed_on
        if asked.is_stream:
            message = len(message).to_bytes(2, "big") + message
        try:
            if asked.socket.send(message) < len(message):
                raise OSError(0, "it takes no whole question")
        except OSError:
            self._ask_next(asked)
            return
        self._loop.watch(asked.socket.fileno(), lambda: self._on_answer(asked))

    def _on_answer(self, asked: _Asked) -> None:
        if asked.socket is None:
            return
        try:
            data = asked.socket.recv(_MESSAGE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._ask_next(asked)
            return
        if asked.is_stream:
            asked.answer += data
            size = int.from_bytes(asked.answer[:2], "big")
            if len(asked.answer) < 2 or len(asked.answer) < size + 2:
                return
            data = asked.answer[2 : size + 2]
        self._pass_back(asked, data)

    def _pass_back(self, asked: _Asked, message: bytes) -> None:
        try:
            if not answers_to(asked.passed_on, message):
                return
            if asked.held.allowed is not None:
                self._lines.learn(asked.held, read_addresses(message), time.monotonic())
        except (ValueError, OSError):
            self._finish(asked, refuse(asked.query, SERVER_FAILURE))
            return
        self._finish(asked, asked.query[:2] + message[2:])

    def _finish(self, asked: _Asked, message: bytes) -> None:
        self._close(asked)
        _try(self._asked.pop(asked), message)

    def _close(self, asked: _Asked) -> None:
        if asked.socket is not None:
            self._loop.forget(asked.socket.fileno())
            asked.socket.close()
            asked.socket = None


def _try(reply: Callable[[bytes], None], message: bytes) -> None:
    """Answer; a container that is not there any more or does not read asks again or not."""
    try:  # noqa: SIM105 - contextlib would slow this process's start
        reply(message)
    except OSError:
        pass


def _machines_servers() -> list[str]:
    try:
        with open("/etc/resolv.conf") as file:  # noqa: PTH123 - pathlib would double this process's start time
            return list(name_servers(file.read()))
    except OSError:
        return []


def _connect(server: str, *, is_stream: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    kind = socket.SOCK_STREAM if is_stream else socket.SOCK_DGRAM
    sock = socket.socket(family, kind)
    # Nobody waits for a server that does not answer: meanwhile no container would get its network.
    sock.setblocking(False)
    try:
        sock.connect((server, _PORT))
    except BlockingIOError:
        pass
    except OSError:
        sock.close()
        raise
    return sock
