"""The docker builder: every step runs in a container of the Docker Engine, and what it changes is committed as an image.

The engine fetches nothing itself: registries are asked by the worker, with its mirrors, authorities and credentials, and
their layers are unpacked by the same program as the rootfs builder's, so that both keep the same rules and give the same files.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import shutil
import sys
import tarfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from offload.worker.images import guest_unpack
from offload.worker.images.build_engine import BuildEngine
from offload.worker.images.chain import ChainBuilder
from offload.worker.images.debian import SUITES, debootstrap_arguments
from offload.worker.images.docker_layers import EngineLayers, engine_name
from offload.worker.images.docker_shop import TARGET, DockerShop, Job
from offload.worker.images.files import check_archive, rewrite
from offload.worker.images.interpreter import find_python
from offload.worker.images.references import RegistryError
from offload.worker.images.sandbox import BUILD_CAPABILITIES, Bind
from offload.worker.images.sources import (
    DEFAULT_SUITE,
    fetch_layer,
    find_mirrors,
    layer_position,
    no_python,
    open_registry,
    python_image,
    read_manifest,
)
from offload.worker.images.steps import (
    CA_AT,
    CONTENT_AT,
    GUEST_AT,
    PATH,
    UV_AT,
    build_environment,
    python_install,
    work_of,
)
from offload.worker.images.store import SCAFFOLD
from offload.worker.images.workshop import (
    KEEP_PYTHON,
    check_result,
    find_uv,
    last_said,
    opened,
    zstandard_of,
)
from offload.worker.ports import ImageError, RootImage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from offload.worker.core.content import Content
    from offload.worker.core.images import AttachedFiles, ImageState, ImageStep
    from offload.worker.images.sandbox import Result
    from offload.worker.images.settings import ImageSettings
    from offload.worker.images.steps import Work

    Tell = Callable[[str], None]

_INTERPRETER = str(Path(sys.executable).resolve())

# mmdebstrap makes the device nodes of a Debian, where it cannot mount the host's.
_DEBIAN_CAPABILITIES = (*BUILD_CAPABILITIES, "MKNOD")


class DockerBuilder(ChainBuilder):
    """See `ImageBuilder`."""

    def __init__(
        self,
        directory: Path,
        settings: ImageSettings,
        *,
        socket: str,
        guest_packages: Mapping[str, str],
        open_blob: Callable[[Content], Awaitable[IO[bytes]]],
    ) -> None:
        engine = BuildEngine(socket)
        self.store = EngineLayers(directory, settings.max_bytes, engine)
        super().__init__(self.store)
        self.shop = DockerShop(engine, self.store)
        self._settings = settings
        self._guest_packages = guest_packages
        self._open_blob = open_blob

    async def _take_source(
        self, step: ImageStep, before: ImageState, on_line: Tell, tell: Tell
    ) -> ImageState:
        match step.kind:
            case "debian_slim":
                image = python_image(step, self._settings)
                if image is not None:
                    return await self._registry(image, before, tell)
                return await self._debian(step, before, on_line)
            case "registry":
                return await self._registry(step, before, tell)
            case _:
                return await self._python(step.digest, step.arguments[0], before, on_line)

    async def _find_python(self, state: ImageState) -> ImageState:
        env = build_environment(state.env, (), has_ca=False)

        async def ask(argv: tuple[str, ...]) -> Result:
            return await self.shop.run(Job(argv, env), state.layers[-1])

        return await find_python(ask, state)

    async def _attach(self, state: ImageState, files: tuple[AttachedFiles, ...]) -> tuple[str, ...]:
        # In one layer: what changes with the caller's code is made anew with each change.
        below = state.layers[-1]
        named = " ".join((below, *(each.sha256 for each in files)))
        layer = f"files-{hashlib.sha256(named.encode()).hexdigest()}"
        if not await asyncio.to_thread(self.store.has_layer, layer):
            with self.store.making() as folder, ExitStack() as stack:
                archives: list[IO[bytes]] = [io.BytesIO(_scaffold())]
                for number, each in enumerate(files):
                    with await opened(each.content, self._open_blob) as archive:
                        await asyncio.to_thread(check_archive, archive, each.sha256)
                        made = stack.enter_context((folder / str(number)).open("w+b"))
                        await asyncio.to_thread(rewrite, archive, made)
                        archives.append(made)
                await self.shop.add(archives, below, layer)
        return (*state.layers, layer)

    def _root(self, state: ImageState, layers: tuple[str, ...]) -> RootImage:
        return RootImage(
            (),
            state.python,
            state.working_dir,
            state.env,
            state.entrypoint,
            engine_name(layers[-1]),
        )

    # --- steps ---

    async def _do(self, step: ImageStep, before: ImageState, on_line: Tell) -> ImageState:
        if step.kind == "add_files":
            await self._add_files(step, before)
        else:
            work = work_of(step, before.python, self._settings.package_index)
            if work is None:
                raise ImageError(f"this worker knows no step {step.kind!r}; update it")
            with self.store.making() as folder:
                job = await self._job(step, work, before, folder)
                result = await self.shop.run(job, before.layers[-1], step.digest, on_line)
            check_result(step, result)
        after = before.with_layer(step.digest)
        return after.with_python_of(before) if step.kind in KEEP_PYTHON else after

    async def _add_files(self, step: ImageStep, before: ImageState) -> None:
        assert step.content is not None, "the SDK sends it"  # noqa: S101  # else the digest is wrong
        with self.store.making() as folder, (folder / "files").open("w+b") as file:
            with await opened(step.content, self._open_blob) as archive:
                seekable = archive if archive.seekable() else io.BytesIO(archive.read())
                await asyncio.to_thread(rewrite, seekable, file)
            await self.shop.add([file], before.layers[-1], step.digest)

    async def _job(self, step: ImageStep, work: Work, before: ImageState, folder: Path) -> Job:
        binds = [Bind(path, f"{GUEST_AT}/{name}") for name, path in self._guest_packages.items()]
        if work.uses_uv:
            binds.append(Bind(find_uv(), UV_AT))
        if work.content is not None:
            path = folder / "content"
            with await opened(work.content, self._open_blob) as source, path.open("wb") as target:
                await asyncio.to_thread(shutil.copyfileobj, source, target)
            path.chmod(0o644)
            binds.append(Bind(str(path), CONTENT_AT))
        working_dir = before.working_dir if step.kind != "workdir" else "/"
        hidden = {**self._hidden(before), **dict(step.secrets)}
        return Job(work.argv, dict(before.env), hidden, (*binds, *self._ca()), working_dir)

    def _hidden(self, before: ImageState) -> dict[str, str]:
        """Return what builds are told and images do not remember."""
        has_ca = self._settings.ca_file is not None
        env = build_environment(before.env, self._settings.proxies, has_ca=has_ca)
        return {name: value for name, value in env.items() if name not in dict(before.env)}

    def _ca(self) -> tuple[Bind, ...]:
        ca_file = self._settings.ca_file
        return (Bind(str(ca_file.resolve()), CA_AT),) if ca_file is not None else ()

    # --- sources ---

    async def _registry(self, step: ImageStep, before: ImageState, tell: Tell) -> ImageState:
        registry = open_registry(step, self._settings)
        try:
            with self.store.making() as folder:
                manifest, configuration = await read_manifest(registry)
                archives, binds = [], []
                for number, layer in enumerate(manifest.layers, start=1):
                    tell(layer_position(number, manifest))
                    path = folder / f"{number}.tar"
                    await fetch_layer(registry, layer, path)
                    place = f"/run/offload/layers/{number}"
                    binds += [Bind(str(path), place), *zstandard_of(layer.compression)]
                    archives.append(f"{layer.compression}:{place}")
                result = await self._unpack(step.digest, archives, binds, configuration.working_dir)
        except RegistryError as error:
            raise ImageError(str(error)) from error
        if result.code != 0:
            raise ImageError(
                last_said(result.last_lines) or "it could not be unpacked", result.code
            )
        env = (("PATH", PATH), *configuration.env)
        state = before.with_layer(step.digest).with_env(env)
        return replace(state, working_dir=configuration.working_dir)

    async def _unpack(
        self, layer: str, archives: list[str], binds: list[Bind], folder: str
    ) -> Result:
        program = f"{GUEST_AT}.py"
        words = (str(self._settings.max_bytes), "layer", folder, *archives)
        job = Job(
            (_INTERPRETER, "-I", "-S", program, *words),
            {"PYTHONDONTWRITEBYTECODE": "1"},
            binds=(Bind(guest_unpack.__file__, program), *dict.fromkeys(binds)),
        )
        return await self.shop.run_tool(job, layer)

    async def _debian(self, step: ImageStep, before: ImageState, on_line: Tell) -> ImageState:
        if shutil.which("mmdebstrap") is None:
            raise ImageError(
                "debian_slim is made with mmdebstrap, which the worker lacks: let root run `apt install mmdebstrap`"
            )
        version = step.setting("python")
        suite = SUITES.get(version, DEFAULT_SUITE)
        packages = ("python3",) if version in SUITES else ()
        lines = await find_mirrors(suite, self._settings)
        job = Job(
            debootstrap_arguments(suite, TARGET, packages, lines),
            {"TMPDIR": "/tmp", **dict(self._settings.proxies)},  # noqa: S108 - the container's own
            capabilities=_DEBIAN_CAPABILITIES,
        )
        result = await self.shop.run_tool(job, step.digest, on_line)
        if result.code != 0:
            raise ImageError(
                f"mmdebstrap ended with exit code {result.code}", result.code, result.last_lines
            )
        after = before.with_layer(step.digest).with_env((("PATH", PATH),))
        if version in SUITES:
            return after
        layer = hashlib.sha256(f"{step.digest} python {version}".encode()).hexdigest()
        return await self._python(layer, version, after, on_line, is_debian=True)

    async def _python(
        self,
        layer: str,
        version: str,
        before: ImageState,
        on_line: Tell,
        *,
        is_debian: bool = False,
    ) -> ImageState:
        argv, told = python_install(version, self._settings.python_mirror)
        job = Job(
            argv,
            dict(before.env),
            {**self._hidden(before), **told},
            (Bind(find_uv(), UV_AT), *self._ca()),
        )
        result = await self.shop.run(job, before.layers[-1], layer, on_line)
        if result.code != 0:
            raise no_python(version, result, is_debian=is_debian)
        return before.with_layer(layer)


def _scaffold() -> bytes:
    """Return an archive of the folders that a container's own mounts cover.

    Older engines give what they mount there the mode of what is below, and refuse where that is a link.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in SCAFFOLD:
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE
            entry.mode = 0o1777 if name == "tmp" else 0o755
            archive.addfile(entry)
    return buffer.getvalue()
