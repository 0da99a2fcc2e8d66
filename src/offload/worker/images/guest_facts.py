"""Inside an image: says which interpreter it has, where packages go, and which there are, as one line of JSON.

Runs with the image's interpreter: CPython 3.9 or later, standard library only.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import sysconfig
from importlib import metadata


def main() -> None:
    """Print it."""
    libc, libc_version = platform.libc_ver()
    facts = {
        "python": sys.executable,
        "version": platform.python_version(),
        "implementation": sys.implementation.name,
        "machine": platform.machine(),
        "glibc": libc_version if libc == "glibc" else "",
        "purelib": os.path.realpath(sysconfig.get_path("purelib")),
        "scripts": os.path.realpath(sysconfig.get_path("scripts")),
        "data": os.path.realpath(sysconfig.get_path("data")),
        "installed": {
            str(each.metadata["Name"]): each.version
            for each in metadata.distributions()
            if each.metadata["Name"]
        },
    }
    print(json.dumps(facts))  # noqa: T201 - the purpose


if __name__ == "__main__":
    main()
