"""Carries out what `offload.worker.core.templates` decides: starts templates, forks them, ends them."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from offload.wire import guest
from offload.worker.core.templates import Build, TemplateDecisions, TemplatePolicy
from offload.worker.core.text import one_line
from offload.worker.core.values import Line
from offload.worker.ports import ContainerStartError, ImageError
from offload.worker.supervisor.channel import Channel
from offload.worker.supervisor.output import OutputPipe
from offload.worker.supervisor.preparation import Unheard
from offload.worker.supervisor.starting import (
    DEFAULT_STARTUP_SECONDS,
    StartFailedError,
    check_hello,
    choose_runtime,
    local_image_of,
    send_load,
    spec_of,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from offload.worker.core.values import Content, Function
    from offload.worker.ports import (
        Container,
        ForkingRuntime,
        ImageBuilder,
        ImageHold,
        RootImage,
        Runtime,
        Template,
    )

_log = logging.getLogger(__name__)

# One that takes longer is killed, so that its container starts plainly.
FORK_SECONDS = 5.0


def available_memory_mib() -> int:
    """Return what the kernel says could be had without swapping."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0


@dataclass(frozen=True, slots=True)
class TemplatesOptions:
    """What templates are made with."""

    runtimes: Mapping[str, Runtime]  # default first
    host_id: str
    open_blob: Callable[[Content], Awaitable[IO[bytes]]]  # raises OSError with a reason
    on_line: Callable[[Line], None]
    policy: TemplatePolicy = field(default_factory=TemplatePolicy)
    images: Mapping[str, ImageBuilder] = field(default_factory=dict)  # see `RuntimeCapabilities`
    available_mib: Callable[[], int] = available_memory_mib


