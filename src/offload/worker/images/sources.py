"""Where images begin: Debian made by mmdebstrap, images of registries, and releases of Python."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

from offload.worker.images.debian import SUITES, deb_lines, debootstrap_arguments
from offload.worker.images.references import RegistryError, parse_reference
from offload.worker.images.registry import Registry
from offload.worker.images.sandbox import Bind, Command
from offload.worker.images.steps import CA_AT, PATH, UV_AT, build_environment, python_install
from offload.worker.images.workshop import Archive, find_uv, last_said
from offload.worker.ports import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from offload.worker.core.images import ImageState, ImageStep
    from offload.worker.images.references import Configuration, Descriptor, Manifest
    from offload.worker.images.sandbox import Result
    from offload.worker.images.settings import ImageSettings
    from offload.worker.images.workshop import Workshop

    Tell = Callable[[str], None]

_TARGET = "/mnt/root"
_MIB = 1024 * 1024
DEFAULT_SUITE = "bookworm"


class Sources:
    """See the module."""

    def __init__(self, workshop: Workshop, settings: ImageSettings) -> None:
        self._workshop = workshop
        self._settings = settings

    async def take(
        self, step: ImageStep, before: ImageState, on_line: Tell, tell: Tell
    ) -> ImageState:
        """Return what the chain has come to with a source. Raises `ImageError`."""
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

    # --- Debian ---

    async def _debian(self, step: ImageStep, before: ImageState, on_line: Tell) -> ImageState:
        sandbox = self._workshop.sandbox
        if sandbox.ids.kind == "single":
            raise ImageError(
                f"debian_slim needs more users than this worker's account has: {sandbox.ids.why_single}"
            )
        if shutil.which("mmdebstrap") is None:
            raise ImageError(
                "debian_slim is made with mmdebstrap, which the worker lacks: let root run `apt install mmdebstrap`"
            )
        version = step.setting("python")
        suite = SUITES.get(version, DEFAULT_SUITE)
        packages = ("python3",) if version in SUITES else ()
        async with self._workshop.making(step.digest) as making:
            command = Command(
                debootstrap_arguments(
                    suite, _TARGET, packages, await find_mirrors(suite, self._settings)
                ),
                {"PATH": PATH, "TMPDIR": "/tmp", **dict(self._settings.proxies)},  # noqa: S108 - the sandbox's own
                (),
                (str(making.fs), str(making.work)),
                _TARGET,
                all_capabilities=True,
            )
            result = await sandbox.run(command, on_line)
            if result.code != 0:
                raise ImageError(
                    f"mmdebstrap ended with exit code {result.code}", result.code, result.last_lines
                )
        after = before.with_layer(step.digest).with_env((("PATH", PATH),))
        if version in SUITES:
            return after
        layer = hashlib.sha256(f"{step.digest} python {version}".encode()).hexdigest()
        return await self._python(layer, version, after, on_line, is_debian=True)

    # --- releases of Python ---

    async def _python(
        self,
        layer: str,
        version: str,
        before: ImageState,
        on_line: Tell,
        *,
        is_debian: bool = False,
    ) -> ImageState:
        workshop = self._workshop
        argv, told = python_install(version, self._settings.python_mirror)
        ca_file = self._settings.ca_file
        env = build_environment(before.env, self._settings.proxies, has_ca=ca_file is not None)
        env |= told
        binds = [Bind(find_uv(), UV_AT)]
        if ca_file is not None:
            binds.append(Bind(str(ca_file), CA_AT))
        async with workshop.making(layer) as making:
            command = Command(
                argv,
                env,
                workshop.layers_of(before),
                (str(making.fs), str(making.work)),
                binds=tuple(binds),
            )
            result = await workshop.sandbox.run(command, on_line)
            if result.code != 0:
                raise no_python(version, result, is_debian=is_debian)
        return before.with_layer(layer)

    # --- registries ---

    async def _registry(self, step: ImageStep, before: ImageState, tell: Tell) -> ImageState:
        registry = open_registry(step, self._settings)
        try:
            manifest, configuration = await read_manifest(registry)
            state, chain = before, ""
            for number, layer in enumerate(manifest.layers, start=1):
                # By what is in it, and not how it was compressed.
                chain = hashlib.sha256(
                    f"{chain} {configuration.diff_ids[number - 1]}".encode()
                ).hexdigest()
                name = f"oci-{chain}"
                tell(layer_position(number, manifest))
                if not self._workshop.store.has_layer(name):
                    await self._layer(registry, layer, state, name)
                state = state.with_layer(name)
        except RegistryError as error:
            raise ImageError(str(error)) from error
        if configuration.working_dir != "/":
            # As a container engine does when it starts the image.
            await self._folder(configuration.working_dir, state, step.digest)
            state = state.with_layer(step.digest)
        env = (("PATH", PATH), *configuration.env)
        return replace(state.with_env(env), working_dir=configuration.working_dir)

    async def _folder(self, folder: str, below: ImageState, name: str) -> None:
        async with self._workshop.making(name) as making:
            path = making.directory / "content"
            path.write_bytes(bytes(10_240))  # an archive of nothing
            await self._workshop.unpack(Archive(path, folder=folder), below, making)

    async def _layer(
        self, registry: Registry, layer: Descriptor, below: ImageState, name: str
    ) -> None:
        async with self._workshop.making(name) as making:
            path = making.directory / "content"
            await fetch_layer(registry, layer, path)
            archive = Archive(path, layer.compression, is_layer=True)
            await self._workshop.unpack(archive, below, making)


async def find_mirrors(suite: str, settings: ImageSettings) -> list[str]:
    """Return the lines of a sources.list that a suite is made from."""
    known = ""
    if not settings.debian_mirror:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            asked = await asyncio.create_subprocess_exec(
                "apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)",
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            known = (await asked.communicate())[0].decode(errors="replace")
    return deb_lines(suite, settings.debian_mirror, known)


def python_image(step: ImageStep, settings: ImageSettings) -> ImageStep | None:
    """Return the image of a registry that a `debian_slim` is, where Debian has no such Python of its own; None: uv adds it."""
    version = step.setting("python")
    if version in SUITES or settings.python_mirror or not settings.oci_mirror:
        return None
    return replace(step, kind="registry", arguments=(f"python:{version}-slim",), secrets=())


def no_python(version: str, result: Result, *, is_debian: bool) -> ImageError:
    """Say that a release of Python cannot be had, and what would help."""
    instead = (
        f"or OFFLOAD_OCI_MIRROR to a registry that has python:{version}-slim"
        if is_debian
        else f"or begin with an image that has it, as from_registry('python:{version}-slim')"
    )
    why = f": {last_said(result.last_lines)}" if result.last_lines else ""
    return ImageError(
        f"Python {version} could not be fetched; on the worker, set OFFLOAD_PYTHON_MIRROR to where its releases are, "
        f"{instead}{why}",
        result.code,
        result.last_lines,
    )


def open_registry(step: ImageStep, settings: ImageSettings) -> Registry:
    """Return the registry that a step's image comes from."""
    return Registry(
        parse_reference(step.arguments[0]),
        dict(step.secrets),
        mirror=settings.oci_mirror,
        ca_file=settings.ca_file,
    )


