"""Where volumes may be mounted, checked where the user wrote it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from offload.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable

# Where no volume can be, and what must not be covered by one as a whole.
_SYSTEM_FOLDERS = ("dev", "proc", "run", "sys")
_TOP_FOLDERS = (
    "bin", "boot", "etc", "home", "lib", "lib32", "lib64", "opt", "root", "sbin", "srv", "tmp", "usr", "var",
)  # fmt: skip


def check_volumes(volumes: object, runtime: object = None) -> None:
    """Refuse what is no volume, places where none can be, and what the runtime cannot hold."""
    if not isinstance(volumes, Mapping):
        raise InvalidError(
            f'volumes={volumes!r} is not a dict of volumes by their paths: write volumes={{"/data": volume}}'
        )
    for path, volume in volumes.items():
        if not isinstance(getattr(volume, "mounted_path", None), str):
            raise InvalidError(
                f"volumes[{path!r}]={volume!r} is not a volume: write "
                f'volumes={{{path!r}: offload.Volume.from_name("my-volume", create_if_missing=True)}}'
            )
        _check_mount_path(path, volumes)
        if runtime == "process" and volume.is_read_only:
            raise InvalidError(
                f'volumes[{path!r}] is read-only, and runtime="process" is no sandbox and keeps nobody from writing: '
                "leave out .read_only() or runtime="
            )


def _check_mount_path(path: object, volumes: Iterable[object]) -> None:
    parts = path.split("/")[1:] if isinstance(path, str) else []
    if (
        not isinstance(path, str)
        or not path.startswith("/")
        or any(part in ("", ".", "..") or "\0" in part for part in parts)
    ):
        raise InvalidError(
            f"volumes[{path!r}]: a volume is mounted at an absolute path without '.', '..' and '//', such as \"/data\""
        )
    if parts[0] in _SYSTEM_FOLDERS or (len(parts) == 1 and parts[0] in _TOP_FOLDERS):
        raise InvalidError(
            f'volumes[{path!r}]: {path} is the system\'s: mount the volume in a folder of its own, such as "/data"'
        )
    for other in volumes:
        if other != path and str(other).startswith(path + "/"):
            raise InvalidError(
                f"volumes[{other!r}] lies in volumes[{path!r}]: mount them beside each other"
            )
