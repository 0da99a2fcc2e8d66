"""The life of one container: started, made ready, watched, ended."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol, TypeVar

from offload.wire import guest
from offload.wire.images import OWN_PATH, SOURCE_DIR
from offload.worker.core.attribution import Ending, failure_of
from offload.worker.core.gpus import GPU_VARIABLES
from offload.worker.core.text import MAX_NAME_BYTES, cut, one_line, split_long
from offload.worker.core.values import ContainerState, Failure, FailureKind, Line, Report
from offload.worker.ports import ContainerSpec, ContainerStartError, ImageError, LocalImage
from offload.worker.supervisor.channel import Channel
from offload.worker.supervisor.output import OutputPipe
from offload.worker.supervisor.preparation import Preparation, image_failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from offload.worker.core.values import Content, Function, Gpu, Start
    from offload.worker.ports import Container, Exit, ImageBuilder, Runtime

DEFAULT_STARTUP_SECONDS = 60.0

# Kept to say why a container did not start.
_LAST_LINES = 20

_T = TypeVar("_T")


class Listener(Protocol):
    """Whom the supervisor tells what happens."""

    def on_report(self, report: Report) -> None:
        """Take note of where a container is in its life."""

    def on_ready(self, life: Life) -> None:
        """Give the container work."""

    def on_message(self, container_id: str, message: guest.Message) -> None:
        """Take what a ready container said. May raise `guest.GuestProtocolError`."""

    def on_gone(self, container_id: str, ending: Ending, *, is_innocent: bool) -> None:
        """Settle what was in the hand of a container that was ready."""

    def on_line(self, line: Line) -> None:
        """Take a line of output."""

    def current_input(self, container_id: str) -> str:
        """Return the input that a container runs; empty when none."""


@dataclass(frozen=True, slots=True)
class SupervisorOptions:
    """What containers are made with."""

    runtimes: Mapping[str, Runtime]  # default first
    host_id: str
    open_blob: Callable[[Content], Awaitable[IO[bytes]]]  # raises OSError with a reason
    listener: Listener
    gpus: tuple[Gpu, ...] = ()  # what the worker has
    images: ImageBuilder | None = None  # None: functions with an image cannot start


class _StartFailedError(Exception):
    """The container cannot become ready; the message is one line for the function's caller."""


