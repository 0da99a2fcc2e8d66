"""Containers with volumes, and what to ask of them; for any runtime."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.support.runtime_guest import a_spec, ask
from tests.support.volume_server import KeptVolumes

from offload.worker.core.values import VolumeMount
from offload.worker.ports import Container, Runtime
from offload.worker.volumes import Mounts, Volumes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OS = "__import__('os')"
_SYS = "__import__('sys')"

IDS = (
    "[[os.getuid(), os.geteuid(), os.getgid()],"
    " [line.split()[1].strip('0') for line in open('/proc/self/status') if line[:3] == 'Cap'],"
    " os.stat('DATA').st_uid == os.getuid()]"
).replace("os.", f"{OS}.")


class Opened(NamedTuple):
    """A container, its volume, and where it finds that."""

    container: Container
    mounts: Mounts
    path: str

    async def ask(self, expression: str) -> object:
        return await ask(self.container, expression.replace("DATA", self.path))


class Stage:
    """The volumes of a worker, for containers of one runtime."""

    def __init__(self, runtime: Runtime, directory: Path, **options: float) -> None:
        self.server = KeptVolumes()
        self.volumes = Volumes(directory / "volumes", 10**9, self.server, **options)
        self.told: list[str] = []
        self._runtime = runtime
        # A plain process finds it by a link on this machine.
        is_plain = runtime.capabilities.name == "process"
        self.place = str(directory / "mounted") if is_plain else "/data"

    @contextlib.asynccontextmanager
    async def container(
        self, *paths: str, is_read_only: bool = False, sub_path: str = "", read_only_at: str = ""
    ) -> AsyncIterator[Opened]:
        paths = paths or (self.place,)
        wanted = [VolumeMount("vo-1", path, is_read_only, sub_path) for path in paths]
        if read_only_at:
            wanted.append(VolumeMount("vo-1", read_only_at, True))
        mounts = await self.volumes.mount("ct-1", wanted, self.told.append)
        container = None
        try:
            container = await self._runtime.start(a_spec(volumes=mounts.binds))
            await ask(container, "1")
            await mounts.settle()
            yield Opened(container, mounts, paths[0])
        finally:
            if container is not None:
                await container.close()
            await mounts.close(commits=False)


def write(name: str, text: str) -> str:
    return f"open('DATA/{name}', 'w').write({text!r})"


def read(name: str) -> str:
    return f"open('DATA/{name}').read()"


def hold_open(name: str, mode: str, text: str = "") -> str:
    kept = f"{_SYS}.modules['kept']"
    opened = f"{_SYS}.modules.update(kept=open('DATA/{name}', '{mode}'))"
    return f"[{opened}, {text!r} and {kept}.write({text!r}), {kept}.flush()]"


CLOSE = f"{_SYS}.modules.pop('kept').close()"
