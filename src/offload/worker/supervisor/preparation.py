"""What has to be there before a container can start: its function's image, which may have to be built, and its volumes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from offload.worker.core.text import one_line
from offload.worker.core.values import Failure, FailureKind, Line
from offload.worker.ports import FunctionRefusedError, ImageError
from offload.worker.volumes import VolumeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from offload.wire import guest
    from offload.worker.core.values import Function
    from offload.worker.ports import ImageBuilder, ImageHold, RootImage, Runtime, VolumeBind
    from offload.worker.volumes import Mounts, Volumes

_REASON_BYTES = 4096
_MISSING = re.compile(r"No module named '([A-Za-z0-9_]+)")


class Preparation:
    """The image and the volumes of one container: waited for, held, and let go. See `BuildListener`."""

    def __init__(
        self,
        function: Function,
        container_id: str,
        on_line: Callable[[Line], None],
        on_change: Callable[[], None],
    ) -> None:
        self.audience = function.app_id
        self.progress = ""  # what is being done; told to the caller as the reason of the waiting
        self._function = function
        self._container_id = container_id
        self._on_line = on_line
        self._on_change = on_change
        self._hold: ImageHold | None = None
        self._mounts: Mounts | None = None
        self._has_advised = False

    @property
    def root(self) -> RootImage | None:
        """The image's root; None where the function has no image."""
        return self._hold.root if self._hold is not None else None

    async def prepare(
        self, builders: Mapping[str, ImageBuilder], runtime: Runtime, volumes: Volumes | None
    ) -> None:
        """Return when all is there, however long that takes. Raises `ImageError`, and for volumes `ContainerStartError`."""
        await self._build(builders, runtime)
        await self._mount(volumes, runtime)

    async def _build(self, builders: Mapping[str, ImageBuilder], runtime: Runtime) -> None:
        image = self._function.image
        if image is None:
            return
        builder = builders.get(runtime.capabilities.images)
        if builder is None:
            raise ImageError(
                f"the runtime {runtime.capabilities.name!r} has no roots of its own and so runs no images; "
                "bubblewrap, gvisor and docker do"
            )
        try:
            self._hold = await builder.build(image, self)
        finally:
            self.on_progress("")

    async def _mount(self, volumes: Volumes | None, runtime: Runtime) -> None:
        wanted = self._function.volumes
        if not wanted:
            return
        can = runtime.capabilities
        if volumes is None or can.no_volumes:
            raise FunctionRefusedError(
                f"the runtime {can.name!r} mounts no volumes on this worker: {can.no_volumes or 'it has none'}"
            )
        if not can.holds_read_only and (held := [m.path for m in wanted if m.is_read_only]):
            raise FunctionRefusedError(
                f"the runtime {can.name!r} cannot keep containers from writing to {held[0]}, which is mounted read-only: "
                "leave out .read_only() or runtime="
            )
        self.on_progress("bringing its volumes here")
        try:
            self._mounts = await volumes.mount(self._container_id, wanted, self.on_build_line)
        except VolumeError as error:
            raise FunctionRefusedError(str(error)) from error
        finally:
            self.on_progress("")

    @property
    def binds(self) -> tuple[VolumeBind, ...]:
        """Where the volumes are on this machine."""
        return self._mounts.binds if self._mounts is not None else ()

    async def settle(self) -> None:
        """Take note of what is in the volumes, before user code can change it."""
        if self._mounts is not None:
            await self._mounts.settle()

    async def unmount(self, *, commits: bool) -> None:
        """Let the volumes of a container that is gone go, and publish before what it has left there. Idempotent."""
        mounts, self._mounts = self._mounts, None
        why_not = await mounts.close(commits=commits) if mounts is not None else ""
        if why_not:
            self.on_build_line(f"what the container wrote last is lost: {why_not}")

    def on_progress(self, text: str) -> None:
        """See `BuildListener`."""
        if text != self.progress:
            self.progress = text
            self._on_change()

    def on_build_line(self, text: str) -> None:
        """See `BuildListener`."""
        function = self._function
        self._on_line(Line(function.app_id, function.name, self._container_id, "", "system", text))

    def advise(self, results: guest.Results) -> None:
        """Tell the caller, once, what to add to the image, where an input has missed a module in it."""
        for result in results.results:
            fault = result.fault
            if fault is not None and fault.type_name.endswith("ModuleNotFoundError"):
                text = self.advice(fault).removeprefix("; ")
                if text and not self._has_advised:
                    self._has_advised = True
                    self.on_build_line(text)

    def advice(self, fault: guest.Fault) -> str:
        """Say what to add to the image, where a module was missing in it."""
        missing = _MISSING.search(fault.message) if self._hold is not None else None
        if missing is None:
            return ""
        if self._function.image is self._function.image_elsewhere:
            return (
                "; no worker shares your machine, so it runs in a minimal Debian: write "
                f'image=offload.Image.debian_slim().pip_install("{missing[1]}"), or run a worker on your machine'
            )
        return f'; its image lacks the module: add .pip_install("{missing[1]}"), or the package that brings it'

    async def release(self) -> None:
        """Let the image go, and the volumes without a last commit. Idempotent."""
        await self.unmount(commits=False)
        if self._hold is not None:
            self._hold.release()


def image_failure(error: ImageError) -> Failure:
    """Return why a container of a function could not start: no other worker would build its image better."""
    reason = one_line(str(error) or type(error).__name__, _REASON_BYTES)
    return Failure(
        FailureKind.START,
        reason,
        error.exit_code,
        last_lines=error.last_lines,
        type_name="ImageError",
        is_hopeless=True,
    )


class Unheard:
    """Whoever waits for an image that is built already. See `BuildListener`."""

    audience = ""

    def on_progress(self, text: str) -> None:
        """See `BuildListener`."""

    def on_build_line(self, text: str) -> None:
        """See `BuildListener`."""