class Templates:
    """The templates of one worker."""

    def __init__(self, options: TemplatesOptions) -> None:
        self._options = options
        self._decisions = TemplateDecisions(options.policy)
        self._loop = asyncio.get_running_loop()
        self._functions: dict[str, Function] = {}
        self._ready: dict[str, _Loaded] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}  # builds, by function
        self._retiring: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._count = 0

    @property
    def ready(self) -> list[str]:
        """The functions that have a template now."""
        return list(self._ready)

    async def fork(self, function: Function, container_id: str) -> Container | None:
        """Return a container with the function loaded; None where it is to be started plainly."""
        loaded = self._ready.get(function.function_id)
        if loaded is None or not self._decisions.may_fork(function.function_id, self._loop.time()):
            return None
        if loaded.env != function.env:
            # A secret has changed since: what the function made of it while it was loaded cannot be changed.
            self._decisions.outdated(function.function_id, self._loop.time())
            self._retire(function.function_id)
            return None
        # An answer that never comes ends with its template.
        impatience = self._loop.call_later(FORK_SECONDS, loaded.template.kill)
        try:
            image = loaded.root or local_image_of(function, self._options.host_id)
            spec = spec_of(function, container_id, image)
            return await loaded.template.fork(spec)
        except ContainerStartError as error:
            _log.warning("fork_failed %s %s", function.function_id, error)
            self.fork_failed(function)
            return None
        finally:
            impatience.cancel()

    def fork_failed(self, function: Function) -> None:
        """Give up a template whose fork was no good."""
        self._decisions.died(function.function_id, self._loop.time())
        self._retire(function.function_id)

    def started_plainly(self, function: Function) -> None:
        """Take note that a plain start has succeeded: now a template may be worth its while."""
        runtime = choose_runtime(function, self._options.runtimes)
        # What an entrypoint has started would not be forked with the runner.
        if runtime.capabilities.forks_templates and not _has_entrypoint(function):
            self._functions[function.function_id] = function
            self._decisions.started_plainly(function.function_id, self._loop.time())
            self._keep_ticking()

    def forget(self, function_id: str) -> None:
        """End the template of a function that is no more. One that is being built ends when it is."""
        self._functions.pop(function_id, None)
        self._decisions.forget(function_id)
        if function_id in self._tasks:
            self._tasks[function_id].cancel()
        self._retire(function_id)

    async def close(self) -> None:
        """End all templates; their containers have ended. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        for function_id in list(self._functions):
            self.forget(function_id)
        await asyncio.gather(*self._tasks.values(), *self._retiring, return_exceptions=True)

    def _keep_ticking(self) -> None:
        seconds = self._decisions.next_tick_seconds
        if seconds is None or (
            self._timer is not None and self._timer.when() <= self._loop.time() + seconds
        ):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._tick)

    def _tick(self) -> None:
        self._timer = None
        for decided in self._decisions.tick(self._loop.time(), self._options.available_mib()):
            if isinstance(decided, Build):
                self._start_build(self._functions[decided.function_id])
            else:
                self._retire(decided.function_id)
        self._keep_ticking()

    def _start_build(self, function: Function) -> None:
        function_id = function.function_id
        task = self._loop.create_task(self._build(function), name=f"template of {function_id}")
        self._tasks[function_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(function_id, None))

    async def _build(self, function: Function) -> None:
        function_id = function.function_id
        seconds = function.startup_timeout_seconds or DEFAULT_STARTUP_SECONDS
        loaded: _Loaded | None = None
        try:
            async with asyncio.timeout(seconds):
                loaded = await self._start(function)
                fault = await loaded.load(function, self._options.open_blob)
        except (ContainerStartError, ImageError, StartFailedError, TimeoutError, OSError) as error:
            _log.warning("template_failed %s %s", function_id, error)
            self._decisions.died(function_id, self._loop.time())
        else:
            if fault is None:
                self._ready[function_id], loaded = loaded, None
                self._decisions.built(function_id, self._loop.time())
                self._ready[function_id].watch(lambda: self._on_end(function))
                self._keep_ticking()
            else:
                self._decisions.unusable(function_id, self._loop.time())
                self._explain(function, fault)
        finally:
            if loaded is not None:
                await loaded.close()

    async def _start(self, function: Function) -> _Loaded:
        self._count += 1
        runtime = cast("ForkingRuntime", choose_runtime(function, self._options.runtimes))
        name = f"template-{self._count}-{function.function_id}"
        hold = None
        if function.image is not None:
            # The template's own hold: it outlives the container for which the image was built.
            builder = self._options.images[runtime.capabilities.images]
            hold = await builder.build(function.image, Unheard())
        try:
            image = hold.root if hold is not None else None
            local = image or local_image_of(function, self._options.host_id)
            return _Loaded(await runtime.start_template(spec_of(function, name, local)), hold)
        except BaseException:
            if hold is not None:
                hold.release()
            raise

    def _explain(self, function: Function, fault: guest.Fault) -> None:
        reason = one_line(fault.message)
        _log.info("template_unusable %s %s", function.function_id, reason)
        text = f"every container of {function.name} starts anew, which takes longer: {reason}"
        self._options.on_line(Line(function.app_id, function.name, "", "", "system", text))

    def _on_end(self, function: Function) -> None:
        if function.function_id in self._ready:
            _log.warning("template_died %s", function.function_id)
            self.fork_failed(function)

    def _retire(self, function_id: str) -> None:
        loaded = self._ready.pop(function_id, None)
        if loaded is not None:
            task = self._loop.create_task(loaded.retire(), name=f"end of template {function_id}")
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)


def _has_entrypoint(function: Function) -> bool:
    image = function.image
    return image is not None and any(step.kind == "entrypoint" for step in image.steps)


class _Loaded:
    """A template and the conversation with it. What it prints its first container has printed before."""

    def __init__(self, template: Template, hold: ImageHold | None) -> None:
        loop = asyncio.get_running_loop()
        self.template = template
        self.env: tuple[tuple[str, str], ...] = ()  # what it was loaded with
        self._hold = hold
        self._hello: asyncio.Future[guest.Hello] = loop.create_future()
        self._answer: asyncio.Future[guest.Loaded] = loop.create_future()
        self._channel = Channel(template.socket, self._on_message, lambda _: template.kill())
        self._pipes = [
            OutputPipe(fd, lambda _: None) for fd in (template.stdout_fd, template.stderr_fd)
        ]
        self._watching: asyncio.Task[None] | None = None
        self._end = loop.create_task(self._wait_end())

    async def load(
        self, function: Function, open_blob: Callable[[Content], Awaitable[IO[bytes]]]
    ) -> guest.Fault | None:
        """Have it become the function; return why it cannot be forked, or None. Raises `StartFailedError`."""
        check_hello(await self._hello)
        self.env = function.env
        await send_load(self._channel, function, open_blob, self.root)
        return (await self._answer).fault

    def watch(self, on_end: Callable[[], None]) -> None:
        """Call back when it ends."""
        self._end.add_done_callback(lambda task: None if task.cancelled() else on_end())

    async def retire(self) -> None:
        """See `Template`."""
        self._stop()
        await self.template.retire()
        self._let_go()

    async def close(self) -> None:
        """See `Template`."""
        self._stop()
        await self.template.close()
        self._let_go()

    @property
    def root(self) -> RootImage | None:
        """The image's root; None where the function has no image."""
        return self._hold.root if self._hold is not None else None

    def _let_go(self) -> None:
        if self._hold is not None:
            self._hold.release()

    def _stop(self) -> None:
        self._end.cancel()
        self._channel.close()
        for pipe in self._pipes:
            pipe.finish()

    async def _wait_end(self) -> None:
        ended = await self.template.wait()
        for future in (self._hello, self._answer):
            if not future.done():
                how = f"code {ended.code}" if ended.signal is None else f"signal {ended.signal}"
                future.set_exception(StartFailedError(f"the template ended with {how}"))
                future.exception()  # nobody may be waiting for it

    def _on_message(self, message: guest.Message) -> None:
        if isinstance(message, guest.Hello) and not self._hello.done():
            self._hello.set_result(message)
        elif isinstance(message, guest.Loaded) and not self._answer.done():
            self._answer.set_result(message)
        elif not isinstance(message, guest.Outputs):
            raise guest.GuestProtocolError(f"a template sent {type(message).__name__}")
