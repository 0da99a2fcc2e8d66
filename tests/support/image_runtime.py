"""A runtime whose containers all have an image's root, so that the suite of plain ones holds for them too."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from offload.worker.ports import Container, ContainerSpec, RootImage, Runtime


class ImageRuntime:
    """See `Runtime`."""

    def __init__(self, runtime: Runtime, root: RootImage) -> None:
        self.capabilities = runtime.capabilities
        self._runtime = runtime
        self.root = root

    async def start(self, spec: ContainerSpec) -> Container:
        asked = spec.image.python
        python = self.root.python if asked == sys.executable else asked
        return await self._runtime.start(replace(spec, image=replace(self.root, python=python)))

    async def close(self) -> None:
        await self._runtime.close()
