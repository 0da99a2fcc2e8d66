"""Inside an image: says which interpreter it has, where packages go, and which there are, as one line of JSON.

Runs with the image's interpreter: CPython 3.9 or later, standard library only.
"""

from __future__ import annotations

import json
import os
import platform
import site
import sys
import sysconfig
from importlib import metadata


def _places() -> dict[str, str]:
    """Return where packages, their programs and their data go."""
    places = {
        name: os.path.realpath(sysconfig.get_path(name)) for name in ("purelib", "scripts", "data")
    }
    searched = [os.path.realpath(folder) for folder in site.getsitepackages()]
    if places["purelib"] in searched:
        return places
    # Debian's Pythons before 3.10 search elsewhere than they say.
    return {"purelib": searched[0], "scripts": "/usr/local/bin", "data": "/usr/local"}


def main() -> None:
    """Print it."""
    libc, libc_version = platform.libc_ver()
    facts = {
        "python": sys.executable,
        "version": platform.python_version(),
        "implementation": sys.implementation.name,
        "machine": platform.machine(),
        "glibc": libc_version if libc == "glibc" else "",
        **_places(),
        "installed": {
            str(each.metadata["Name"]): each.version
            for each in metadata.distributions()
            if each.metadata["Name"]
        },
    }
    print(json.dumps(facts))  # noqa: T201 - the purpose


if __name__ == "__main__":
    main()
