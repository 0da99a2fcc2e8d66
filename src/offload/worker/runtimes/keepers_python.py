"""The worker's interpreter as a keeper in an image's root finds it: by itself, with its own loader and libraries.

The image may have other libraries, or none; and its own interpreter is its maker's, who may not be what makes
namespaces. So those few files are shown at a place of their own, which containers see empty.
"""

from __future__ import annotations

import sys
import sysconfig
from functools import cache
from pathlib import Path

from offload.worker.ports import ContainerStartError
from offload.worker.sandbox.view import Shown

PLACE = "/run/offload/keeper"
# What the keeper imports of compiled modules brings its libraries here too.
import ctypes, fcntl, json, select, socket, struct  # noqa: E401, E402, F401, I001


@cache
def keepers_files() -> tuple[Shown, ...]:
    """Return what to show. Raises `ContainerStartError` where this interpreter is put together in an unknown way."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    shown = {
        f"{PLACE}/bin/{version}": str(Path(sys.executable).resolve()),
        f"{PLACE}/lib/{version}": str(Path(sysconfig.get_path("stdlib")).resolve()),
    }
    for library in _libraries():
        if library.name.startswith("ld-"):
            shown[f"{PLACE}/loader"] = str(library)
        for name in _names(library):
            shown[f"{PLACE}/libraries/{name}"] = str(library)
    if f"{PLACE}/loader" not in shown:
        raise ContainerStartError("the worker's interpreter has no loader, and so none in an image")
    return tuple(Shown(source, target) for target, source in sorted(shown.items()))


def keepers_argv() -> tuple[str, ...]:
    """Return the command that becomes the interpreter."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    loader = (f"{PLACE}/loader", "--inhibit-cache", "--library-path", f"{PLACE}/libraries")
    return (*loader, f"{PLACE}/bin/{version}")


def _libraries() -> set[Path]:
    lines = Path("/proc/self/maps").read_text().splitlines()
    files = {Path(line.split(maxsplit=5)[5]) for line in lines if "/" in line}
    # Modules are named as `.so`; libraries have a version behind it.
    return {file for file in files if ".so." in file.name and file.exists()}


def _names(library: Path) -> set[str]:
    """Return what a library is called: the name that others ask for is a link to the file."""
    stem = library.name.partition(".so")[0]
    return {
        path.name
        for path in library.parent.glob(f"{stem}.so*")
        if path.resolve() == library.resolve()
    }
