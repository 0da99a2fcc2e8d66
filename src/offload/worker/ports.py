"""What the worker's parts expect of one another."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from offload.worker.core.values import Gpu


@dataclass(frozen=True, slots=True)
class LocalImage:
    """The caller's own environment on this machine; every path is absolute and exists."""

    python: str
    read_only_paths: tuple[str, ...]
    working_dir: str


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """Everything a runtime needs to start a container. Nothing in it is secret."""

    container_id: str
    function_name: str
    image: LocalImage
    cpu_milli: int
    memory_mib: int
    block_network: bool
    gpus: tuple[Gpu, ...] = ()  # the only ones that its programs may see
    pids: int = 512
    open_files: int = 4096
    scratch_mib: int = 1024  # /tmp, /dev/shm and home together
    scratch_inodes: int = 100_000


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container ended. Exactly one of `code` and `signal` is set."""

    code: int | None
    signal: int | None
    out_of_memory: bool = False
    peak_memory_mib: int | None = None
    detail: str = ""  # what the runtime itself had to say, e.g. bwrap's error line


@dataclass(frozen=True, slots=True)
class RuntimeCapabilities:
    """What a runtime can give, as data: nobody finds out by trying."""

    name: str
    is_sandbox: bool
    blocks_network: bool
    limits_memory: str  # "cgroup", "rlimit" or "none"
    limits_pids: str  # "cgroup", "rlimit" or "none"
    limits_scratch: bool
    notes: tuple[str, ...] = field(default=())  # what this machine lacks, each with how to get it


class RuntimeUnavailableError(Exception):
    """The runtime cannot work on this machine; the message says what is missing and how to get it."""


class ContainerStartError(Exception):
    """A container could not be started; the message is one line for the function's caller."""


class Container(Protocol):
    """A started container. Its runner is on the other end of `socket`."""

    container_id: str
    socket: socket.socket  # ours; stream, non-blocking
    stdout_fd: int  # read ends of what is written below Python, non-blocking
    stderr_fd: int

    async def wait(self) -> Exit:
        """Return when every process of the container is gone. May be awaited by several at once."""

    def kill(self) -> None:
        """End every process of the container at once. Idempotent, legal after the end."""

    async def close(self) -> None:
        """Kill, wait, and release everything (descriptors, cgroup, mounts). Idempotent."""


class Runtime(Protocol):
    """Starts containers, one way. Constructing it checks the machine and raises `RuntimeUnavailableError`."""

    capabilities: RuntimeCapabilities

    async def start(self, spec: ContainerSpec) -> Container:
        """Start a container whose first process is the runner; return before it is ready.

        Raises `ContainerStartError`; then nothing of it is left. Cancelling the call leaves nothing either.
        """

    async def close(self) -> None:
        """Kill what is left and release what the runtime itself holds. Idempotent."""
