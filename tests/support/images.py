"""Images for tests of their builders: chains with true names, a listener that remembers, and a base to begin with."""

from __future__ import annotations

import asyncio
import functools
import io
import itertools
import os
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from tests.support.tiny_image import tiny_root, why_impossible

from offload.wire.images import step_digest
from offload.worker.core.images import AttachedFiles, Image, ImageState, ImageStep
from offload.worker.images.builder import RootfsBuilder
from offload.worker.images.chain import content_sha256
from offload.worker.images.settings import ImageSettings
from offload.worker.images.steps import PATH
from offload.worker.ports import ImageError, RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.bubblewrap_program import find_bubblewrap
from offload.worker.runtimes.options import RuntimeOptions
from offload.worker.runtimes.packages import guest_packages

if TYPE_CHECKING:
    from offload.worker.core.content import Content
    from offload.worker.ports import ImageHold

BASE = ("registry", ("tests/base:1",))


_audiences = map(str, itertools.count())


@dataclass
class Recorder:
    """See `BuildListener`."""

    audience: str = field(default_factory=lambda: next(_audiences))
    progress: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    has_line: asyncio.Event = field(default_factory=asyncio.Event)

    def on_progress(self, text: str) -> None:
        self.progress.append(text)

    def on_build_line(self, text: str) -> None:
        self.lines.append(text)
        if not text.startswith("step "):
            self.has_line.set()


def chain(
    *steps: tuple[object, ...], attached: tuple[AttachedFiles, ...] = (), python: str = ""
) -> Image:
    """Return an image of (kind, arguments, settings, content, secrets), as far as they are given, truly named."""
    named: list[ImageStep] = []
    before = ""
    for step in steps:
        made = ImageStep("", *step)  # type: ignore[arg-type]  # as the docstring says
        content = content_sha256(made.content)
        before = step_digest(before, made.kind, made.arguments, dict(made.settings), content)
        named.append(ImageStep(before, *step))  # type: ignore[arg-type]  # as above
    return Image(tuple(named), attached, python)


def run(*commands: str) -> tuple[tuple[object, ...], ...]:
    """Return steps that run shell commands."""
    return tuple(("run_commands", (command,)) for command in commands)


async def no_blob(content: Content) -> IO[bytes]:
    raise OSError(f"{content} is nowhere")


def make_builder(folder: Path, settings: ImageSettings | None = None) -> RootfsBuilder:
    """Return a builder with its layers in `folder`; skip where this machine has no sandbox."""
    try:
        asyncio.run(BubblewrapRuntime(RuntimeOptions(data_dir=str(folder / "trial"))).close())
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))
    return RootfsBuilder(
        folder / "images",
        settings or ImageSettings(),
        bwrap=find_bubblewrap(None),
        guest_packages=guest_packages(),
        open_blob=no_blob,
    )


@functools.cache
def _unpacked(owner: int) -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="offload-tests-")
    with tarfile.open(fileobj=io.BytesIO(tiny_root())) as archive:
        # Older releases of 3.11 know no filters, and newer ones warn of none.
        archive.extraction_filter = getattr(tarfile, "tar_filter", None)
        archive.extractall(folder.name)  # noqa: S202 - an archive of our own making
    Path(folder.name).chmod(0o755)
    if os.getuid() == 0:
        words = ["chown", "-R", "--no-dereference", f"{owner}:{owner}", folder.name]
        subprocess.run(words, check=True)
    return folder


def put_base(builder: RootfsBuilder) -> None:
    """Have the builder know `BASE`, as if it had fetched it."""
    why = why_impossible()
    if why:
        pytest.skip(why)
    making = builder.store.make()
    # Linked, as nothing ever writes to a layer's files.
    source = f"{_unpacked(builder.sandbox.ids.owner).name}/."
    subprocess.run(["cp", "-al", source, making.fs], check=True)
    builder.store.keep(making, "base")
    state = ImageState(("base",), (("PATH", PATH),), label="base")
    builder.store.record(chain(BASE).digest, state)


async def look(builder: RootfsBuilder, hold: ImageHold, command: str) -> list[str]:
    """Return the lines that a command prints in a built image."""
    from offload.worker.images.sandbox import Command  # noqa: PLC0415

    lines: list[str] = []
    env = {"PATH": PATH, **dict(hold.root.env)}
    result = await builder.sandbox.run(
        Command(("/bin/sh", "-c", command), env, hold.root.layers[:-1], working_dir="/"),
        lines.append,
    )
    if result.code != 0:
        raise ImageError(f"{command} ended with {result.code}: {lines}")
    return lines


def makings(builder: RootfsBuilder) -> list[str]:
    """List what is half made."""
    store = builder.store
    places = (store.directory / "making", store.shared / "making")
    return [str(path) for place in places for path in place.iterdir()]
