"""The rootfs builder: images as layers of an overlay, built by ordinary commands in sandboxes, without an engine."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from offload.wire.images import step_digest
from offload.worker.core.images import ImageState
from offload.worker.images.files import unpack_files
from offload.worker.images.ids import find_id_map
from offload.worker.images.interpreter import check_version, find_python
from offload.worker.images.sandbox import BuildSandbox
from offload.worker.images.sources import Sources
from offload.worker.images.store import LayersHold, LayerStore
from offload.worker.images.workshop import Workshop
from offload.worker.ports import ImageError, RootImage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from offload.worker.core.content import Content
    from offload.worker.core.images import AttachedFiles, Image, ImageStep
    from offload.worker.images.settings import ImageSettings
    from offload.worker.ports import BuildListener

# How often one who waits for another process's build looks whether it is done.
_LOOK_SECONDS = 0.05

_SOURCES = ("debian_slim", "registry", "add_python")


class RootfsHold:
    """See `ImageHold`."""

    def __init__(self, root: RootImage, python_version: str, layers: LayersHold) -> None:
        self.root = root
        self.python_version = python_version
        self._layers = layers

    def release(self) -> None:
        """See `ImageHold`."""
        self._layers.release()


class RootfsBuilder:
    """See `ImageBuilder`."""

    def __init__(
        self,
        directory: Path,
        settings: ImageSettings,
        *,
        bwrap: str,
        guest_packages: Mapping[str, str],
        open_blob: Callable[[Content], Awaitable[IO[bytes]]],
    ) -> None:
        self._open_blob = open_blob
        self._builds: dict[str, _Build] = {}
        self.sandbox = BuildSandbox(bwrap, find_id_map(), directory / "scaffold")
        self.store = open_store(directory, settings, self.sandbox)
        self.workshop = Workshop(self.store, self.sandbox, settings, guest_packages, open_blob)
        self._sources = Sources(self.workshop, settings)

    async def build(self, image: Image, listener: BuildListener) -> RootfsHold:
        """See `ImageBuilder`."""
        _check_digests(image)
        state = await self._join(image, listener)
        listener.on_progress("")
        check_version(image, state)
        attached = [await self._attach(files) for files in image.attached]
        hold = self.store.hold((*state.layers, *attached))
        if hold is None:
            raise ImageError("the image was pruned while it was about to be used; call again")
        layers = (*state.layers, *attached)
        root = RootImage(
            (*(str(self.store.files_of(layer)) for layer in layers), str(self.store.scaffold)),
            state.python,
            state.working_dir,
            state.env,
            state.entrypoint,
        )
        return RootfsHold(root, state.python_version, hold)

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
        held: list[LayersHold] = []
        try:
            for number, step in enumerate(image.steps, start=1):
                before = state
                state = await self._step(step, before, number, len(image.steps), build)
                hold = self.store.hold(state.layers[len(before.layers) :])
                if hold is None:
                    raise ImageError("a layer was pruned while it was about to be used; call again")
                held.append(hold)
            if not state.python:
                state = await find_python(self.sandbox, self.store, state)
                self.store.record(image.digest, state)
            await asyncio.to_thread(self.store.make_room)
            await asyncio.to_thread(self.store.trim_shared)
            return state
        finally:
            for hold in held:
                hold.release()

    async def _step(
        self, step: ImageStep, before: ImageState, number: int, of: int, build: _Build
    ) -> ImageState:
        known = self.store.state_of(step.digest)
        if known is not None:
            return known
        where = f"step {number} of {of}: {step.label}"
        build.progress(f"image building, {where}")
        async with self._turn(step.digest):
            known = self.store.state_of(step.digest)
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
            self.store.record(step.digest, state)
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
            return await self._sources.take(step, before, build.line, tell)
        if step.kind in ("pip_install", "pip_requirements", "run_function") and not before.python:
            before = await find_python(self.sandbox, self.store, before)
        state = await self.workshop.run(step, before, build.line)
        return replace(state, working_dir=step.arguments[0]) if step.kind == "workdir" else state

    @contextlib.asynccontextmanager
    async def _turn(self, digest: str) -> AsyncIterator[None]:
        """Wait until nobody else, in this process or another, builds the same step."""
        while True:
            with self.store.trying_lock(digest) as is_ours:
                if is_ours:
                    yield
                    return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _attach(self, files: AttachedFiles) -> str:
        """Lay attached files out as a layer of their own, named by their content."""
        layer = f"files-{files.sha256}"
        if not self.store.has_layer(layer):
            making = self.store.make()
            try:
                with await self.workshop.opened(files.content) as archive:
                    await asyncio.to_thread(unpack_files, archive, making.fs, files.sha256)
                await asyncio.to_thread(self.store.keep, making, layer)
            except BaseException:
                self.store.drop(making)
                raise
        return layer


def open_store(
    directory: Path, settings: ImageSettings, sandbox: BuildSandbox | None = None
) -> LayerStore:
    """Open the layers in a directory; `sandbox` is for removing them, and made where it is not given."""
    sandbox = sandbox or BuildSandbox("", find_id_map(), directory / "scaffold")
    remove = None if sandbox.ids.kind == "root" else sandbox.remove_now
    return LayerStore(directory, settings.max_bytes, sandbox.ids.owner, remove)


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
