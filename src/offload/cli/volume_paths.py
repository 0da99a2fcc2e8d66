"""What the paths and patterns on the command line of `offload volume` mean, here and in the volume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from offload.cli.exits import CliError, Exit

if TYPE_CHECKING:
    from offload.sdk.volume import FileEntry, Volume


def is_pattern(path: str) -> bool:
    """Whether it is to be matched."""
    return any(mark in path for mark in "*?[")


def matching(volume: Volume, pattern: str) -> list[FileEntry]:
    """Return what a pattern matches in the volume. Raises `CliError` where nothing does."""
    from offload.sdk.volume_files import pattern_of

    matches = pattern_of(pattern).fullmatch
    found = [entry for entry in volume.iterdir() if matches(entry.path)]
    if not found:
        raise CliError(f"Nothing in the volume matches {pattern!r}.", Exit.NOT_FOUND)
    return found


def named(volume: Volume, path: str) -> list[str]:
    """Return the paths that a path or a pattern means."""
    return [entry.path for entry in matching(volume, path)] if is_pattern(path) else [path]


def below(volume: Volume, path: str) -> list[FileEntry]:
    """Return what a path or a pattern means, with all that stands below."""
    if not is_pattern(path):
        return volume.listdir(path, recursive=True)
    tops = [entry.path for entry in matching(volume, path)]
    return [
        entry
        for entry in volume.iterdir()
        if any(entry.path == top or entry.path.startswith(f"{top}/") for top in tops)
    ]


def local_places(local: str) -> list[Path]:
    """Return what a path or a pattern means on this machine. Raises `CliError` where there is nothing."""
    import glob

    if is_pattern(local) and not Path(local).exists():
        found = [Path(path) for path in sorted(glob.glob(local, recursive=True))]  # noqa: PTH207 - absolute patterns too
        if not found:
            raise CliError(f"Nothing here matches {local!r}.", Exit.NOT_FOUND)
        return found
    if not Path(local).exists():
        raise CliError(f"There is no {local} on this machine.", Exit.NOT_FOUND)
    return [Path(local)]


def local_targets(found: list[FileEntry], path: str, local: Path) -> dict[str, Path]:
    """Return where each entry goes: below LOCAL under its path from the folder that was asked for on."""
    top = path.strip("/")
    if len(found) == 1 and found[0].path == top and not local.is_dir():
        return {top: local}
    above = top.split("*")[0].rpartition("/")[0] if is_pattern(top) else top.rpartition("/")[0]
    return {
        entry.path: local / (entry.path[len(above) + 1 :] if above else entry.path)
        for entry in found
    }
