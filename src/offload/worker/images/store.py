"""Layers on this machine's disk, each named by what made it; bounded in bytes, the least recently used dropped first.

Below its directory: `layers/NAME/fs` holds a layer's files and `layers/NAME/size` their bytes; `steps/DIGEST.json` says
which layers a chain of steps has come to. What is being made lies in `making/` (`shared/making/`) until it is whole and is renamed then, so
that nothing half-made ever has a name. Several processes may use the directory at once: a layer in use is locked by
`flock`, which the kernel ends with the process, however that ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.core.images import ImageState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Directories in which a container's own mounts go; where the image has something else of that name, they cover it.
SCAFFOLD = ("dev", "proc", "sys", "tmp", "run", "home", "home/offload", "etc")
_SCAFFOLD_FILES = ("etc/resolv.conf", "etc/hosts")


@dataclass(slots=True)
class Making:
    """A layer in the making: `fs` becomes its files; `work` is for the kernel's overlay."""

    directory: Path
    _lock: int

    @property
    def fs(self) -> Path:
        """Where its files go."""
        return self.directory / "fs"

    @property
    def work(self) -> Path:
        """An empty directory beside them."""
        return self.directory / "work"

    def unlock(self) -> None:
        """Let others clear away what is left."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


class LayersHold:
    """Layers that nobody removes until it is released."""

    def __init__(self, descriptors: list[int]) -> None:
        self._descriptors = descriptors

    def release(self) -> None:
        """Let them go. Idempotent."""
        while self._descriptors:
            os.close(self._descriptors.pop())


@dataclass(frozen=True, slots=True)
class StoredStep:
    """What a chain has come to, for people."""

    digest: str
    state: ImageState
    used_at: float
    size_bytes: int  # of all its layers
    own_bytes: int  # of the topmost


class LayerStore:
    """See the module. `remove_tree` removes a directory whatever its owners; None: this user can."""

    def __init__(
        self,
        directory: Path,
        max_bytes: int,
        owner: int,
        remove_tree: Callable[[Path], None] | None = None,
    ) -> None:
        self.directory = directory
        self._max_bytes = max_bytes
        self._owner = owner
        self._remove_tree = remove_tree or remove_vanishing_tree
        self._makings = (directory / "making", directory / "shared" / "making")
        self.shared = directory / "shared"  # what builds fetch, and layers that are linked from it
        for name in ("layers", "steps", "making", "shared/making"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        for path in (self.shared, self.shared / "making"):
            self._give(path)
        self.scaffold = directory / "scaffold"
        self._make_scaffold()
        self.clear_abandoned()

    # --- what there is ---

    def state_of(self, digest: str) -> ImageState | None:
        """Return what a chain has come to, where all of it is here; it counts as used now."""
        file = self._step_file(digest)
        try:
            state = read_state(file)
        except (OSError, ValueError, TypeError):
            return None
        for layer in state.layers:
            if not self.has_layer(layer):
                return None
            self._touch(self._layer(layer) / "size")
        self._touch(file)
        return state

    def has_layer(self, layer: str) -> bool:
        """Whether a layer is here."""
        return (self._layer(layer) / "size").exists()

    def files_of(self, layer: str) -> Path:
        """Return where a layer's files are."""
        return self._layer(layer) / "fs"

    def hold(self, layers: Iterable[str]) -> LayersHold | None:
        """Keep layers from being removed; None where one of them is not here."""
        descriptors: list[int] = []
        hold = LayersHold(descriptors)
        for layer in layers:
            try:
                descriptors.append(os.open(self._layer(layer), os.O_RDONLY | os.O_DIRECTORY))
                fcntl.flock(descriptors[-1], fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                hold.release()
                return None
            if not self.has_layer(layer):
                hold.release()
                return None
        return hold

    def steps(self) -> list[StoredStep]:
        """List the chains that are here, the most recently used first."""
        found = []
        for file in (self.directory / "steps").glob("*.json"):
            with contextlib.suppress(OSError, ValueError, TypeError):
                state = read_state(file)
                sizes = [self._size(layer) for layer in state.layers]
                used_at = file.stat().st_mtime
                own = sizes[-1] if sizes else 0
                found.append(StoredStep(file.stem, state, used_at, sum(sizes), own))
        return sorted(found, key=lambda step: -step.used_at)

    @property
    def used_bytes(self) -> int:
        """How much disk the layers take."""
        return sum(self._size(path.name) for path in (self.directory / "layers").iterdir())

    # --- making ---

    def make(self, *, is_linked: bool = False) -> Making:
        """Begin a layer; `is_linked` where its files are to be linked from what is shared, which takes one mount."""
        directory = self._makings[is_linked] / secrets.token_hex(8)
        directory.mkdir()
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        making = Making(directory, lock)
        for path in (making.fs, making.work):
            path.mkdir(mode=0o755)
            path.chmod(0o755)  # whatever the umask is
            self._give(path)
        return making

    def keep(self, making: Making, layer: str) -> None:
        """Make what was made a layer of that name; it is dropped where there is one already."""
        for path in making.directory.iterdir():
            if path != making.fs:
                self._remove_tree(path) if path.is_dir() else path.unlink()
        size_bytes = disk_usage(making.fs)
        (making.directory / "size").write_text(str(size_bytes))
        target = self._layer(layer)
        with contextlib.suppress(OSError):
            os.rename(making.directory, target)  # noqa: PTH104 - one system call, or none
        making.unlock()
        if making.directory.exists():
            self._remove_tree(making.directory)

    def drop(self, making: Making) -> None:
        """Remove what was made."""
        making.unlock()
        if making.directory.exists():
            self._remove_tree(making.directory)

    def record(self, digest: str, state: ImageState) -> None:
        """Say what a chain has come to."""
        file = self._step_file(digest)
        partial = file.with_suffix(f".{secrets.token_hex(4)}.partial")
        partial.write_text(json.dumps(asdict(state)))
        partial.rename(file)

    @contextlib.contextmanager
    def trying_lock(self, digest: str) -> Iterator[bool]:
        """Give whether the chain is this caller's to build: one builder at a time, on the whole machine."""
        descriptor = os.open(
            self.directory / "steps" / f"{digest}.lock", os.O_CREAT | os.O_RDWR, 0o600
        )
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    # --- room ---

    def make_room(self) -> int:
        """Drop layers that nobody uses until the rest fits, the least recently used first; return the bytes freed.

        What builds have fetched has as much room again, see `trim_shared`.
        """
        return self._drop_down_to(self._max_bytes) + self.trim_shared()

    def prune(self) -> int:
        """Drop every layer that nobody uses, and what was fetched for others; return the bytes freed."""
        return self._drop_down_to(0) + self.trim_shared(0)

    def trim_shared(self, max_bytes: int | None = None) -> int:
        """Drop what builds have fetched where it takes more than that, and no build is using it; return the bytes freed."""
        kept = self._max_bytes if max_bytes is None else max_bytes
        if any(self._makings[True].iterdir()):
            return 0
        caches = [self.shared / name for name in ("uv", "pyc")]
        used = sum(disk_usage(cache) for cache in caches if cache.exists())
        if used <= kept:
            return 0
        for cache in caches:
            if cache.exists():
                self._remove_tree(cache)
        return used

    def _drop_down_to(self, max_bytes: int) -> int:
        layers = sorted(
            (self._used_at(path), path.name) for path in (self.directory / "layers").iterdir()
        )
        used = before = self.used_bytes
        for _, layer in layers:
            if used <= max_bytes:
                break
            size_bytes = self._size(layer)
            if self._drop_layer(layer):
                used -= size_bytes
        if used != before:
            self._forget_broken_chains()
        return before - used

    def _drop_layer(self, layer: str) -> bool:
        """Remove a layer unless it is in use."""
        path = self._layer(layer)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            doomed = self.directory / "making" / f"{secrets.token_hex(8)}.doomed"
            path.rename(doomed)
            self._remove_tree(doomed)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True

    def _forget_broken_chains(self) -> None:
        for file in (self.directory / "steps").glob("*.json"):
            with contextlib.suppress(OSError, ValueError, TypeError):
                if not all(self.has_layer(layer) for layer in read_state(file).layers):
                    file.unlink()

    def clear_abandoned(self) -> None:
        """Remove what somebody was making who is gone."""
        for path in (each for making in self._makings for each in making.iterdir()):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            except OSError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue  # it is being made
            else:
                self._remove_tree(path)
            finally:
                os.close(descriptor)

    # --- places ---

    def _layer(self, layer: str) -> Path:
        return self.directory / "layers" / layer

    def _step_file(self, digest: str) -> Path:
        return self.directory / "steps" / f"{digest}.json"

    def _size(self, layer: str) -> int:
        try:
            return int((self._layer(layer) / "size").read_text())
        except (OSError, ValueError):
            return 0

    def _used_at(self, path: Path) -> float:
        try:
            return (path / "size").stat().st_mtime
        except OSError:
            return 0.0

    def _touch(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            os.utime(path)

    def _make_scaffold(self) -> None:
        for name in SCAFFOLD:
            path = self.scaffold / name
            path.mkdir(parents=True, exist_ok=True)
        for name in _SCAFFOLD_FILES:
            (self.scaffold / name).touch()
        for path in (self.scaffold, *self.scaffold.rglob("*")):
            path.chmod(0o1777 if path.name == "tmp" else 0o755 if path.is_dir() else 0o644)
            self._give(path)

    def _give(self, path: Path) -> None:
        if os.getuid() == 0:
            os.chown(path, self._owner, self._owner)


def disk_usage(directory: Path) -> int:
    """Return the bytes on disk that a tree takes, as far as this user can look; a file with several names counts once."""
    total = 0
    seen: set[tuple[int, int]] = set()
    stack = [str(directory)]
    while stack:
        try:
            entries = list(os.scandir(stack.pop()))
        except OSError:
            continue
        for entry in entries:
            facts = entry.stat(follow_symlinks=False)
            if facts.st_nlink > 1 and not entry.is_dir(follow_symlinks=False):
                if (facts.st_dev, facts.st_ino) in seen:
                    continue
                seen.add((facts.st_dev, facts.st_ino))
            total += facts.st_blocks * 512
            if entry.is_dir(follow_symlinks=False):
                stack.append(entry.path)
    return total


def read_state(file: Path) -> ImageState:
    """Read what `record` has written. Raises OSError, ValueError or TypeError."""
    fields = json.loads(file.read_text())
    fields["layers"] = tuple(fields["layers"])
    fields["entrypoint"] = tuple(fields["entrypoint"])
    fields["env"] = tuple((name, value) for name, value in fields["env"])
    return ImageState(**fields)


def remove_vanishing_tree(path: Path) -> None:
    """Remove a directory from which the kernel may be removing too: an overlay's work files go when its mount does."""
    shutil.rmtree(path, onerror=_raise_unless_gone)


def _raise_unless_gone(_function: object, _path: object, caught: tuple[object, ...]) -> None:
    error = caught[1]
    if isinstance(error, BaseException) and not isinstance(error, FileNotFoundError):
        raise error
