"""What the worker's parts expect of one another."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Protocol

from offload.wire.abilities import ALLOW_LIST, BLOCK_NETWORK, CPU_LIMIT, EPHEMERAL_DISK

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

    from offload.wire.chunking import Batch
    from offload.wire.trees import Chunk, Entry
    from offload.wire.volume_requests import Change
    from offload.worker.core.content import Content
    from offload.worker.core.images import Image
    from offload.worker.core.network import AllowList
    from offload.worker.core.values import Gpu

Socket = socket.socket  # under a name that no field has


@dataclass(frozen=True, slots=True)
class LocalImage:
    """The caller's own environment on this machine; every path is absolute and exists."""

    python: str
    read_only_paths: tuple[str, ...]
    working_dir: str


@dataclass(frozen=True, slots=True)
class RootImage:
    """A root file system of layers, and how programs run in it."""

    layers: tuple[str, ...]  # directories of this machine, the lowest first
    python: str  # paths below are the container's
    working_dir: str = "/"
    env: tuple[tuple[str, str], ...] = ()
    entrypoint: tuple[
        str, ...
    ] = ()  # started in place of the runner, with its command as arguments
    engine_image: str = ""  # in place of layers: its name in the Docker Engine


# Processes and threads of a container.
DEFAULT_PIDS = 512


@dataclass(frozen=True, slots=True)
class VolumeBind:
    """A directory of this machine that a container finds at a path of its own; a writable one is that container's alone."""

    source: str
    target: str
    is_read_only: bool


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """Everything a runtime needs to start a container. Nothing in it is secret."""

    container_id: str
    function_name: str
    image: LocalImage | RootImage
    cpu_milli: int  # its weight where containers compete for cores
    memory_mib: int  # at most
    block_network: bool
    allowed: AllowList | None = None  # of its network, where that is not blocked; None: everything
    gpus: tuple[Gpu, ...] = ()  # the only ones that its programs may see
    pids: int = DEFAULT_PIDS
    open_files: int = 4096
    scratch_mib: int = 1024  # /tmp, /dev/shm and home together; kept in memory
    scratch_inodes: int = 100_000
    volumes: tuple[VolumeBind, ...] = ()  # none where `capabilities.no_volumes`
    cpu_limit_milli: int = 0  # 0: whatever is idle
    owns_scratch: bool = False  # its scratch has memory of its own; else it is part of memory_mib

    @property
    def bound_mib(self) -> int:
        """How much memory its processes and its scratch may take together."""
        return self.memory_mib + (self.scratch_mib if self.owns_scratch else 0)


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
    holds_allow_lists: bool  # its containers have a network of their own
    limits_memory: str  # "cgroup", "rlimit" or "none"
    limits_pids: str  # "cgroup", "rlimit" or "none"
    limits_scratch: bool
    limits_cpu: bool = False  # by quota; with it goes the weight
    images: str = (
        ""  # the builder whose images can be a root: "rootfs" or "docker"; empty: none can
    )
    forks_templates: bool = False  # it is a `ForkingRuntime`
    no_volumes: str = ""  # why its containers have no volumes on this machine, where they do not
    holds_read_only: bool = True  # of volumes; where not, none is mounted so
    shared_network: str = (
        ""  # why containers share the machine's network and what that means, where they do
    )
    notes: tuple[str, ...] = field(default=())  # what this machine lacks, each with how to get it

    @property
    def abilities(self) -> tuple[str, ...]:
        """What functions may ask for that not every runtime can hold; see `offload.wire.abilities`."""
        held = {
            CPU_LIMIT: self.limits_cpu,
            EPHEMERAL_DISK: self.limits_scratch,
            BLOCK_NETWORK: self.blocks_network,
            ALLOW_LIST: self.holds_allow_lists,
        }
        return tuple(ability for ability, is_held in held.items() if is_held)


class RuntimeUnavailableError(Exception):
    """The runtime cannot work on this machine; the message says what is missing and how to get it."""


class ContainerStartError(Exception):
    """A container could not be started; the message is one line for the function's caller."""


class FunctionRefusedError(ContainerStartError):
    """A function asks for what it cannot have here. That says nothing about the worker, which starts others as before."""


class ConsoleRefusedError(Exception):
    """A container takes no console; the message is one line for the person who asked for it."""


