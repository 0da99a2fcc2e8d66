"""Runs the commands of a build in containers of the Docker Engine, and keeps what they change as images."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

from offload.worker.core.text import LineSplitter, cut
from offload.worker.docker_engine import OWNER_LABEL, DockerError, owner_of
from offload.worker.images.docker_layers import LAYER_LABEL, PARENT_LABEL, engine_name
from offload.worker.images.sandbox import (
    BUILD_CAPABILITIES,
    LAST_LINES,
    MAX_LINE_BYTES,
    Bind,
    Result,
)
from offload.worker.images.steps import PATH
from offload.worker.ports import ImageError
from offload.worker.sandbox.docker import RootEntry, root_image

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from offload.worker.images.build_engine import BuildEngine
    from offload.worker.images.docker_layers import EngineLayers

    Tell = Callable[[str], None]

T = TypeVar("T")

TARGET = "/mnt/root"  # where a tool of the host lays out a root
_BRIDGE = "bridge"
_NOT_STARTED = 127

# Of the host's, for a tool that makes a root: programs, and what they are configured with; no accounts and no secrets.
_TOOL_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_TOOL_FILES = (
    "/etc/alternatives", "/etc/apt", "/etc/ca-certificates", "/etc/dpkg", "/etc/group", "/etc/ld.so.cache",
    "/etc/passwd", "/etc/pki", "/etc/ssl", "/usr/share/keyrings",
)  # fmt: skip
_TOOL_ROOT = (
    "etc",
    "opt",
    "var",
    "var/tmp",
    "tmp",
    "mnt",
    "mnt/root",
    "run",
    "dev",
    "proc",
    "sys",
    "root",
)


@dataclass(frozen=True, slots=True)
class Job:
    """What one container runs. `hidden` are variables that stay out of the engine's records, and so out of images."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    hidden: Mapping[str, str] = field(default_factory=dict)
    binds: tuple[Bind, ...] = ()
    working_dir: str = "/"
    capabilities: tuple[str, ...] = BUILD_CAPABILITIES


class DockerShop:
    """See the module."""

    def __init__(self, engine: BuildEngine, layers: EngineLayers) -> None:
        self._engine = engine
        self._layers = layers
        self._network = ""

    async def run(
        self, job: Job, below: str, layer: str = "", on_line: Tell = lambda _: None
    ) -> Result:
        """Run a job on top of a layer; where it succeeds, keep what it changed as `layer`, if that has a name."""
        async with self._container(job, engine_name(below)) as container:
            result = await self._watched(container, job, on_line)
            if result.code == 0 and layer:
                await self._keep(container, layer, below)
            return result

    async def add(self, archives: Sequence[IO[bytes]], below: str, layer: str) -> None:
        """Make a layer of what archives hold on top of another."""
        async with self._container(Job(("/nothing",)), engine_name(below)) as container:
            for archive in archives:
                size_bytes = archive.seek(0, os.SEEK_END)
                archive.seek(0)
                await in_thread(self._engine.put_archive_now, container, archive, size_bytes)
            await self._keep(container, layer, below)

    async def run_tool(self, job: Job, layer: str, on_line: Tell = lambda _: None) -> Result:
        """Run a program of the host's that lays out a root at `TARGET`; where it succeeds, keep that as `layer`."""
        name, tar = root_image(_tool_root())
        if await in_thread(self._engine.image_now, name) is None:
            await in_thread(self._engine.load_image_now, name, tar)
        tools = Job(job.argv, job.env, {}, (*_tool_binds(), *job.binds), "/", job.capabilities)
        async with self._container(tools, name) as container:
            result = await self._watched(container, tools, on_line)
            if result.code == 0:
                with self._layers.making() as folder:
                    path = folder / "root.tar"
                    with path.open("w+b") as file:
                        await in_thread(
                            self._engine.get_archive_now, container, f"{TARGET}/.", file
                        )
                        size_bytes = file.tell()
                        file.seek(0)
                        labels = {LAYER_LABEL: layer, OWNER_LABEL: ""}
                        await in_thread(
                            self._engine.import_now, engine_name(layer), file, size_bytes, labels
                        )
            return result

    async def _keep(self, container: str, layer: str, below: str) -> None:
        # An image is inherited from: without the last, its containers would be another's to clear away.
        labels = {LAYER_LABEL: layer, PARENT_LABEL: below, OWNER_LABEL: ""}
        await in_thread(self._engine.commit_now, container, engine_name(layer), labels)

    @asynccontextmanager
    async def _container(self, job: Job, image: str) -> AsyncIterator[str]:
        """Give a container that is removed afterwards, whatever happens. Raises `ImageError`."""
        if not self._network:
            networks = await in_thread(self._engine.networks_now)
            self._network = _BRIDGE if _BRIDGE in networks else "host"
        container = ""
        try:
            # Cut off in the middle it might be made all the same, and nobody would know its name.
            creating = asyncio.ensure_future(
                self._engine.create("", _creation(job, image, self._network))
            )
            try:
                container = await asyncio.shield(creating)
            except asyncio.CancelledError:
                await asyncio.wait([creating])
                container = "" if creating.exception() else creating.result()
                raise
            yield container
        except DockerError as error:
            raise ImageError(f"the Docker Engine: {error}") from error
        finally:
            if container:
                await _to_its_end(self._engine.remove(container))

    async def _watched(self, container: str, job: Job, on_line: Tell) -> Result:
        attached = await self._engine.attach(container)
        try:
            try:
                await self._engine.start(container)
            except DockerError as error:
                # A program that is not there, as a shell says it.
                return Result(_NOT_STARTED, (str(error),))
            await attached.send(_stdin(job))
            last: deque[str] = deque(maxlen=LAST_LINES)
            first: list[str] = []
            splitter = LineSplitter()
            async for _, data in attached.output():
                _take(splitter.feed(data), last, first, on_line)
            _take(splitter.finish(), last, first, on_line)
            code = await self._engine.wait(container)
            return Result(code, tuple(last), first[0] if first else "")
        finally:
            attached.close()


