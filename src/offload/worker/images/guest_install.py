"""Inside an image: has uv install packages and puts their compiled modules beside them.

uv keeps what it fetched in its cache and copies it, but compiles anew each time, which takes longer than all the rest,
and containers cannot keep what they compile. So compiled modules have a cache of their own: one folder per
distribution, named by its RECORD (every file's hash) and where it is installed.

Runs with the image's interpreter: CPython 3.9 or later, standard library only.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import py_compile
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def main(uv: str, cache: str, arguments: list[str]) -> int:
    """Install and compile; return uv's exit code."""
    env = {
        **os.environ,  # noqa: TID251 - of the build, which says where certificates and proxies are
        "UV_CACHE_DIR": f"{cache}/uv",
        "UV_LINK_MODE": "copy",
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "UV_BREAK_SYSTEM_PACKAGES": "1",
        "UV_SYSTEM_PYTHON": "1",
    }
    before = _distributions()
    done = subprocess.run([uv, "pip", "install", *arguments], env=env, check=False)  # noqa: S603 - the purpose
    if done.returncode == 0:
        added = [path for path in _distributions() if path not in before]
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            list(pool.map(lambda path: _compile(path, Path(cache, "pyc")), added))
    return done.returncode


def _distributions() -> set[Path]:
    """Return every installed distribution as it is now: one that was replaced counts as another."""
    folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *sys.path}
    return {
        info / "RECORD"
        for folder in folders
        if folder and os.path.isdir(folder)  # noqa: PTH112
        for info in Path(folder).glob("*.dist-info")
        if (info / "RECORD").exists()
    }


def _compile(record: Path, cache: Path) -> None:
    """Put the compiled modules of a distribution beside their sources, from the cache where they are there."""
    site = record.parent.parent
    text = record.read_bytes()
    tag = f"{sys.implementation.cache_tag}-{site}".encode()
    kept = cache / hashlib.sha256(tag + b"\0" + text).hexdigest()
    sources = [
        site / name
        for name in (line.split(",")[0].strip('"') for line in text.decode().splitlines())
        if name.endswith(".py") and ".." not in name
    ]
    if kept.is_dir():
        for source in sources:
            _place(kept / _flat(source, site), source)
        return
    for source in sources:
        # Unchecked: a layer never changes, and times of files are not kept everywhere.
        compileall.compile_file(
            str(source), quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
    _keep(sources, site, kept)


def _place(compiled: Path, source: Path) -> None:
    if compiled.exists():
        target = Path(_compiled(source))
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(compiled, target)


def _keep(sources: list[Path], site: Path, kept: Path) -> None:
    partial = kept.with_name(f"{kept.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    for source in sources:
        compiled = Path(_compiled(source))
        if compiled.exists():
            shutil.copyfile(compiled, partial / _flat(source, site))
    try:
        partial.rename(kept)
    except OSError:  # somebody else was quicker
        shutil.rmtree(partial, ignore_errors=True)


def _compiled(source: Path) -> str:
    return str(source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc")


def _flat(source: Path, site: Path) -> str:
    return str(source.relative_to(site)).replace("/", "|")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[4:]))
