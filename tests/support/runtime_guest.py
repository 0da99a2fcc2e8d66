"""A small guest for tests of the runtimes: one line of Python source in, one line of JSON out, until the socket ends.

It is started with `-c SOURCE BOOT_ORDER…`, obeys the boot order as the real boot does, and then serves.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from offload.worker.ports import Container, ContainerSpec, Exit, LocalImage
from offload.worker.runtimes.readiness import readable

if TYPE_CHECKING:
    import socket
    import threading

SOURCE = """
import json, os, resource, socket, sys
guest_root, socket_fd, stderr_fd, *limits = sys.argv[1:]
for name, value in (limit.split("=") for limit in limits):
    resource.setrlimit(getattr(resource, "RLIMIT_" + name), (int(value), int(value)))
os.dup2(int(stderr_fd), 2)
os.close(int(stderr_fd))
sock = socket.socket(fileno=int(socket_fd))
sys.path.insert(0, guest_root)
lines = sock.makefile("rw")
for line in lines:
    try:
        answer = eval(json.loads(line), {"__import__": __import__})
    except SystemExit:
        raise
    except BaseException as error:
        answer = type(error).__name__ + ": " + str(error)
    lines.write(json.dumps(answer) + "\\n")
    lines.flush()
"""

GUEST_ARGV = ("-I", "-S", "-c", SOURCE)


def play(sock: socket.socket, stop: threading.Event) -> int:
    """Be the same guest on a thread, for the fake runtime."""
    with sock.makefile("rw") as lines:
        for line in lines:
            try:
                answer = eval(json.loads(line))  # noqa: S307 - the tests' own source
            except SystemExit as error:
                return int(str(error.code))
            lines.write(json.dumps(answer) + "\n")
            lines.flush()
    return 0


def a_spec(container_id: str = "ct-1", **changes: object) -> ContainerSpec:
    """A container of this interpreter with modest limits."""
    values: dict[str, object] = {
        "container_id": container_id,
        "function_name": "f",
        "image": LocalImage(sys.executable, (sys.prefix, sys.base_prefix), "/"),
        "cpu_milli": 1000,
        "memory_mib": 256,
        "block_network": False,
    }
    return ContainerSpec(**(values | changes))  # type: ignore[arg-type]


async def ask(container: Container, expression: str) -> object:
    """Evaluate an expression inside and return its JSON value; errors come back as their text."""
    container.socket.send(json.dumps(expression).encode() + b"\n")
    answer = b""
    while not answer.endswith(b"\n"):
        await readable(container.socket.fileno())
        data = container.socket.recv(65536)
        if not data:
            raise EOFError(f"the container ended instead of answering; so far: {answer!r}")
        answer += data
    return json.loads(answer)


async def order(container: Container, expression: str) -> Exit:
    """Evaluate an expression that ends the container, and return how it ended."""
    container.socket.send(json.dumps(expression).encode() + b"\n")
    return await container.wait()


def open_fds() -> int:
    """Count this process's descriptors."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only the count is wanted
