"""Makes layers: runs a step's command on top of the layers before it and keeps what it changed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

from offload.worker.core.text import one_line
from offload.worker.images import guest_unpack
from offload.worker.images.sandbox import Bind, Command
from offload.worker.images.steps import (
    CA_AT,
    CONTENT_AT,
    GUEST_AT,
    UV_AT,
    build_environment,
    index_options,
    work_of,
)
from offload.worker.images.wheels import Wheels, plain_requirements
from offload.worker.ports import ImageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from offload.worker.core.content import Content
    from offload.worker.core.images import ImageState, ImageStep
    from offload.worker.images.sandbox import BuildSandbox, Result
    from offload.worker.images.settings import ImageSettings
    from offload.worker.images.steps import Work
    from offload.worker.images.store import LayerStore, Making

_PIP = ("pip_install", "pip_requirements")

# After these the interpreter is the one that it was before.
KEEP_PYTHON = ("pip_install", "pip_requirements", "add_files", "workdir")

_LAST_LINE_BYTES = 500


@dataclass(frozen=True, slots=True)
class Archive:
    """A tar file on its way into a layer."""

    path: Path
    compression: str = "gzip"
    is_layer: bool = False  # with whiteouts
    folder: str = "/"  # made where it is missing


class Workshop:
    """See the module."""

    def __init__(
        self,
        store: LayerStore,
        sandbox: BuildSandbox,
        settings: ImageSettings,
        guest_packages: Mapping[str, str],
        open_blob: Callable[[Content], Awaitable[IO[bytes]]],
    ) -> None:
        self.store = store
        self.sandbox = sandbox
        self._settings = settings
        self._guest_packages = guest_packages
        self._open_blob = open_blob
        self._wheels = Wheels(store, sandbox, settings)

    async def run(
        self, step: ImageStep, before: ImageState, on_line: Callable[[str], None]
    ) -> ImageState:
        """Run a step and return what the chain has come to. Raises `ImageError`."""
        layer = step.digest
        is_linked = step.kind in _PIP
        async with self.making(layer, is_linked=is_linked) as making:
            if is_linked and await self._link_wheels(step, before, making, on_line):
                pass
            elif step.kind == "add_files":
                assert step.content is not None, "the SDK sends it"  # noqa: S101  # else the digest is wrong
                archive = Archive(await self._content_file(step.content, making))
                await self.unpack(archive, before, making)
            else:
                work = work_of(step, before.python, self._settings.package_index)
                if work is None:
                    raise ImageError(f"this worker knows no step {step.kind!r}; update it")
                await self._do(step, work, before, making, on_line)
        after = before.with_layer(layer)
        return after.with_python_of(before) if step.kind in KEEP_PYTHON else after

    @contextlib.asynccontextmanager
    async def making(self, layer: str, *, is_linked: bool = False) -> AsyncIterator[Making]:
        """Give a layer to fill; it is kept under its name where that succeeds, and dropped where it does not."""
        making = self.store.make(is_linked=is_linked)
        try:
            yield making
            await asyncio.to_thread(self.store.keep, making, layer)
        except BaseException:
            # In good order also where the worker is being ended: it waits for this.
            self.store.drop(making)
            raise

    @property
    def _interpreter(self) -> str:
        return str(Path(sys.executable).resolve())

    async def unpack(self, archive: Archive, before: ImageState, making: Making) -> None:
        """Unpack a tar file on top of the layers before. Raises `ImageError`."""
        with archive.path.open("rb") as file:
            command = Command(
                (
                    self._interpreter, "-I", "-S", f"{GUEST_AT}.py", str(self._settings.max_bytes),
                    "layer" if archive.is_layer else "files", archive.folder, f"{archive.compression}:",
                ),
                {"PYTHONDONTWRITEBYTECODE": "1"},
                self.layers_of(before),
                (str(making.fs), str(making.work)),
                guest_unpack.TARGET,
                (Bind(guest_unpack.__file__, f"{GUEST_AT}.py"), *zstandard_of(archive.compression)),
                stdin=file.fileno(),
            )  # fmt: skip
            result = await self.sandbox.run(command)
        if result.code != 0:
            raise ImageError(
                last_said(result.last_lines) or "it could not be unpacked", result.code
            )

    def layers_of(self, state: ImageState) -> tuple[str, ...]:
        """Return where the layers of a chain are."""
        return tuple(str(self.store.files_of(layer)) for layer in state.layers)

    async def opened(self, content: Content) -> IO[bytes]:
        """Open a step's content. Raises `ImageError`."""
        return await opened(content, self._open_blob)

    async def _do(
        self,
        step: ImageStep,
        work: Work,
        before: ImageState,
        making: Making,
        on_line: Callable[[str], None],
    ) -> None:
        ids = self.sandbox.ids
        if work.needs_ids and ids.kind == "single":
            raise ImageError(
                f"{step.kind} needs more users than this worker's account has: {ids.why_single}"
            )
        result = await self.sandbox.run(await self._command(step, work, before, making), on_line)
        check_result(step, result)

    async def _link_wheels(
        self,
        step: ImageStep,
        before: ImageState,
        making: Making,
        on_line: Callable[[str], None],
    ) -> bool:
        """Install packages the quick way; return whether that was possible."""
        text = ""
        if step.content is not None:
            with await self.opened(step.content) as file:
                text = file.read().decode(errors="replace")
        wanted = plain_requirements(step, text)
        if wanted is None or not before.python:
            return False
        index = index_options(step, self._settings.package_index)
        result = await self._wheels.install(find_uv(), wanted, before, making, index, on_line)
        if result is None:
            return False
        check_result(step, result)
        return True

    async def _command(
        self, step: ImageStep, work: Work, before: ImageState, making: Making
    ) -> Command:
        binds = [Bind(path, f"{GUEST_AT}/{name}") for name, path in self._guest_packages.items()]
        ca_file = self._settings.ca_file
        if ca_file is not None:
            binds.append(Bind(str(ca_file), CA_AT))
        if work.uses_uv:
            binds.append(Bind(find_uv(), UV_AT))
        if work.content is not None:
            binds.append(Bind(str(await self._content_file(work.content, making)), CONTENT_AT))
        env = build_environment(before.env, self._settings.proxies, has_ca=ca_file is not None)
        env.update(step.secrets)
        return Command(
            work.argv,
            env,
            self.layers_of(before),
            (str(making.fs), str(making.work)),
            binds=tuple(binds),
            working_dir=before.working_dir if step.kind != "workdir" else "/",
        )

    async def _content_file(self, content: Content, making: Making) -> Path:
        path = making.directory / "content"
        with await self.opened(content) as source, path.open("wb") as target:
            await asyncio.to_thread(shutil.copyfileobj, source, target)
        path.chmod(0o644)
        return path


