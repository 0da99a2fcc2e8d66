"""Which of our installed packages the guest needs."""

from __future__ import annotations

import compileall
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.sandbox.guest import GUEST_ROOT
from offload.worker.sandbox.view import Shown

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES = ("offload", "cloudpickle")

# What the runner imports of them; the rest of `offload` would take seconds to compile.
_GUEST_MODULES = (
    "offload/*.py",
    "offload/runner/*.py",
    "offload/sdk/__init__.py",
    "offload/sdk/chains.py",
    "offload/sdk/serialize.py",
    "offload/wire/*.py",
    "offload/wire/guest/*.py",
    "cloudpickle/*.py",
)


@cache
def guest_packages() -> dict[str, str]:
    """Map each package the guest imports to the directory it is installed in."""
    found = {}
    for name in _NAMES:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"the package {name} is not installed beside the worker")
        found[name] = str(Path(spec.origin).resolve().parent)
    return found


@cache
def image_packages() -> dict[str, str]:
    """Map what is shown to a container with an image: also what its code needs to use the platform, if the image lacks it.

    They come last on the guest's import path, so that an image's own always win.
    """
    spec = find_spec("google.protobuf")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the package protobuf is not installed beside the worker")
    protobuf = Path(spec.origin).resolve().parent
    found = {**guest_packages(), "google/protobuf": str(protobuf)}
    compiled = protobuf.parent / "_upb"  # its fast half, for interpreters that can load it
    if compiled.is_dir():
        found["google/_upb"] = str(compiled)
    return found


def compile_guest(packages: dict[str, str]) -> None:
    """Write the compiled code of what the guest imports where it is missing or old, and may be written.

    The guest sees its packages read-only, so it could not keep what it compiles: after an install that does not
    compile (an editable one), every container would do it again, which doubles its start. An interpreter of another version
    than the worker's still does.
    """
    for pattern in _GUEST_MODULES:
        package, _, below = pattern.partition("/")
        for source in Path(packages[package]).glob(below):
            compileall.compile_file(source, quiet=2)  # quiet also about what cannot be written


def link_guest_packages() -> tempfile.TemporaryDirectory[str]:
    """Make a directory in which the guest finds its packages and nothing else that is installed beside them."""
    root = tempfile.TemporaryDirectory(prefix="offload-guest-")
    for name, path in guest_packages().items():
        Path(root.name, name).symlink_to(path)
    return root


def shown_guest(packages: Mapping[str, str], places: Mapping[str, str]) -> tuple[Shown, ...]:
    """Return the binds that show a container the guest's packages, from where they have been laid out."""
    return tuple(Shown(places[path], f"{GUEST_ROOT}/{name}") for name, path in packages.items())