class Life:
    """One container. See `offload.worker.inputs.Guest` for what the desk does with it."""

    def __init__(self, order: Start, function: Function, options: SupervisorOptions) -> None:
        self.container_id = order.container_id
        self.gpu_indices = order.gpu_indices
        self.function = function
        self.state = ContainerState.STARTING
        self._options = options
        self._listener = options.listener
        loop = asyncio.get_running_loop()
        self._hello: asyncio.Future[guest.Hello] = loop.create_future()
        self._loaded: asyncio.Future[guest.Loaded] = loop.create_future()
        self._preparation = Preparation(
            function,
            order.container_id,
            options.listener.on_line,
            lambda: self._report(ContainerState.STARTING),
        )
        self._container: Container | None = None
        self._channel: Channel | None = None
        self._pipes: list[OutputPipe] = []
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._announced_code: int | None = None
        self._killed_because = ""
        self._is_stopping = False
        self._is_out_of_grace = False
        self._grace_timer: asyncio.TimerHandle | None = None
        self._holds: set[str] = set()
        self.task = loop.create_task(self._live(), name=f"container {order.container_id}")

    # --- what others ask of it ---

    def send(self, message: guest.Message) -> None:
        """See `Channel.send`."""
        if self._channel is not None:
            self._channel.send(message)

    def send_file(self, file: IO[bytes]) -> int:
        """See `Channel.send_file`."""
        assert self._channel is not None, "only a ready container is given inputs"  # noqa: S101  # a bug here
        return self._channel.send_file(file)

    def hold(self, reason: str, *, on: bool) -> None:
        """Stop listening to it, or go on, for one reason of possibly several."""
        if on:
            self._holds.add(reason)
        else:
            self._holds.discard(reason)
        if self._channel is not None:
            self._channel.hold(reason, on=on)
        for pipe in self._pipes:
            pipe.hold(on=bool(self._holds))

    def kill(self, reason: str) -> None:
        """End it; `reason` is what its running input is told."""
        self._killed_because = self._killed_because or reason
        if self._container is not None:
            self._container.kill()

    def stop(self, grace_seconds: float) -> None:
        """End it: at once while it starts, else once the input in hand has ended or the grace is over.

        Repeats are harmless, and can only shorten the grace.
        """
        if not self._is_stopping:
            self._is_stopping = True
            if self.state is ContainerState.STARTING:
                self.task.cancel()
                return
            self.send(guest.Stop())
        if self.task.done() or self.state is ContainerState.STARTING:
            return
        loop = asyncio.get_running_loop()
        if self._grace_timer is None or loop.time() + grace_seconds < self._grace_timer.when():
            if self._grace_timer is not None:
                self._grace_timer.cancel()
            self._grace_timer = loop.call_later(grace_seconds, self._end_grace)

    def _end_grace(self) -> None:
        self._is_out_of_grace = True
        self.kill("its container was stopped")

    # --- its life ---

    async def _live(self) -> None:
        failure = None
        try:
            self._report(ContainerState.STARTING)
            try:
                await self._start()
            except ImageError as error:
                failure, ended = image_failure(error), ContainerState.FAILED
            except (_StartFailedError, ContainerStartError, OSError) as error:
                failure, ended = self._start_failure(error), ContainerState.FAILED
            except asyncio.CancelledError:
                if not self._is_stopping:
                    raise
                ended = ContainerState.STOPPED
            else:
                ended, failure = await self._serve()
        finally:
            await self._release()
        self._report(ended, failure)

    async def _start(self) -> None:
        function = self.function
        runtime = self._runtime()
        # The time that an image takes to build is not the container's.
        await self._preparation.prepare(self._options.images, runtime)
        seconds = function.startup_timeout_seconds or DEFAULT_STARTUP_SECONDS
        try:
            async with asyncio.timeout(seconds):
                await self._launch(runtime)
                hello = await self._unless_gone(self._hello)
                if hello.protocol != guest.GUEST_PROTOCOL:
                    raise _StartFailedError(
                        f"its runner speaks protocol {hello.protocol}, this worker {guest.GUEST_PROTOCOL}"
                    )
                await self._load()
                loaded = await self._unless_gone(self._loaded)
        except TimeoutError as error:
            raise _StartFailedError(
                f"its container did not say it was ready within {seconds:g} s"
            ) from error
        if loaded.fault is not None:
            fault = loaded.fault
            where = f" ({fault.frames[-1].file}:{fault.frames[-1].line})" if fault.frames else ""
            kind = fault.type_name.removeprefix("builtins.")
            raise _StartFailedError(
                f"function {function.name!r} could not be loaded: {kind}: {fault.message}{where}{self._preparation.advice(fault)}"
            )

    def _start_failure(self, error: Exception) -> Failure:
        for pipe in self._pipes:
            pipe.finish()
        reason = one_line(str(error) or type(error).__name__, 4096)
        return Failure(FailureKind.START, reason, last_lines=tuple(self._last_lines))

    def _runtime(self) -> Runtime:
        name = self.function.runtime or next(iter(self._options.runtimes))
        runtime = self._options.runtimes.get(name)
        if runtime is None:
            raise _StartFailedError(
                f"this worker has no runtime {name!r}; it has {', '.join(self._options.runtimes)}"
            )
        return runtime

    async def _launch(self, runtime: Runtime) -> None:
        self._container = await runtime.start(self._spec())
        container = self._container
        self._channel = Channel(container.socket, self._on_message, self._on_broken)
        for fd, stream in ((container.stdout_fd, "stdout"), (container.stderr_fd, "stderr")):
            self._pipes.append(OutputPipe(fd, self._line_writer(stream)))
        for reason in self._holds:
            self.hold(reason, on=True)

    def _local_image(self) -> LocalImage:
        function = self.function
        if function.host_id and function.host_id != self._options.host_id:
            raise _StartFailedError(
                "the caller's Python environment is on another machine: run a worker there, or call from here"
            )
        if not function.python or not Path(function.python).exists():
            raise _StartFailedError(f"there is no interpreter {function.python!r} on this machine")
        return LocalImage(
            function.python,
            tuple(path for path in function.read_only_paths if Path(path).exists()),
            function.working_dir or "/",
        )

    def _spec(self) -> ContainerSpec:
        function = self.function
        image = self._preparation.root or self._local_image()
        return ContainerSpec(
            container_id=self.container_id,
            function_name=function.name,
            image=image,
            cpu_milli=function.cpu_milli,
            memory_mib=function.memory_mib,
            block_network=function.block_network,
            gpus=self._gpus(),
        )

    def _gpus(self) -> tuple[Gpu, ...]:
        present = {gpu.index: gpu for gpu in self._options.gpus}
        missing = [str(index) for index in self.gpu_indices if index not in present]
        if missing:
            have = f"it has {', '.join(map(str, present))}" if present else "it has none"
            raise _StartFailedError(f"this worker has no GPU {', '.join(missing)}; {have}")
        return tuple(present[index] for index in self.gpu_indices)

    async def _load(self) -> None:
        function = self.function
        root = self._preparation.root
        code = guest.Body(function.code.encoding, function.code.inline)
        if function.code.sha256:
            try:
                file = await self._options.open_blob(function.code)
            except OSError as error:
                raise _StartFailedError(f"its code could not be brought here: {error}") from error
            code = guest.Body(function.code.encoding, b"", self.send_file(file))
        self.send(
            guest.Load(
                function_name=function.name,
                is_generator=function.is_generator,
                code=code,
                sys_path=function.sys_path if root is None else (SOURCE_DIR, OWN_PATH),
                env=tuple(pair for pair in function.env if pair[0] not in GPU_VARIABLES),
                working_dir=function.working_dir if root is None else root.working_dir,
            )
        )

    async def _serve(self) -> tuple[ContainerState, Failure | None]:
        assert self._container is not None, "it was started"  # noqa: S101  # a bug here
        self._report(ContainerState.READY)
        self._listener.on_ready(self)
        ending = self._ending(await self._container.wait())
        is_innocent = self._is_stopping and (self._is_out_of_grace or ending.code == 0)
        self._listener.on_gone(self.container_id, ending, is_innocent=is_innocent)
        if is_innocent:
            return ContainerState.STOPPED, None
        return ContainerState.DIED, failure_of(ending)

    def _ending(self, exited: Exit) -> Ending:
        """Hear its last words, then say how it ended."""
        if self._channel is not None:
            self._channel.drain()
        for pipe in self._pipes:
            pipe.finish()
        return Ending(
            code=exited.code,
            signal=exited.signal,
            out_of_memory=exited.out_of_memory,
            peak_memory_mib=exited.peak_memory_mib,
            memory_mib=self.function.memory_mib,
            announced_code=self._announced_code,
            killed_because=self._killed_because,
            detail=exited.detail,
        )

    async def _unless_gone(self, answer: asyncio.Future[_T]) -> _T:
        assert self._container is not None, "it was started"  # noqa: S101  # a bug here
        gone = asyncio.ensure_future(self._container.wait())
        try:
            waits: list[asyncio.Future[_T] | asyncio.Future[Exit]] = [answer, gone]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                reason = failure_of(self._ending(gone.result())).reason
                if not answer.done():
                    raise _StartFailedError(f"its container ended before it was ready: {reason}")
        finally:
            gone.cancel()
        return answer.result()

    async def _release(self) -> None:
        if self._grace_timer is not None:
            self._grace_timer.cancel()
        if self._channel is not None:
            self._channel.close()
        for pipe in self._pipes:
            pipe.finish()
        if self._container is not None:
            await self._container.close()
        self._preparation.release()

    # --- what it says ---

    def _on_message(self, message: guest.Message) -> None:
        if self.state is ContainerState.READY and not isinstance(message, guest.Exiting):
            self._listener.on_message(self.container_id, message)
        elif isinstance(message, guest.Hello) and not self._hello.done():
            self._hello.set_result(message)
        elif isinstance(message, guest.Loaded) and not self._loaded.done():
            self._loaded.set_result(message)
        elif isinstance(message, guest.Exiting):
            self._announced_code = message.code
        elif isinstance(message, guest.Outputs):
            for output in message.lines:
                for text in split_long(output.text):
                    self._line_writer("stderr" if output.stream == "stderr" else "stdout")(text)
        else:
            raise guest.GuestProtocolError(f"{type(message).__name__} came before it was ready")

    def _on_broken(self, why: str) -> None:
        self.kill(f"its container broke the runner's protocol: {one_line(why)}")

    def _line_writer(self, stream: str) -> Callable[[str], None]:
        function = self.function

        def write(text: str) -> None:
            if self.state is ContainerState.STARTING:
                self._last_lines.append(cut(text, MAX_NAME_BYTES))
            input_id = self._listener.current_input(self.container_id)
            self._listener.on_line(
                Line(function.app_id, function.name, self.container_id, input_id, stream, text)
            )

        return write

    def report(self, failure: Failure | None = None) -> Report:
        """Say where it is in its life."""
        function_id = self.function.function_id
        return Report(
            self.container_id,
            function_id,
            self.state,
            failure,
            gpu_indices=self.gpu_indices,
            progress=self._preparation.progress,
        )

    def _report(self, state: ContainerState, failure: Failure | None = None) -> None:
        self.state = state
        self._listener.on_report(self.report(failure))
