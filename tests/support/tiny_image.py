"""The smallest root with a Python in it, taken from this machine's own: what tests of images begin with."""

from __future__ import annotations

import functools
import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

PYTHON = "/usr/bin/python3"

_PROGRAMS = ("sh", "cat", "ls", "mkdir", "touch", "rm", "ln", "sleep", "id", "env", "readlink")
_LEFT_OUT = {
    "test", "tests", "idlelib", "tkinter", "lib2to3", "pydoc_data", "ensurepip", "__pycache__", "distutils", "turtledemo",
    "dist-packages",
}  # fmt: skip


def why_impossible() -> str:
    """Say what this machine lacks for it; empty where nothing."""
    if not Path(PYTHON).exists():
        return f"needs a Python of the system's at {PYTHON}"
    missing = [name for name in _PROGRAMS if shutil.which(name, path="/usr/bin:/bin") is None]
    return f"needs {', '.join(missing)}" if missing else ""


@functools.cache
def tiny_root() -> bytes:
    """Return it as a tar archive, uncompressed."""
    binary = os.path.realpath(PYTHON)
    stdlib = _said(binary, "import sysconfig; print(sysconfig.get_path('stdlib'))")
    programs = [binary, *(f"/usr/bin/{name}" for name in _PROGRAMS)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in (
            "usr/bin",
            "usr/lib",
            "usr/lib64",
            "etc",
            "tmp",
            "root",
            "opt",
            "var",
            "usr/local/bin",
        ):
            (root / name).mkdir(parents=True, exist_ok=True)
        for name in ("bin", "lib", "lib64"):
            (root / name).symlink_to(f"usr/{name}")
        for program in programs:
            shutil.copy2(os.path.realpath(program), root / "usr/bin" / Path(program).name)
        (root / "usr/bin/python3").symlink_to(Path(binary).name)
        extensions = [str(path) for path in Path(stdlib, "lib-dynload").glob("_*.so")]
        for library in _libraries([*programs, *extensions]):
            place = os.path.realpath(Path(library).parent)
            target = root / place.lstrip("/") / Path(library).name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(os.path.realpath(library), target)
        shutil.copytree(
            stdlib, root / stdlib.lstrip("/"), ignore=lambda _, names: _LEFT_OUT & set(names)
        )
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.add(root, arcname="", filter=_as_roots)
        return buffer.getvalue()


def _as_roots(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def _said(python: str, program: str) -> str:
    done = subprocess.run(
        [python, "-I", "-S", "-c", program], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def _libraries(files: list[str]) -> set[str]:
    found: set[str] = set()
    for file in files:
        done = subprocess.run(["ldd", file], check=False, capture_output=True, text=True)
        found |= set(re.findall(r"(?:=> )?(/\S+\.so[^\s]*) \(", done.stdout))
    return found
