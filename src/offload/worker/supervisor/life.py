"""The life of one container: started, made ready, watched, ended."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import IO, TYPE_CHECKING, TypeVar

from offload.wire import guest
from offload.worker.asking import Asks
from offload.worker.core.attribution import Ending, failure_of
from offload.worker.core.text import MAX_NAME_BYTES, cut, one_line, split_long
from offload.worker.core.values import ContainerState, Failure, FailureKind, Line, Report
from offload.worker.ports import (
    ConsoleRefusedError,
    ContainerStartError,
    FunctionRefusedError,
    ImageError,
)
from offload.worker.supervisor.channel import Channel
from offload.worker.supervisor.ending import ending_of
from offload.worker.supervisor.metering import OutputMeter
from offload.worker.supervisor.output import OutputPipe
from offload.worker.supervisor.preparation import Preparation, image_failure
from offload.worker.supervisor.secrecy import Secrecy
from offload.worker.supervisor.starting import (
    DEFAULT_STARTUP_SECONDS,
    StartFailedError,
    caller_of,
    check_hello,
    choose_gpus,
    choose_runtime,
    local_image_of,
    not_loaded,
    opened_console,
    send_load,
    spec_of,
)
from offload.worker.supervisor.templates import FORK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from offload.worker.core.values import Function, Start
    from offload.worker.ports import Container, Exit, OpenedConsole, Runtime
    from offload.worker.supervisor.options import SupervisorOptions


# Kept to say why a container did not start.
_LAST_LINES = 20

_T = TypeVar("_T")


class Life:
    """One container. See `offload.worker.inputs.Guest` for what the desk does with it."""

    def __init__(self, order: Start, function: Function, options: SupervisorOptions) -> None:
        self.container_id = order.container_id
        self.gpu_indices = order.gpu_indices
        self.function = function
        self._started_as = function  # with the values of its secrets
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
        self._secrecy = Secrecy(function, order.container_id, options.secrets)
        self._container: Container | None = None
        self._channel: Channel | None = None
        self._asks: Asks | None = None
        self._pipes: list[OutputPipe] = []
        self._output = OutputMeter(
            options.output, options.listener.on_line, lambda on: self.hold("output", on=on)
        )
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._exiting: guest.Exiting | None = None
        self._killed_because = ""
        self._is_stopping = False
        self._is_releasing = False
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

    def print(self, line: Line) -> None:
        """Pass a line of its output on, as far as it may print."""
        self._output.take(line)

    @property
    def hides_values(self) -> bool:
        """See `Guest`."""
        return self._secrecy.is_needed

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

    async def open_console(self) -> OpenedConsole:
        """Start a console in it, where it has its function's variables and begins in its folder.

        Raises `ConsoleRefusedError`.
        """
        if self._container is None:
            waits_for = self._preparation.progress or "it is being prepared"
            raise ConsoleRefusedError(f"it has not started yet: {waits_for}")
        return opened_console(
            await self._container.open_console(), self._started_as, self._preparation.root
        )

    def kill(self, reason: str) -> None:
        """End it; `reason` is what its running input is told."""
        self._killed_because = self._killed_because or self._secrecy.text(reason)
        if self._container is not None:
            self._container.kill()

    def stop(self, grace_seconds: float) -> None:
        """End it: at once while it starts, else once the input in hand has ended or the grace is over.

        Repeats are harmless, and can only shorten the grace.
        """
        if not self._is_stopping:
            self._is_stopping = True
            if self.state is ContainerState.STARTING:
                # A start that has failed by itself lets go of what it held: nothing is to cut that short.
                if not self._is_releasing:
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

    def retire(self, grace_seconds: float) -> None:
        """Stop it and say so at once: whoever is next need not wait for its end."""
        if not self._is_stopping:
            self._listener.on_report(self.report()._replace(state=ContainerState.STOPPING))
        self.stop(grace_seconds)

    def _end_grace(self) -> None:
        self._is_out_of_grace = True
        if not self._listener.current_input(self.container_id):
            # Nobody waits for a result that could say so.
            text = "a stopped container was killed: what it still ran, such as exit hooks, took longer than its grace"
            function = self.function
            self.print(Line(function.app_id, function.name, self.container_id, "", "system", text))
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
            except (StartFailedError, ContainerStartError, OSError) as error:
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
        runtime = choose_runtime(self.function, self._options.runtimes)
        # The time that an image takes to build is not the container's.
        await self._preparation.prepare(self._options.images, runtime, self._options.volumes)
        seconds = self.function.startup_timeout_seconds or DEFAULT_STARTUP_SECONDS
        try:
            async with asyncio.timeout(seconds):
                function = self._started_as = await self._secrecy.learn()
                if not await self._start_forked(function):
                    await self._start_plainly(runtime, function)
        except TimeoutError as error:
            raise StartFailedError(
                f"its container did not say it was ready within {seconds:g} s"
            ) from error

    async def _start_forked(self, function: Function) -> bool:
        """Take a fork of the function's template; return False where there is none to be had, or it cannot be loaded."""
        templates = self._options.templates
        if templates is None or self.gpu_indices or self.function.volumes:
            return False
        container = await templates.fork(function, self.container_id)
        if container is None:
            return False
        self._attach(container)
        try:
            async with asyncio.timeout(FORK_SECONDS):
                check_hello(await self._unless_gone(self._hello))
            if (fault := (await self._unless_gone(self._loaded)).fault) is not None:
                raise not_loaded(function, fault, "")
        except (StartFailedError, TimeoutError):
            templates.fork_failed(function)
            await self._detach()
            return False
        return True

    async def _start_plainly(self, runtime: Runtime, function: Function) -> None:
        options = self._options
        gpus = choose_gpus(self.gpu_indices, options.gpus)
        root = self._preparation.root
        image = root or local_image_of(function, options.host_id)
        spec = spec_of(function, self.container_id, image, gpus, self._preparation.binds)
        channel = self._attach(await runtime.start(spec))
        check_hello(await self._unless_gone(self._hello))
        await self._preparation.settle()
        await send_load(channel, function, options.open_blob, root)
        loaded = await self._unless_gone(self._loaded)
        if loaded.fault is not None:
            raise not_loaded(function, loaded.fault, self._preparation.advice(loaded.fault))
        if options.templates is not None and not self.gpu_indices and not function.volumes:
            options.templates.started_plainly(function)

    def _start_failure(self, error: Exception) -> Failure:
        for pipe in self._pipes:
            pipe.finish()
        reason = one_line(str(error) or type(error).__name__, 4096)
        blamed = type(error).__name__ if isinstance(error, FunctionRefusedError) else ""
        type_name = error.type_name if isinstance(error, StartFailedError) else blamed
        return Failure(FailureKind.START, reason, 0, 0, tuple(self._last_lines), type_name)

    def _attach(self, container: Container) -> Channel:
        self._container = container
        channel = self._channel = Channel(container.socket, self._on_message, self._on_broken)
        if self._options.platform is not None:
            self._asks = Asks(
                caller_of(self.function, self.container_id),
                self._options.platform,
                channel.send,
                lambda: channel.unsent_bytes,
                self.kill,
            )
        for fd, stream in ((container.stdout_fd, "stdout"), (container.stderr_fd, "stderr")):
            self._pipes.append(OutputPipe(fd, self._line_writer(stream, hides=True)))
        for reason in self._holds:
            self.hold(reason, on=True)
        return channel

    async def _detach(self) -> None:
        """Leave a container that did not become ready, as if there had been none; the next is started with what was prepared."""
        await self._end_container()
        self._container = self._channel = self._asks = self._exiting = None
        self._killed_because = ""
        self._pipes.clear()
        self._last_lines.clear()
        loop = asyncio.get_running_loop()
        self._hello, self._loaded = loop.create_future(), loop.create_future()

    async def _serve(self) -> tuple[ContainerState, Failure | None]:
        assert self._container is not None, "it was started"  # noqa: S101  # a bug here
        self._report(ContainerState.READY)
        self._listener.on_ready(self)
        ending = self._ending(await self._container.wait())
        is_innocent = self._is_stopping and (self._is_out_of_grace or ending.code == 0)
        if is_innocent and ending.code == 0:
            # Before anybody is given what it leaves: whoever is next sees what it wrote last.
            await self._preparation.unmount(commits=True)
        self._listener.on_gone(self.container_id, ending, is_innocent=is_innocent)
        if is_innocent:
            return ContainerState.STOPPED, None
        return ContainerState.DIED, failure_of(ending)

    def _ending(self, exited: Exit) -> Ending:
        """Hear its last words, then say how it ended."""
        if self._channel is not None:
            self._channel.drain()
        if self._asks is not None:
            self._asks.close()
        for pipe in self._pipes:
            pipe.finish()
        return ending_of(exited, self.function.memory_mib, self._exiting, self._killed_because)

    async def _unless_gone(self, answer: asyncio.Future[_T]) -> _T:
        assert self._container is not None, "it was started"  # noqa: S101  # a bug here
        gone = asyncio.ensure_future(self._container.wait())
        try:
            waits: list[asyncio.Future[_T] | asyncio.Future[Exit]] = [answer, gone]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                reason = failure_of(self._ending(gone.result())).reason
                if not answer.done():
                    raise StartFailedError(f"its container ended before it was ready: {reason}")
        finally:
            gone.cancel()
        return answer.result()

    async def _end_container(self) -> None:
        if self._asks is not None:
            self._asks.close()
        if self._channel is not None:
            self._channel.close()
        for pipe in self._pipes:
            pipe.finish()
        if self._container is not None:
            await self._container.close()

    async def _release(self) -> None:
        self._is_releasing = True
        if self._grace_timer is not None:
            self._grace_timer.cancel()
        await self._end_container()
        self._output.close()
        await self._preparation.release()

    # --- what it says ---

    def _on_message(self, message: guest.Message) -> None:
        message = self._secrecy.message(message)
        if self._asks is not None and self._asks.hear(message):
            return
        if self.state is ContainerState.READY and not isinstance(message, guest.Exiting):
            if isinstance(message, guest.Results) and self._preparation.root is not None:
                self._preparation.advise(message)
            self._listener.on_message(self.container_id, message)
        elif isinstance(message, guest.Hello) and not self._hello.done():
            self._hello.set_result(message)
        elif isinstance(message, guest.Loaded) and not self._loaded.done():
            self._loaded.set_result(message)
        elif isinstance(message, guest.Exiting):
            self._exiting = message
        elif isinstance(message, guest.Outputs):
            for output in message.lines:
                for text in split_long(output.text):
                    self._line_writer("stderr" if output.stream == "stderr" else "stdout")(text)
        else:
            raise guest.GuestProtocolError(f"{type(message).__name__} came before it was ready")

    def _on_broken(self, why: str) -> None:
        self.kill(f"its container broke the runner's protocol: {one_line(why)}")

    def _line_writer(self, stream: str, *, hides: bool = False) -> Callable[[str], None]:
        function = self.function

        def write(text: str) -> None:
            text = self._secrecy.line(stream, "", text) if hides else text
            if self.state is ContainerState.STARTING:
                self._last_lines.append(cut(text, MAX_NAME_BYTES))
            input_id = self._listener.current_input(self.container_id)
            self.print(
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
        self._listener.on_report(self.report(self._secrecy.failure(failure)))
