"""An image builder that builds nothing, with knobs; see `ImageBuilder`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from offload.worker.ports import RootImage

if TYPE_CHECKING:
    from offload.worker.core.images import Image
    from offload.worker.ports import BuildListener, ImageError


@dataclass
class FakeHold:
    """See `ImageHold`."""

    root: RootImage
    python_version: str = "3.11.2"
    is_released: bool = False

    def release(self) -> None:
        self.is_released = True


@dataclass
class FakeImages:
    """See `ImageBuilder`."""

    error: ImageError | None = None
    finish: asyncio.Event = field(default_factory=asyncio.Event)  # set: builds end
    asked: list[Image] = field(default_factory=list)
    holds: list[FakeHold] = field(default_factory=list)
    cancelled: int = 0

    async def build(self, image: Image, listener: BuildListener) -> FakeHold:
        self.asked.append(image)
        listener.on_progress("image building, step 1 of 1")
        listener.on_build_line("a line of the build")
        try:
            await self.finish.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        self.holds.append(FakeHold(RootImage(("/layers/1",), "/usr/bin/python3", "/srv")))
        return self.holds[-1]

    async def close(self) -> None:
        """Nothing runs."""
