"""What of the host's file system a container sees, decided before anything is mounted.

The host's root is shown read-only, whole directories of it are hidden under empty ones, and then the few paths that
the image needs are shown again at their own place. A path is compared with its symbolic links resolved: a link must
not lead around a rule.
"""

from __future__ import annotations

import dataclasses
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from offload.worker.ports import FunctionRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

# Kernel interfaces and the mount points of the sandbox itself: never shown by wish of an image.
_RESERVED = ("/proc", "/sys", "/dev", "/run")


class RefusedPathError(FunctionRefusedError):
    """The image asks for a path that no container may see; the message is for the function's caller."""


@dataclass(frozen=True, slots=True)
class HostPath:
    """A path as somebody named it, and what it is after all symbolic links."""

    named: str
    real: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A read-only bind: `source` on the host appears at `target` in the container."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the runtime found out about this machine once, at its start."""

    data_dir: str  # real path of the platform's own state
    hidden: tuple[HostPath, ...]  # directories that appear empty
    masked_files: tuple[str, ...]  # files of /proc that appear empty
    masked_dirs: tuple[str, ...]  # directories of /proc and /sys that appear empty
    always_shown: tuple[Shown, ...]  # what every container needs below hidden directories
    names_shown: tuple[
        Shown, ...
    ] = ()  # files without which no name resolves, for containers with a root of their own


def is_within(path: str, directory: str) -> bool:
    """Tell whether `path` is `directory` or lies below it; both absolute and normal."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def image_paths(facts: HostFacts, paths: Iterable[HostPath]) -> tuple[Shown, ...]:
    """Choose the binds that make `paths` visible, parents before children.

    A path that is visible anyway needs no bind. A hidden directory itself (a home, /tmp) is not shown even when asked
    for: a script that lies directly in a home must not open that home.

    Raises `RefusedPathError` for paths that hold the platform's data or the kernel's.
    """
    binds: dict[str, str] = {}
    hidden_roots = {entry.real for entry in facts.hidden}
    for path in paths:
        if path.real in hidden_roots:
            continue
        _refuse_reserved(facts, path)
        if is_hidden(facts, path.real):
            binds[path.real] = path.real
        alias = _resolve_hidden_alias(facts, path.named)
        if alias != path.real and is_hidden(facts, alias):
            binds[alias] = path.real
    return tuple(Shown(source, target) for target, source in sorted(binds.items()))


def _refuse_reserved(facts: HostFacts, path: HostPath) -> None:
    if path.real == "/":
        raise RefusedPathError(
            "the whole file system cannot be shown to a container; name the folders it needs"
        )
    if is_within(path.real, facts.data_dir) or is_within(facts.data_dir, path.real):
        raise RefusedPathError(
            f"{path.named} holds offload's own data ({facts.data_dir}) and cannot be shown to a container; "
            "move the script into a folder of its own"
        )
    for reserved in _RESERVED:
        if is_within(path.real, reserved):
            raise RefusedPathError(
                f"{path.named} lies in {reserved}, which every container has of its own; move it elsewhere"
            )


def is_hidden(facts: HostFacts, path: str) -> bool:
    """Tell whether a real path is, or lies in, a directory that appears empty."""
    return any(is_within(path, entry.real) for entry in facts.hidden)


def _resolve_hidden_alias(facts: HostFacts, named: str) -> str:
    """Follow only links above hidden directories (/home -> /var/home): those still exist in the container."""
    for entry in facts.hidden:
        if is_within(named, entry.named):
            return posixpath.normpath(entry.real + named[len(entry.named) :])
    return named


def is_visible(facts: HostFacts, path: str, shown: Iterable[Shown]) -> bool:
    """Tell whether the container sees the host's `path` (real or named), and not one of its own in its place."""
    inside = _resolve_hidden_alias(facts, path)
    if any(is_within(inside, reserved) for reserved in _RESERVED):
        return False
    return not is_hidden(facts, inside) or any(is_within(inside, bind.target) for bind in shown)


def proc_masks(facts: HostFacts) -> tuple[list[str], list[str]]:
    """Return the files and directories of /proc that appear empty."""
    return (
        [path for path in facts.masked_files if is_within(path, "/proc")],
        [path for path in facts.masked_dirs if is_within(path, "/proc")],
    )


def without_proc_masks(facts: HostFacts) -> HostFacts:
    """Show all of /proc: the kernel gives nobody a new one who does not see all of the one before."""
    return dataclasses.replace(
        facts,
        masked_files=tuple(path for path in facts.masked_files if not is_within(path, "/proc")),
        masked_dirs=tuple(path for path in facts.masked_dirs if not is_within(path, "/proc")),
    )