class ImageError(Exception):
    """An image cannot be built or used; the message is one line for the function's caller."""

    def __init__(self, message: str, exit_code: int = 0, last_lines: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # of the command that failed, where one did
        self.last_lines = last_lines  # what it printed last


class VolumeServer(Protocol):
    """Whoever keeps the volumes. Every method waits for a link where there is none, and raises `WireError`."""

    async def tree(self, volume_id: str, unless_version: int) -> tuple[int, list[Entry] | None]:
        """Return the newest version and what stands in it by path; None where it is still that version."""

    def contents(self, chunks: Sequence[Chunk]) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of chunks in this order, verified."""

    async def upload(self, next_batch: Callable[[], Batch]) -> list[str]:
        """Store the chunks of every batch until an empty one; return their SHA-256s. The batches are made in a thread."""

    async def commit(self, volume_id: str, cause: str, changes: Sequence[Change]) -> int:
        """Make changes one version; return the newest."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The container whose user code asks the platform, as its worker knows it."""

    container_id: str
    function_id: str
    function_name: str
    is_restricted: bool  # it may ask nothing


class Platform(Protocol):
    """Whoever answers what user code asks. Every method raises `WireError`; methods and messages are the schema's, encoded."""

    async def ask(self, caller: Caller, method: str, request: bytes) -> bytes:
        """Return the reply."""

    def follow(self, caller: Caller, method: str, request: bytes) -> AsyncGenerator[bytes, None]:
        """Yield the replies of a method that streams."""

    def exchange(
        self, caller: Caller, parts: AsyncIterator[tuple[bytes, int]]
    ) -> AsyncGenerator[tuple[bytes, int], None]:
        """Carry parts of a web request both ways, each side's with credit for those of the other."""
        ...

    async def upload(self, pieces: AsyncIterator[bytes]) -> bytes:
        """Store a blob; return the reply."""


class SecretSource(Protocol):
    """Whoever knows the values of secrets."""

    async def reveal(self, container_id: str, function_id: str) -> dict[str, str]:
        """Return the variables that the function's secrets are. Raises `ContainerStartError`."""


@dataclass(frozen=True, slots=True)
class OpenedConsole:
    """A console that waits for its START, and what of that the container says; see `offload.wire.guest.console`."""

    socket: Socket  # ours; stream, non-blocking
    env: dict[str, str]
    working_dir: str


class HasConsoles(Protocol):
    """Whoever has containers."""

    async def open_console(self, container_id: str) -> OpenedConsole:
        """Start a console in a container. Raises `ConsoleRefusedError`."""


class BuildListener(Protocol):
    """Whoever waits for an image."""

    audience: str  # who reads its lines in the end: of several with the same, one is told

    def on_progress(self, text: str) -> None:
        """Take note of what is being done, in words; empty once nothing is."""

    def on_build_line(self, text: str) -> None:
        """Take a line that a step printed."""


class ImageHold(Protocol):
    """A built image that stays on this machine until it is released."""

    root: RootImage
    python_version: str  # "3.11.2"

    def release(self) -> None:
        """Let the image go. Idempotent."""


class OpenBlob(Protocol):
    """Opens a user's bytes that are a blob."""

    async def __call__(self, content: Content, /) -> IO[bytes]:
        """Return the file, which the caller closes. Raises OSError with a reason."""


class ImageBuilder(Protocol):
    """Builds images and keeps them by their digest."""

    async def build(self, image: Image, listener: BuildListener) -> ImageHold:
        """Return the image, built where it is not here yet.

        Steps that are here already are not run again, whatever image they were built for. Of callers that want the same
        at once one builds and all wait. Raises `ImageError`. A call that is cancelled leaves nothing half made, and ends
        the building where nobody else waits for it.
        """

    async def close(self) -> None:
        """End what is being built. Idempotent."""


class Container(Protocol):
    """A started container. Its runner is on the other end of `socket`."""

    container_id: str
    socket: socket.socket  # ours; stream, non-blocking
    stdout_fd: int  # read ends of what is written below Python, non-blocking
    stderr_fd: int

    async def wait(self) -> Exit:
        """Return when every process of the container is gone. May be awaited by several at once."""

    async def open_console(self) -> Socket:
        """Start a console (`offload.runner.console`) beside the runner; return our end of its conversation, non-blocking.

        Whatever the sandbox holds the runner to holds for it and for what it starts: namespaces, user, capabilities, filter of
        system calls, control groups, limits. It needs nothing of the runner, whose user code may do what it likes. It ends when the
        conversation is closed, and at the latest with the container. Raises `ConsoleRefusedError`; then there is none.
        """

    def kill(self) -> None:
        """End every process of the container at once. Idempotent, legal after the end."""

    async def close(self) -> None:
        """Kill, wait, and release everything (descriptors, cgroup, mounts). Idempotent."""


class Template(Container, Protocol):
    """A started process that becomes a function, as a container's does, and then runs no input: it is forked.

    Its own end ends no container that was forked from it; `kill` ends it alone, `close` also its containers.
    """

    async def fork(self, spec: ContainerSpec) -> Container:
        """Start a container with the function loaded; its runner says Hello and Loaded by itself.

        The template must have said that it is loaded, for a spec that differs in its id alone. Raises and is cancelled as
        `Runtime.start`.
        """

    async def retire(self) -> None:
        """Kill it, and close it when the last of its containers is closed."""


class Runtime(Protocol):
    """Starts containers, one way. Constructing it checks the machine and raises `RuntimeUnavailableError`."""

    capabilities: RuntimeCapabilities

    async def start(self, spec: ContainerSpec) -> Container:
        """Start a container whose first process is the runner; return before it is ready.

        Raises `ContainerStartError`; then nothing of it is left. Cancelling the call leaves nothing either.
        """

    async def close(self) -> None:
        """Kill what is left and release what the runtime itself holds. Idempotent."""


class ForkingRuntime(Runtime, Protocol):
    """A runtime whose `capabilities.forks_templates`."""

    async def start_template(self, spec: ContainerSpec) -> Template:
        """Start a template as `start` does a container."""