def _take(lines: list[str], last: deque[str], first: list[str], on_line: Tell) -> None:
    for line in lines:
        # What a program has written over stands before a carriage return.
        text = cut(line.rpartition("\r")[2], MAX_LINE_BYTES)
        last.append(text)
        if not first:
            first.append(text)
        on_line(text)


def _stdin(job: Job) -> bytes:
    """Return what the container's first program reads before it becomes the job's."""
    if not job.hidden:
        return b""
    if _is_for_shell(job):
        named = ((name, value) for name, value in job.hidden.items() if name.isidentifier())
        return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in named).encode()
    return json.dumps(dict(job.hidden)).encode()


def _is_for_shell(job: Job) -> bool:
    return not Path(job.argv[0]).name.startswith("python")


_BECOME = "import json, os, sys; os.environ.update(json.load(sys.stdin)); os.execv(sys.argv[1], sys.argv[1:])"


def _command(job: Job) -> list[str]:
    if not job.hidden:
        return list(job.argv)
    if _is_for_shell(job):
        return ["/bin/sh", "-c", '. /dev/stdin && exec "$@"', "sh", *job.argv]
    return [job.argv[0], "-I", "-S", "-c", _BECOME, *job.argv]


def _creation(job: Job, image: str, network: str) -> dict[str, object]:
    return {
        "Image": image,
        "Hostname": "offload-build",
        "User": "0:0",
        "Entrypoint": [],
        "Cmd": _command(job),
        "Env": [f"{name}={value}" for name, value in {"PATH": PATH, **job.env}.items()],
        "WorkingDir": job.working_dir,
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Labels": {OWNER_LABEL: owner_of(os.getpid())},
        "HostConfig": {
            "NetworkMode": network,
            "CapDrop": ["ALL"],
            "CapAdd": list(job.capabilities),
            "SecurityOpt": ["no-new-privileges"],
            "LogConfig": {"Type": "none"},
            "Tmpfs": {"/run": "rw,exec,nosuid,nodev,mode=0755"},
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": bind.source,
                    "Target": bind.target,
                    "ReadOnly": not bind.is_writable,
                    "BindOptions": {"Propagation": "rprivate"},
                }
                for bind in job.binds
            ],
        },
    }


def _tool_root() -> list[RootEntry]:
    links = [
        RootEntry(path.name, str(path.readlink()))
        for path in map(Path, _TOOL_FOLDERS)
        if path.is_symlink()
    ]
    folders = [
        RootEntry(path.name)
        for path in map(Path, _TOOL_FOLDERS)
        if path.is_dir() and not path.is_symlink()
    ]
    return [*links, *folders, *(RootEntry(name) for name in _TOOL_ROOT)]


def _tool_binds() -> list[Bind]:
    interpreter = Path(sys.executable).resolve()
    wanted = [*map(Path, _TOOL_FOLDERS), *map(Path, _TOOL_FILES), Path(sys.base_prefix).resolve()]
    shown: list[Path] = []
    for path in wanted:
        is_shown = any(path.is_relative_to(each) for each in shown)
        if path.exists() and not path.is_symlink() and not is_shown:
            shown.append(path)
    if not any(interpreter.is_relative_to(each) for each in shown):
        shown.append(interpreter.parents[1])
    return [Bind(str(path), str(path)) for path in shown]


async def in_thread(work: Callable[..., T], *arguments: object) -> T:  # type: ignore[explicit-any]  # of any parameters
    """Do what blocks in a thread; cancelled, wait for its end first, as it uses what is then cleared away."""
    return await _to_its_end(asyncio.to_thread(work, *arguments))


async def _to_its_end(work: Awaitable[T]) -> T:
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
