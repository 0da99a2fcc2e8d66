"""The runner: one process per container that becomes a function and runs its inputs."""

from __future__ import annotations

import os
import sys
from _socket import socket

from offload.runner.outbox import Outbox
from offload.wire.guest import GUEST_PROTOCOL, Hello

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import NoReturn


def main(fd: int) -> NoReturn:
    """Serve the worker on the other end of the socket `fd` until it says stop or goes away."""
    connection = open_connection(fd)
    outbox = greet(connection)
    # The rest is imported while the worker prepares the function.
    from offload.runner.parts import Parts  # noqa: PLC0415

    Parts(connection, outbox).serve()


def open_connection(fd: int) -> socket:
    """Return the socket to the worker."""
    connection = socket(fileno=fd)
    connection.setblocking(True)
    os.set_inheritable(fd, False)
    return connection


def greet(connection: socket) -> Outbox:
    """Say hello, and return what everything else is sent through."""
    outbox = Outbox(connection)
    outbox.add(Hello(GUEST_PROTOCOL, os.getpid(), sys.version.split()[0]), 64)
    outbox.flush()
    return outbox
