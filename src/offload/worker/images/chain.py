"""Building a chain of steps: each once, whoever asks for it; what a step makes is the builder's that derives from this."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from offload.wire.images import step_digest
from offload.worker.core.images import ImageState
from offload.worker.images.interpreter import check_version
from offload.worker.ports import ImageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from offload.worker.core.content import Content
    from offload.worker.core.images import AttachedFiles, Image, ImageStep
    from offload.worker.ports import BuildListener, RootImage

    Tell = Callable[[str], None]

# How often one who waits for another process's build looks whether it is done.
_LOOK_SECONDS = 0.05

_SOURCES = ("debian_slim", "registry", "add_python")
# After these `python3` may be another than the base's.
_MAY_BRING_PYTHON = ("apt_install", "run_commands", "run_function", "add_files", "env")
_NEED_PYTHON = ("pip_install", "pip_requirements", "run_function")


class Held(Protocol):
    """Layers that nobody removes until they are released."""

    def release(self) -> None:
        """Let them go. Idempotent."""


class Layers(Protocol):
    """What steps have made, by their digests."""

    def state_of(self, digest: str) -> ImageState | None:
        """Return what a chain has come to, where all of it is here; it counts as used now."""

    def record(self, digest: str, state: ImageState) -> None:
        """Say what a chain has come to."""

    def hold(self, layers: Iterable[str]) -> Held | None:
        """Keep layers from being removed; None where one of them is not here."""

    def trying_lock(self, digest: str) -> contextlib.AbstractContextManager[bool]:
        """Give whether the chain is this caller's to build: one builder at a time, on the whole machine."""

    def make_room(self) -> int:
        """Drop what nobody uses until the rest fits, the least recently used first; return the bytes freed."""


class BuiltImage:
    """See `ImageHold`."""

    def __init__(self, root: RootImage, python_version: str, layers: Held) -> None:
        self.root = root
        self.python_version = python_version
        self._layers = layers

    def release(self) -> None:
        """See `ImageHold`."""
        self._layers.release()


