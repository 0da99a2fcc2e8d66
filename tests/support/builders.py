"""Every image builder with what a test needs of it besides the port: a look into what it built, and what it left."""

from __future__ import annotations

import asyncio
import io
import json
from typing import TYPE_CHECKING, Protocol

import pytest
from tests.support.images import BASE, chain, look, make_builder, makings, no_blob, put_base
from tests.support.tiny_image import tiny_root, why_impossible

from offload.worker.core.images import ImageState
from offload.worker.docker_engine import Request
from offload.worker.images.build_engine import BuildEngine
from offload.worker.images.docker_builder import DockerBuilder
from offload.worker.images.docker_layers import LAYER_LABEL, engine_name
from offload.worker.images.docker_shop import Job
from offload.worker.images.settings import ImageSettings
from offload.worker.images.steps import PATH
from offload.worker.ports import ImageError
from offload.worker.runtimes.packages import guest_packages

if TYPE_CHECKING:
    from pathlib import Path

    from offload.worker.core.images import Image
    from offload.worker.images.docker_layers import EngineLayers
    from offload.worker.images.store import LayerStore
    from offload.worker.ports import BuildListener, ImageHold


class Builder(Protocol):
    """An `ImageBuilder` under test."""

    store: LayerStore | EngineLayers
    maps_root: bool  # the build's root is the host's

    async def build(self, image: Image, listener: BuildListener) -> ImageHold: ...

    async def look(self, hold: ImageHold, command: str) -> list[str]:
        """Return the lines that a command prints in a built image."""

    def makings(self) -> list[str]:
        """List what is half made."""

    def kept(self, hold: ImageHold) -> bytes:
        """Return all that is kept of an image, except what its base brought."""


class Rootfs:
    """See `Builder`."""

    maps_root = False

    def __init__(self, folder: Path, settings: ImageSettings | None, *, has_base: bool) -> None:
        self._builder = make_builder(folder, settings)
        if has_base:
            put_base(self._builder)
        self.store = self._builder.store

    async def build(self, image: Image, listener: BuildListener) -> ImageHold:
        return await self._builder.build(image, listener)

    async def look(self, hold: ImageHold, command: str) -> list[str]:
        return await look(self._builder, hold, command)

    def makings(self) -> list[str]:
        return makings(self._builder)

    def kept(self, hold: ImageHold) -> bytes:
        files = [
            path
            for layer in hold.root.layers
            if not layer.endswith("/base/fs")
            for path in self.store.directory.joinpath(layer).rglob("*")
        ]
        records = (self.store.directory / "steps").iterdir()
        return b"".join(path.read_bytes() for path in (*files, *records) if path.is_file())


class Docker:
    """See `Builder`."""

    def __init__(
        self, socket: str, folder: Path, settings: ImageSettings | None, *, has_base: bool
    ) -> None:
        self._engine = BuildEngine(socket)
        self._builder = DockerBuilder(
            folder / "images",
            settings or ImageSettings(),
            socket=socket,
            guest_packages=guest_packages(),
            open_blob=no_blob,
        )
        self.store = self._builder.store
        self.maps_root = True
        if has_base:
            self._put_base()

    async def build(self, image: Image, listener: BuildListener) -> ImageHold:
        return await self._builder.build(image, listener)

    async def look(self, hold: ImageHold, command: str) -> list[str]:
        lines: list[str] = []
        job = Job(("/bin/sh", "-c", command), {"PATH": PATH, **dict(hold.root.env)})
        layer = hold.root.engine_image.partition(":")[2]
        result = await self._builder.shop.run(job, layer, on_line=lines.append)
        if result.code != 0:
            raise ImageError(f"{command} ended with {result.code}: {lines}")
        return lines

    def makings(self) -> list[str]:
        folders = [str(path) for path in (self.store.directory / "making").iterdir()]
        nameless = [i.image_id for i in self._engine.images_now(LAYER_LABEL) if not i.names]
        return [*folders, *nameless, *self._engine.containers_now("offload.owner")]

    def kept(self, hold: ImageHold) -> bytes:
        whole = json.dumps(
            self._engine._ask_now(Request("GET", f"/images/{hold.root.engine_image}/json"))
        )
        archive = io.BytesIO()
        with self._engine._connected() as sock, sock.makefile("rwb") as stream:
            stream.write(Request("GET", f"/images/{hold.root.engine_image}/get").encoded())
            stream.flush()
            archive.write(stream.read())
        records = (self.store.directory / "steps").iterdir()
        return b"".join(
            (whole.encode(), archive.getvalue(), *(path.read_bytes() for path in records))
        )

    def _put_base(self) -> None:
        why = why_impossible()
        if why:
            pytest.skip(why)
        if not self.store.has_layer("base"):
            tar = tiny_root()
            self._engine.import_now(
                engine_name("base"), io.BytesIO(tar), len(tar), {LAYER_LABEL: "base"}
            )
        state = ImageState(("base",), (("PATH", PATH),), label="base")
        self.store.record(chain(BASE).digest, state)


def make(
    name: str,
    request: pytest.FixtureRequest,
    folder: Path,
    settings: ImageSettings | None = None,
    *,
    has_base: bool = True,
) -> Builder:
    """Return the builder of a name, which knows `BASE` as if it had fetched it; skip where it cannot be had."""
    if name == "docker":
        socket = request.getfixturevalue("docker_socket")
        return Docker(socket, folder, settings, has_base=has_base)
    return Rootfs(folder, settings, has_base=has_base)


# Every file of a root, with all that both builders have to agree on; what every container has of its own is left out.
_TREE = """
import hashlib, os, stat
own = {"/proc", "/sys", "/dev", "/run", "/etc/resolv.conf", "/etc/hosts", "/etc/hostname", "/etc/mtab", "/.dockerenv", "/tmp", "/home"}
names = {}
def walk(folder):
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.path in own:
            continue
        facts = entry.stat(follow_symlinks=False)
        what = ""
        if entry.is_symlink():
            what = os.readlink(entry.path)
        elif entry.is_file():
            what = hashlib.sha256(open(entry.path, "rb").read()).hexdigest()
        mode = stat.filemode(facts.st_mode)
        same = names.setdefault(facts.st_ino, entry.path) if stat.S_ISREG(facts.st_mode) else ""
        print(entry.path, mode, facts.st_uid, facts.st_gid, same, what)
        if entry.is_dir(follow_symlinks=False):
            walk(entry.path)
walk("/")
"""


async def tree(builder: Builder, image: Image, listener: BuildListener) -> list[str]:
    """Build an image and return a line for everything in it."""
    hold = await builder.build(image, listener)
    try:
        python = hold.root.python
        return await builder.look(hold, f"{python} -I -S -c '{_TREE}'")
    finally:
        hold.release()


def build_now(builder: Builder, image: Image, listener: BuildListener) -> ImageHold:
    """Build while no event loop runs."""
    return asyncio.run(builder.build(image, listener))
