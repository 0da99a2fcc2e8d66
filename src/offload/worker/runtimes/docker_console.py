"""A console in a container of the Docker Engine: the engine's own `exec`, made into a socket as every container's."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from offload.worker.docker_engine import DockerEngine, DockerError
from offload.worker.ports import ConsoleRefusedError

if TYPE_CHECKING:
    from offload.worker.docker_engine import Attached

_PIECE_BYTES = 32 * 1024
_STDOUT = 1


async def open_console(
    engine: DockerEngine, engine_id: str, command: tuple[str, ...]
) -> tuple[socket.socket, asyncio.Task[None]]:
    """Return our end of the conversation, and what carries it on. Raises `ConsoleRefusedError`."""
    body: dict[str, object] = {
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Cmd": list(command),
        "WorkingDir": "/",
    }
    try:
        attached = await engine.exec(engine_id, body)
    except DockerError as error:
        raise ConsoleRefusedError(f"the Docker Engine: {error}") from error
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, asyncio.create_task(_carry(theirs, attached), name=f"console in {engine_id[:12]}")


async def _carry(sock: socket.socket, attached: Attached) -> None:
    """Pass bytes on both ways until the process has ended, which it does when its worker hangs up."""
    inwards = asyncio.create_task(_carry_in(sock, attached))
    loop = asyncio.get_running_loop()
    try:
        async for fd, piece in attached.output():
            if fd != _STDOUT:
                continue
            with suppress(OSError):  # the worker has hung up, and the process is about to know
                await loop.sock_sendall(sock, piece)
    finally:
        inwards.cancel()
        await asyncio.wait([inwards])
        attached.close()
        sock.close()


async def _carry_in(sock: socket.socket, attached: Attached) -> None:
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        while data := await loop.sock_recv(sock, _PIECE_BYTES):
            attached.writer.write(data)
            await attached.writer.drain()
        attached.writer.write_eof()
