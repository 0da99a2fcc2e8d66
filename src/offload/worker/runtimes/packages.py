"""Which of our installed packages the guest needs."""

from __future__ import annotations

import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_NAMES = ("offload", "cloudpickle")


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


def link_guest_packages() -> tempfile.TemporaryDirectory[str]:
    """Make a directory in which the guest finds its packages and nothing else that is installed beside them."""
    root = tempfile.TemporaryDirectory(prefix="offload-guest-")
    for name, path in guest_packages().items():
        Path(root.name, name).symlink_to(path)
    return root