class ChainBuilder(ABC):
    """See `ImageBuilder`."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self._builds: dict[str, _Build] = {}

    # --- what a builder does its own way; each may raise `ImageError` ---

    @abstractmethod
    async def _take_source(
        self, step: ImageStep, before: ImageState, on_line: Tell, tell: Tell
    ) -> ImageState:
        """Return what the chain has come to with a source."""

    @abstractmethod
    async def _do(self, step: ImageStep, before: ImageState, on_line: Tell) -> ImageState:
        """Run a step and return what the chain has come to."""

    @abstractmethod
    async def _find_python(self, state: ImageState) -> ImageState:
        """Return the state with its interpreter, where the image has one."""

    @abstractmethod
    async def _attach(self, state: ImageState, files: tuple[AttachedFiles, ...]) -> tuple[str, ...]:
        """Return the layers of a root that has the files on top."""

    @abstractmethod
    def _root(self, state: ImageState, layers: tuple[str, ...]) -> RootImage:
        """Return the layers as a runtime takes them."""

    # --- the port ---

    async def build(self, image: Image, listener: BuildListener) -> BuiltImage:
        """See `ImageBuilder`."""
        _check_digests(image)
        state = await self._join(image, listener)
        listener.on_progress("")
        check_version(image, state)
        layers = await self._attach(state, image.attached)
        hold = self._layers.hold(layers)
        if hold is None:
            raise ImageError("the image was pruned while it was about to be used; call again")
        return BuiltImage(self._root(state, layers), state.python_version, hold)

    async def close(self) -> None:
        """See `ImageBuilder`."""
        builds = [build.task for build in self._builds.values()]
        for task in builds:
            task.cancel()
        await asyncio.gather(*builds, return_exceptions=True)

    async def _join(self, image: Image, listener: BuildListener) -> ImageState:
        """Wait for the image's build, which is begun where nobody else has."""
        build = self._builds.get(image.digest)
        if build is None:
            build = self._builds[image.digest] = _Build()
            build.task = asyncio.create_task(
                self._build(image, build), name=f"image {image.digest[:12]}"
            )
            build.task.add_done_callback(lambda _: self._builds.pop(image.digest, None))
        build.listeners.append(listener)
        try:
            # Others may wait for the same image, so one that gives up does not end it.
            return await asyncio.shield(build.task)
        finally:
            build.listeners.remove(listener)
            if not build.listeners and not build.task.done():
                build.task.cancel()
                await asyncio.wait([build.task])

    async def _build(self, image: Image, build: _Build) -> ImageState:
        state = ImageState()
        held: list[Held] = []
        try:
            for number, step in enumerate(image.steps, start=1):
                before = state
                await self._check_base(image, number, before)
                state = await self._step(step, before, number, len(image.steps), build)
                hold = self._layers.hold(state.layers[len(before.layers) :])
                if hold is None:
                    raise ImageError("a layer was pruned while it was about to be used; call again")
                held.append(hold)
            if not state.python:
                state = await self._find_python(state)
                self._layers.record(image.digest, state)
            await asyncio.to_thread(self._layers.make_room)
            return state
        finally:
            for hold in held:
                hold.release()

    async def _check_base(self, image: Image, number: int, before: ImageState) -> None:
        """Raise `ImageError` where the base has another Python than the function needs, before any step is run on it.

        Not where a step may bring another; the whole is looked at in the end.
        """
        steps, step = image.steps[number - 2 :], image.steps[number - 1]
        is_first = number > 1 and steps[0].kind in _SOURCES and step.kind not in _SOURCES
        if (
            is_first
            and image.python_version
            and not any(each.kind in _MAY_BRING_PYTHON for each in steps[1:])
            and self._layers.state_of(step.digest) is None
        ):
            state = before if before.python else await self._find_python(before)
            if state.python:
                check_version(image, state)

    async def _step(
        self, step: ImageStep, before: ImageState, number: int, of: int, build: _Build
    ) -> ImageState:
        known = self._layers.state_of(step.digest)
        if known is not None:
            return known
        where = f"step {number} of {of}: {step.label}"
        build.progress(f"image building, {where}")
        async with self._turn(step.digest):
            known = self._layers.state_of(step.digest)
            if known is not None:
                return known
            build.line(f"{where}")
            try:
                state = await self._run(step, before, build, where)
            except ImageError as error:
                raise ImageError(
                    f"the image's {where} failed: {error}", error.exit_code, error.last_lines
                ) from error
            state = replace(state, label=step.label)
            self._layers.record(step.digest, state)
            return state

    async def _run(
        self, step: ImageStep, before: ImageState, build: _Build, where: str
    ) -> ImageState:
        if step.kind == "env":
            return before.with_env(step.settings)
        if step.kind == "entrypoint":
            return replace(before, entrypoint=step.arguments)
        if step.kind in _SOURCES:
            tell = functools.partial(build.progress_of, f"image building, {where}")
            return await self._take_source(step, before, build.line, tell)
        if step.kind in _NEED_PYTHON and not before.python:
            before = await self._find_python(before)
        state = await self._do(step, before, build.line)
        return replace(state, working_dir=step.arguments[0]) if step.kind == "workdir" else state

    @contextlib.asynccontextmanager
    async def _turn(self, digest: str) -> AsyncIterator[None]:
        """Wait until nobody else, in this process or another, builds the same step."""
        while True:
            with self._layers.trying_lock(digest) as is_ours:
                if is_ours:
                    yield
                    return
            await asyncio.sleep(_LOOK_SECONDS)


class _Build:
    """An image being built, and who waits for it."""

    def __init__(self) -> None:
        self.listeners: list[BuildListener] = []
        self.task: asyncio.Task[ImageState]

    def progress(self, text: str) -> None:
        for listener in self.listeners:
            listener.on_progress(text)

    def progress_of(self, where: str, detail: str) -> None:
        self.progress(f"{where} ({detail})" if detail else where)

    def line(self, text: str) -> None:
        told: set[str] = set()
        for listener in self.listeners:
            if listener.audience not in told:
                told.add(listener.audience)
                listener.on_build_line(text)


def _check_digests(image: Image) -> None:
    """Refuse a chain that is not named by what it is: its layers would be shown to others who name it truly."""
    before = ""
    for step in image.steps:
        content = content_sha256(step.content)
        before = step_digest(before, step.kind, step.arguments, dict(step.settings), content)
        if before != step.digest:
            raise ImageError(
                f"the image's step {step.label!r} is not named by its content; is its sender of another version?"
            )


def content_sha256(content: Content | None) -> str:
    """Return the SHA-256 of a step's content; empty where it has none."""
    if content is None:
        return ""
    return content.sha256 or hashlib.sha256(content.inline).hexdigest()
