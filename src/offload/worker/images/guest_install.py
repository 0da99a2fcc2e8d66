"""Inside an image: has uv install packages with nothing shared, and compiles what is new.

This is the way for what has to be built from source, or changes what is installed: such code runs, and must not reach
what other images are made of. Plain wheels go another way, see `wheels`.

Runs with the image's interpreter: CPython 3.9 or later, standard library only.
"""

from __future__ import annotations

import compileall
import os
import py_compile
import subprocess
import sys
import sysconfig
from pathlib import Path


def main(uv: str, arguments: list[str]) -> int:
    """Install and compile; return uv's exit code."""
    env = {
        **os.environ,  # noqa: TID251 - of the build, which says where certificates and proxies are
        "UV_CACHE_DIR": "/run/uv",
        "UV_LINK_MODE": "copy",
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "UV_BREAK_SYSTEM_PACKAGES": "1",
        "UV_SYSTEM_PYTHON": "1",
    }
    before = _sources()
    done = subprocess.run([uv, "pip", "install", *arguments], env=env, check=False)  # noqa: S603 - the purpose
    if done.returncode == 0:
        for source in sorted(_sources() - before):
            # Unchecked: a layer never changes, and times of files are not kept everywhere.
            compileall.compile_file(
                source, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
            )
    return done.returncode


def _sources() -> set[str]:
    folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    return {str(path) for folder in folders for path in Path(folder).rglob("*.py")}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[3:]))
