"""What a function takes along: its code by value, and the caller's environment by path."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from offload.errors import InvalidError
from offload.wire.host import host_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from offload.sdk.values import LocalEnvironment

PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def ship_by_value(module: ModuleType) -> None:
    """Let what `module` defines travel inside the functions that use it: containers cannot import it."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(module)


def modules_by_value() -> list[ModuleType]:
    """Return the modules that travel so."""
    import cloudpickle

    names: set[str] = cloudpickle.list_registry_pickle_by_value()
    return [sys.modules[name] for name in names if name in sys.modules]


def own_modules() -> list[tuple[str, str]]:
    """Return the user's own modules that are loaded, by name, with their files: no part of Python or of a package."""
    installed = (sys.prefix, sys.base_prefix, str(Path(__file__).parent.parent))
    folders = [os.path.realpath(folder) + os.sep for folder in installed]
    found = []
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name == "__main__" or not isinstance(file, str):
            continue
        if not os.path.realpath(file).startswith(tuple(folders)):
            found.append((name, file))
    return found


def pickle_function(function: object, name: str) -> bytes:
    """Return the function's code. Raises `InvalidError` that names the variable that cannot travel."""
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(function, protocol=5))
    except Exception as error:
        raise InvalidError(_unpicklable(function, name, error)) from error


def check_closure(function: object, name: str) -> None:
    """Refuse a function whose enclosing variables cannot travel, at the moment it is defined."""
    if getattr(function, "__closure__", None):
        from offload.sdk.serialize import explain_unpicklable

        why = explain_unpicklable(function)
        if why is not None:
            raise InvalidError(f"{name} cannot be sent to a container: {why}")


def _unpicklable(function: object, name: str, error: Exception) -> str:
    from offload.sdk.serialize import explain_unpicklable

    why = explain_unpicklable(function) or f"{type(error).__name__}: {error}"
    return f"{name} cannot be sent to a container: {why}"


def describe_environment() -> LocalEnvironment:
    """Name the interpreter, the import path and the folders a container must see. Raises `InvalidError`."""
    try:
        folder = str(Path.cwd())
    except FileNotFoundError:  # somebody has removed it
        folder = "/"
    return _describe(tuple(sys.path), folder)


@functools.cache
def _describe(search: tuple[str, ...], folder: str) -> LocalEnvironment:
    from offload.sdk.values import LocalEnvironment

    entries = [Path(folder, entry) for entry in search]  # "" is the current folder
    visible = [entry for entry in dict.fromkeys(entries) if _may_hold_modules(entry)]
    needed = [*visible, Path(sys.prefix), Path(sys.base_prefix), *_editable_installs(visible)]
    environment = LocalEnvironment(
        host_id=host_id(),
        python=sys.executable,
        sys_path=tuple(map(str, visible)),
        read_only_paths=_smallest(needed),
        working_dir=folder,
    )
    for path in (*environment.sys_path, *environment.read_only_paths, folder):
        _check_name(path)
    return environment


def _may_hold_modules(entry: Path) -> bool:
    # A program that comes through a pipe (`python <(…)`) has a folder of descriptors on its import path.
    return entry.exists() and not os.path.realpath(entry).startswith("/proc/")


def _check_name(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise InvalidError(
            f"The folder {path!r} cannot be shown to a container, because its name is not UTF-8: rename it."
        ) from None


def _editable_installs(search: list[Path]) -> Iterator[Path]:
    # An editable install that cannot be a .pth line has an import hook that maps names to folders or files: setuptools
    # in a module of its own, the `editables` of hatchling and others in the hook.
    for finder in sys.meta_path:
        hook = sys.modules.get(getattr(finder, "__module__", ""))
        for mapping in (getattr(hook, "MAPPING", None), getattr(finder, "_redirections", None)):
            if isinstance(mapping, dict):
                yield from (Path(str(path)).parent for path in mapping.values())
    # setuptools' strict mode makes a folder of links to the modules.
    for entry in search:
        if entry.name.startswith("__editable__."):
            yield from {file.resolve().parent for file in entry.rglob("*") if file.is_symlink()}


def _smallest(paths: Iterable[Path]) -> tuple[str, ...]:
    """Drop what lies inside another path; the root itself is never asked for."""
    kept: list[str] = []
    for path in sorted({os.path.realpath(path) for path in paths} | {str(path) for path in paths}):
        inside = any(path == other or path.startswith(other + os.sep) for other in kept)
        if path != os.sep and not inside:
            kept.append(path)
    return tuple(kept)