async def opened(
    content: Content, open_blob: Callable[[Content], Awaitable[IO[bytes]]]
) -> IO[bytes]:
    """Open a step's content. Raises `ImageError`."""
    if not content.sha256:
        return io.BytesIO(content.inline)
    try:
        return await open_blob(content)
    except OSError as error:
        raise ImageError(f"its files could not be brought here: {error}") from error


def find_uv() -> str:
    """Return where uv is on this machine. Raises `ImageError`."""
    candidates = [Path(sys.executable).with_name("uv")]
    spec = find_spec("uv")
    if spec is not None and spec.origin is not None:
        candidates.append(Path(spec.origin).parents[4] / "bin" / "uv")
    candidates += [Path(found) for found in (shutil.which("uv"),) if found is not None]
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return str(candidate.resolve())
    raise ImageError(
        "packages are installed with uv, which is not beside the worker: `pip install offload[images]` there"
    )


def zstandard_of(compression: str) -> tuple[Bind, ...]:
    """Return what unpacking needs of this machine's packages. Raises `ImageError` where it is missing."""
    if compression != "zstd":
        return ()
    spec = find_spec("zstandard")
    if spec is None or spec.origin is None:
        raise ImageError(
            "a layer is compressed with zstd, for which a package is missing: `pip install offload[images]` on the worker"
        )
    return (Bind(str(Path(spec.origin).parent), f"{guest_unpack.PACKAGES}/zstandard"),)


def check_result(step: ImageStep, result: Result) -> None:
    """Raise `ImageError` where a step's command has failed."""
    if result.code != 0:
        what = step.arguments[0] if step.kind == "run_commands" else step.label
        last = last_said(result.last_lines)
        raise ImageError(
            f"{what!r} ended with exit code {result.code}" + (f": {last}" if last else ""),
            result.code,
            result.last_lines,
        )


def last_said(lines: tuple[str, ...]) -> str:
    """Return the last of the lines that says something."""
    said = [line for line in lines if line.strip()]
    return one_line(said[-1], _LAST_LINE_BYTES) if said else ""