async def read_manifest(registry: Registry) -> tuple[Manifest, Configuration]:
    """Return what an image consists of, and how programs run in it. Raises `RegistryError`."""
    manifest = await asyncio.to_thread(registry.manifest)
    configuration = await asyncio.to_thread(registry.configuration, manifest)
    if len(configuration.diff_ids) != len(manifest.layers):
        raise RegistryError("its manifest and its configuration do not fit together")
    return manifest, configuration


async def fetch_layer(registry: Registry, layer: Descriptor, path: Path) -> None:
    """Bring a layer here. Raises `RegistryError`."""
    await _in_thread(_fetch, registry, layer, path)


def layer_position(number: int, manifest: Manifest) -> str:
    """Say which of its layers is being fetched."""
    layer = manifest.layers[number - 1]
    return f"layer {number} of {len(manifest.layers)}, {layer.size_bytes / _MIB:.1f} MiB"


def _fetch(
    registry: Registry, layer: Descriptor, path: Path, is_wanted: Callable[[], bool]
) -> None:
    def on_bytes(_: int) -> None:
        if not is_wanted():
            raise RegistryError("nobody waits for it any more")

    with path.open("wb") as file:
        registry.fetch(layer, file, on_bytes)


async def _in_thread(
    work: Callable[[Registry, Descriptor, Path, Callable[[], bool]], None],
    registry: Registry,
    layer: Descriptor,
    path: Path,
) -> None:
    """Run in a thread; cancelled, tell the thread and wait for it, as it writes to what is then removed."""
    wanted = [True]
    running = asyncio.ensure_future(
        asyncio.to_thread(work, registry, layer, path, lambda: wanted[0])
    )
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        wanted.clear()
        wanted.append(False)
        await asyncio.wait([running])
        raise
