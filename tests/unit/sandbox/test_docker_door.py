"""Who gets a container's descriptors at its door, and when."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from offload.worker.ports import ContainerStartError
from offload.worker.runtimes.docker_container import Door


async def refuse(namespace: int) -> None:
    raise ContainerStartError(f"no link for {namespace}")


async def leave(namespace: int) -> None:
    os.fstat(namespace)


def visit(door: Door, *shown: int) -> socket.socket:
    visitor = socket.socket(socket.AF_UNIX)
    visitor.connect(f"{door.directory}/socket")
    socket.send_fds(visitor, [b"\0"], shown)
    visitor.settimeout(5)
    return visitor


def test_who_shows_no_namespace_gets_nothing(tmp_path: Path) -> None:
    door = Door(str(tmp_path), "ct-1")
    with visit(door) as visitor:
        assert not asyncio.run(door.let_in([0], leave))

        assert socket.recv_fds(visitor, 1, 1)[:2] == (b"", [])
    door.close()


def test_who_could_not_be_connected_gets_nothing(tmp_path: Path) -> None:
    door = Door(str(tmp_path), "ct-1")
    with Path("/proc/self/ns/net").open() as own, visit(door, own.fileno()) as visitor:
        with pytest.raises(ContainerStartError, match="no link"):
            asyncio.run(door.let_in([0], refuse))

        assert socket.recv_fds(visitor, 1, 1)[:2] == (b"", [])
    door.close()


def test_the_namespace_that_is_connected_is_the_one_that_was_shown_and_then_come_the_descriptors(
    tmp_path: Path,
) -> None:
    connected = []

    async def connect(namespace: int) -> None:
        connected.append(os.fstat(namespace).st_ino)

    door = Door(str(tmp_path), "ct-1")
    with Path("/proc/self/ns/net").open() as own, visit(door, own.fileno()) as visitor:
        assert asyncio.run(door.let_in([own.fileno()], connect))

        _, (given,), _, _ = socket.recv_fds(visitor, 1, 1)
        assert connected == [os.fstat(given).st_ino]
    os.close(given)
    door.close()
