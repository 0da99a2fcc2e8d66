"""What a container is started with, and what it is told first."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

from offload.wire import guest
from offload.wire.images import OWN_PATH, SOURCE_DIR
from offload.worker.core.gpus import GPU_VARIABLES
from offload.worker.ports import (
    DEFAULT_PIDS,
    Caller,
    ContainerSpec,
    LocalImage,
    OpenedConsole,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from offload.worker.core.values import Content, Function, Gpu
    from offload.worker.ports import RootImage, Runtime, VolumeBind
    from offload.worker.supervisor.channel import Channel

DEFAULT_STARTUP_SECONDS = 60.0

_MOST_USUAL_SCRATCH_MIB = 1024


class StartFailedError(Exception):
    """The container cannot become ready; the message is one line for the function's caller.

    `type_name` is what loading the function raised, where it came so far: then the function is to blame, not the worker.
    """

    def __init__(self, message: str, type_name: str = "") -> None:
        super().__init__(message)
        self.type_name = type_name


def not_loaded(function: Function, fault: guest.Fault, advice: str) -> StartFailedError:
    """Return what to raise where loading the function raised."""
    where = f" ({fault.frames[-1].file}:{fault.frames[-1].line})" if fault.frames else ""
    kind = fault.type_name.removeprefix("builtins.")
    message = (
        f"function {function.name!r} could not be loaded: {kind}: {fault.message}{where}{advice}"
    )
    return StartFailedError(message, fault.type_name)


def choose_runtime(function: Function, runtimes: Mapping[str, Runtime]) -> Runtime:
    """Return the runtime a function asks for, or the default one. Raises `StartFailedError`."""
    name = function.runtime or next(iter(runtimes))
    runtime = runtimes.get(name)
    if runtime is None:
        raise StartFailedError(f"this worker has no runtime {name!r}; it has {', '.join(runtimes)}")
    return runtime


def local_image_of(function: Function, host_id: str) -> LocalImage:
    """Return the caller's environment, for a function without an image. Raises `StartFailedError`."""
    if function.host_id and function.host_id != host_id:
        raise StartFailedError(
            "the caller's Python environment is on another machine: run a worker there, or call from here"
        )
    if not function.python or not Path(function.python).exists():
        raise StartFailedError(f"there is no interpreter {function.python!r} on this machine")
    return LocalImage(
        function.python,
        tuple(path for path in function.read_only_paths if Path(path).exists()),
        function.working_dir or "/",
    )


def spec_of(
    function: Function,
    container_id: str,
    image: LocalImage | RootImage,
    gpus: tuple[Gpu, ...] = (),
    volumes: tuple[VolumeBind, ...] = (),
) -> ContainerSpec:
    """Return what a runtime is told of a container of the function."""
    return ContainerSpec(
        container_id=container_id,
        function_name=function.name,
        image=image,
        cpu_milli=function.cpu_milli,
        cpu_limit_milli=function.cpu_limit_milli,
        memory_mib=function.memory_mib,
        scratch_mib=function.ephemeral_disk_mib or usual_scratch_mib(function.memory_mib),
        owns_scratch=bool(function.ephemeral_disk_mib),
        block_network=function.block_network,
        allowed=function.allowed,
        gpus=gpus,
        volumes=volumes,
        pids=DEFAULT_PIDS + (function.max_calls if function.max_calls > 1 else 0),
    )


def usual_scratch_mib(memory_mib: int) -> int:
    """Return how much of a container's memory its files may take: they leave it enough to say that the disk is full."""
    return max(1, min(_MOST_USUAL_SCRATCH_MIB, memory_mib * 3 // 4))


def caller_of(function: Function, container_id: str) -> Caller:
    """Return who asks when user code of this container does."""
    return Caller(
        container_id, function.function_id, function.name, function.restrict_platform_access
    )


def choose_gpus(wanted: Collection[int], present: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    """Return the GPUs with these numbers. Raises `StartFailedError`."""
    by_index = {gpu.index: gpu for gpu in present}
    missing = [str(index) for index in wanted if index not in by_index]
    if missing:
        have = f"it has {', '.join(map(str, by_index))}" if by_index else "it has none"
        raise StartFailedError(f"this worker has no GPU {', '.join(missing)}; {have}")
    return tuple(by_index[index] for index in wanted)


async def send_load(
    channel: Channel,
    function: Function,
    open_blob: Callable[[Content], Awaitable[IO[bytes]]],
    root: RootImage | None = None,
) -> None:
    """Tell a runner to become the function. Raises `StartFailedError`."""
    code = guest.Body(function.code.encoding, function.code.inline)
    if function.code.sha256:
        try:
            file = await open_blob(function.code)
        except OSError as error:
            raise StartFailedError(f"its code could not be brought here: {error}") from error
        code = guest.Body(function.code.encoding, b"", channel.send_file(file))
    channel.send(
        guest.Load(
            function_name=function.name,
            is_generator=function.is_generator,
            code=code,
            sys_path=function.sys_path if root is None else (SOURCE_DIR, OWN_PATH),
            env=tuple(pair for pair in function.env if pair[0] not in GPU_VARIABLES),
            working_dir=function.working_dir if root is None else root.working_dir,
            max_calls=function.max_calls,
            batch_size=function.batch_size if function.is_batched else 0,
            batch_wait_seconds=function.batch_wait_seconds,
            parameters=function.parameters,
        )
    )


def opened_console(
    sock: socket.socket, function: Function, root: RootImage | None
) -> OpenedConsole:
    """Return a console with what the function's own code has in its environment, and where it begins."""
    return OpenedConsole(
        sock,
        {name: value for name, value in function.env if name not in GPU_VARIABLES},
        function.working_dir if root is None else root.working_dir,
    )


def check_hello(hello: guest.Hello) -> None:
    """Raise `StartFailedError` where the runner is of another version than this worker."""
    if hello.protocol != guest.GUEST_PROTOCOL:
        raise StartFailedError(
            f"its runner speaks protocol {hello.protocol}, this worker {guest.GUEST_PROTOCOL}"
        )
