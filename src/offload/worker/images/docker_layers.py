"""Layers that a Docker Engine keeps: one image for every step, named by the step's digest; bounded as other layers are.

Below its directory: `steps/DIGEST.json` says what a chain has come to, `used/LAYER` when a layer was last used, `making/`
holds archives on their way. A layer in use is locked by `flock` on its file in `used`, which the kernel ends with the
process; a layer that a container uses the engine itself keeps.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING

from offload.worker.docker_engine import DockerError
from offload.worker.images.store import LayersHold, StoredStep, read_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from offload.worker.core.images import ImageState
    from offload.worker.images.build_engine import BuildEngine, EngineImage

REPOSITORY = "offload-image"
LAYER_LABEL = "offload.layer"
PARENT_LABEL = "offload.below"


class EngineLayers:
    """See the module, and `Layers`."""

    def __init__(self, directory: Path, max_bytes: int, engine: BuildEngine) -> None:
        self.directory = directory
        self._max_bytes = max_bytes
        self._engine = engine
        for name in ("steps", "used", "making"):
            (directory / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self.clear_abandoned()

    # --- what there is ---

    def state_of(self, digest: str) -> ImageState | None:
        """See `Layers`."""
        try:
            state = read_state(self._step_file(digest))
        except (OSError, ValueError, TypeError):
            return None
        # What is below is part of it.
        if state.layers and not self.has_layer(state.layers[-1]):
            return None
        for layer in state.layers:
            (self.directory / "used" / layer).touch()
        self._step_file(digest).touch()
        return state

    def record(self, digest: str, state: ImageState) -> None:
        """See `Layers`."""
        partial = self._step_file(f"{digest}.{secrets.token_hex(4)}.partial")
        partial.write_text(json.dumps(asdict(state)))
        partial.rename(self._step_file(digest))

    def has_layer(self, layer: str) -> bool:
        """Whether a layer is in the engine."""
        try:
            return self._engine.image_now(engine_name(layer)) is not None
        except DockerError:
            return False

    def hold(self, layers: Iterable[str]) -> LayersHold | None:
        """See `Layers`."""
        descriptors: list[int] = []
        hold, last = LayersHold(descriptors), ""
        try:
            for last in layers:
                file = self.directory / "used" / last
                descriptors.append(os.open(file, os.O_CREAT | os.O_RDONLY, 0o600))
                fcntl.flock(descriptors[-1], fcntl.LOCK_SH | fcntl.LOCK_NB)
                file.touch()
            is_here = not last or self.has_layer(last)
        except OSError:  # it is being removed
            is_here = False
        if not is_here:
            hold.release()
            return None
        return hold

    @contextlib.contextmanager
    def trying_lock(self, digest: str) -> Iterator[bool]:
        """See `Layers`."""
        file = self.directory / "steps" / f"{digest}.lock"
        descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def making(self) -> Iterator[Path]:
        """Give an empty folder for what is on its way; nothing of it stays."""
        folder = self.directory / "making" / secrets.token_hex(8)
        folder.mkdir()
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            os.close(descriptor)
            shutil.rmtree(folder, ignore_errors=True)

    def steps(self) -> list[StoredStep]:
        """List the chains that are here, the most recently used first."""
        images = self._images()
        found = []
        for file in (self.directory / "steps").glob("*.json"):
            with contextlib.suppress(OSError, ValueError, TypeError):
                state = read_state(file)
                top = images.get(state.layers[-1]) if state.layers else None
                if top is not None:
                    own = _own_bytes(top, images)
                    used_at = file.stat().st_mtime
                    found.append(StoredStep(file.stem, state, used_at, top.size_bytes, own))
        return sorted(found, key=lambda step: -step.used_at)

    @property
    def used_bytes(self) -> int:
        """How much disk the layers take."""
        images = self._images()
        return sum(_own_bytes(image, images) for image in images.values())

    # --- room ---

    def make_room(self) -> int:
        """See `Layers`."""
        return self._drop_down_to(self._max_bytes)

    def prune(self) -> int:
        """Drop every layer that nobody uses; return the bytes freed."""
        return self._drop_down_to(0)

    def clear_abandoned(self) -> None:
        """Remove what a dead process was making, and images whose name has gone to others."""
        for path in (self.directory / "making").iterdir():
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue  # it is on its way
            else:
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)

    def _drop_down_to(self, max_bytes: int) -> int:
        images = self._images()
        before = used = sum(_own_bytes(image, images) for image in images.values())
        kept: set[str] = set()
        while used > max_bytes:
            below = {image.labels.get(PARENT_LABEL, "") for image in images.values()}
            # What others are on top of goes after them: until then its bytes are theirs too.
            tops = [layer for layer in images if layer not in below and layer not in kept]
            if not tops:
                break
            layer = min(tops, key=self._used_at)
            if self._drop(layer):
                used -= _own_bytes(images.pop(layer), images)
            else:
                kept.add(layer)
        if used != before:
            self._forget_broken_chains()
        return before - used

    def _drop(self, layer: str) -> bool:
        """Remove a layer unless it is in use."""
        file = self.directory / "used" / layer
        descriptor = os.open(file, os.O_CREAT | os.O_RDONLY, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self._engine.remove_image_now(engine_name(layer)):
                return False
            file.unlink(missing_ok=True)
        except (OSError, DockerError):
            return False
        finally:
            os.close(descriptor)
        return True

    def _forget_broken_chains(self) -> None:
        images = self._images()
        for file in (self.directory / "steps").glob("*.json"):
            with contextlib.suppress(OSError, ValueError, TypeError):
                if not all(layer in images for layer in read_state(file).layers):
                    file.unlink()

    def _images(self) -> dict[str, EngineImage]:
        found = {}
        for image in self._engine.images_now(LAYER_LABEL):
            layer = image.labels[LAYER_LABEL]
            if engine_name(layer) in image.names:
                found[layer] = image
            elif not image.names:
                # Made by a process that died before it could say so; it has been made again since.
                with contextlib.suppress(DockerError):
                    self._engine.remove_image_now(image.image_id)
        return found

    def _used_at(self, layer: str) -> float:
        try:
            return (self.directory / "used" / layer).stat().st_mtime
        except OSError:
            return 0.0

    def _step_file(self, name: str) -> Path:
        return self.directory / "steps" / f"{name}.json"


def engine_name(layer: str) -> str:
    """Return a layer's name in the engine."""
    return f"{REPOSITORY}:{layer}"


def _own_bytes(image: EngineImage, images: dict[str, EngineImage]) -> int:
    below = images.get(image.labels.get(PARENT_LABEL, ""))
    return max(0, image.size_bytes - (below.size_bytes if below is not None else 0))
