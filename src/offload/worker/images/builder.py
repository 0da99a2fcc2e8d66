"""The rootfs builder: images as layers of an overlay, built by ordinary commands in sandboxes, without an engine."""

from __future__ import annotations

import asyncio
from typing import IO, TYPE_CHECKING

from offload.worker.images.chain import ChainBuilder
from offload.worker.images.files import unpack_files
from offload.worker.images.ids import find_id_map
from offload.worker.images.interpreter import find_python
from offload.worker.images.sandbox import BuildSandbox, Command
from offload.worker.images.sources import Sources
from offload.worker.images.steps import build_environment
from offload.worker.images.store import LayerStore
from offload.worker.images.workshop import Workshop
from offload.worker.ports import RootImage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from offload.worker.core.content import Content
    from offload.worker.core.images import AttachedFiles, ImageState, ImageStep
    from offload.worker.images.sandbox import Result
    from offload.worker.images.settings import ImageSettings

    Tell = Callable[[str], None]


class RootfsBuilder(ChainBuilder):
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
        self.sandbox = BuildSandbox(bwrap, find_id_map(), directory / "scaffold")
        self.store = open_store(directory, settings, self.sandbox)
        super().__init__(self.store)
        self.workshop = Workshop(self.store, self.sandbox, settings, guest_packages, open_blob)
        self._sources = Sources(self.workshop, settings)

    async def _take_source(
        self, step: ImageStep, before: ImageState, on_line: Tell, tell: Tell
    ) -> ImageState:
        return await self._sources.take(step, before, on_line, tell)

    async def _do(self, step: ImageStep, before: ImageState, on_line: Tell) -> ImageState:
        return await self.workshop.run(step, before, on_line)

    async def _find_python(self, state: ImageState) -> ImageState:
        layers = self.workshop.layers_of(state)
        env = build_environment(state.env, (), has_ca=False)

        async def ask(argv: tuple[str, ...]) -> Result:
            return await self.sandbox.run(Command(argv, env, layers))

        return await find_python(ask, state)

    async def _attach(self, state: ImageState, files: tuple[AttachedFiles, ...]) -> tuple[str, ...]:
        return (*state.layers, *[await self._lay_out(each) for each in files])

    def _root(self, state: ImageState, layers: tuple[str, ...]) -> RootImage:
        return RootImage(
            (*(str(self.store.files_of(layer)) for layer in layers), str(self.store.scaffold)),
            state.python,
            state.working_dir,
            state.env,
            state.entrypoint,
        )

    async def _lay_out(self, files: AttachedFiles) -> str:
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
