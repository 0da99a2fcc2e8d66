"""Lays wheels out as a layer, linked from a cache that all images share; see `wheels`.

Runs in a sandbox with the host's root, under the worker's own interpreter, and executes nothing of any package: that is
what lets the cache be shared. Its argument is a JSON file. Exit codes: 0 done, `NOT_PLAIN` where it takes more than
unpacking wheels, anything else is uv's. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import py_compile
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TypedDict, cast

NOT_PLAIN = 77
_NO_WHEEL = "--no-build"  # in what uv says where there are sources only
PLACE = "/mnt/wheels"  # the shared directory: everything in it is on one mount, so that files can be linked


class Order(TypedDict):
    """What to do."""

    uv: str
    requirements: list[str]
    index: list[str]  # uv's options for where packages come from
    python_version: str
    platform: str
    installed: dict[str, str]  # of the image
    image_python: str
    purelib: str  # places in the image, absolute
    scripts: str
    data: str
    making: str  # the layer's directory, below PLACE


def main(order: Order) -> int:
    """Obey."""
    making = Path(order["making"])
    pins = making / "pins.txt"
    # What is installed is preferred where it satisfies: uv takes an older output for that.
    pins.write_text("".join(f"{name}=={version}\n" for name, version in order["installed"].items()))
    wanted = making / "requirements.txt"
    wanted.write_text("".join(f"{line}\n" for line in order["requirements"]))
    resolved = _uv(
        order, "pip", "compile", str(wanted), "-o", str(pins), "--no-header", "--no-annotate", "-q",
    )  # fmt: skip
    if resolved.returncode != 0 and _NO_WHEEL in resolved.stdout:
        return NOT_PLAIN
    print(resolved.stdout, end="", flush=True)  # noqa: T201 - the caller's log
    if resolved.returncode != 0:
        return resolved.returncode
    new = _new(pins.read_text(), order["installed"])
    if new is None:
        return NOT_PLAIN
    if not new:
        print("everything is there already", flush=True)  # noqa: T201 - the caller's log
        return 0
    pins.write_text("".join(f"{line}\n" for line in new))
    stage = making / "stage"
    installed = _uv(
        order, "pip", "install", "--no-deps", "-r", str(pins), "--prefix", str(stage),
        "--python", sys.executable, "--link-mode", "hardlink",
    )  # fmt: skip
    print(installed.stdout, end="", flush=True)  # noqa: T201 - as above
    if installed.returncode == 0:
        _lay_out(order, stage, making / "fs")
    return installed.returncode


def _uv(order: Order, *words: str) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,  # noqa: TID251 - of this sandbox: certificates and proxies
        "UV_CACHE_DIR": f"{PLACE}/uv",
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
    }
    argv = [
        order["uv"], *words, "--no-build", "--python-version", order["python_version"],
        *(("--python-platform", order["platform"]) if order["platform"] else ()), *order["index"],
    ]  # fmt: skip
    return subprocess.run(  # noqa: S603 - the purpose
        argv, env=env, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def _new(pins: str, installed: dict[str, str]) -> list[str] | None:
    """Return the pins that are not installed; None where one is, in another version."""
    known = {_normal(name): version for name, version in installed.items()}
    new = []
    for line in pins.splitlines():
        match = re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", line)
        if match is None:
            return None
        version = known.get(_normal(match[1]))
        if version is None:
            new.append(f"{match[1]}=={match[2]}")
        elif version != match[2]:
            return None
    return new


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _lay_out(order: Order, stage: Path, fs: Path) -> None:
    """Put what uv laid out where the image's interpreter looks for it."""
    (site,) = stage.glob("lib/python*/site-packages")
    for record in sorted(site.glob("*.dist-info/RECORD")):
        _compile(record, site, order)
    _move(site, fs, order["purelib"])
    scripts = stage / "bin"
    if scripts.is_dir():
        for script in scripts.iterdir():
            _point_at(script, order["image_python"])
        _move(scripts, fs, order["scripts"])
    for rest in stage.iterdir():
        if rest.name not in ("lib", "lib64", "bin", ".lock"):
            _move(rest, fs, f"{order['data']}/{rest.name}")


def _move(source: Path, fs: Path, place: str) -> None:
    target = fs / place.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)


def _point_at(script: Path, python: str) -> None:
    """Have a script started by the image's interpreter; it was written for the one that runs this."""
    if script.is_symlink() or not script.is_file():
        return
    data = script.read_bytes()
    ours = f"#!{sys.executable}".encode()
    if data.startswith(ours):
        # A new file: this one may be the cache's own.
        renewed = script.with_name(f"{script.name}.new")
        renewed.write_bytes(f"#!{python}".encode() + data[len(ours) :])
        shutil.copymode(script, renewed)
        renewed.replace(script)


def _compile(record: Path, site: Path, order: Order) -> None:
    """Put the compiled modules of a distribution beside their sources, linked from the cache where they are there.

    uv compiles anew each time, which takes longer than all the rest, and containers cannot keep what they compile.
    """
    if order["python_version"] != f"{sys.version_info[0]}.{sys.version_info[1]}":
        return  # they are another interpreter's, which is asked to compile them after this
    text = record.read_bytes()
    tag = f"{sys.implementation.cache_tag} {order['purelib']}\0".encode()
    kept = Path(PLACE, "pyc", hashlib.sha256(tag + text).hexdigest())
    names = [
        name
        for name in (line.split(",")[0].strip('"') for line in text.decode().splitlines())
        if name.endswith(".py") and ".." not in name and (site / name).is_file()
    ]
    if not kept.is_dir():
        _fill(kept, names, site, order["purelib"])
    for name in names:
        compiled = kept / name.replace("/", "|")
        if compiled.exists():
            source = site / name
            folder = source.parent / "__pycache__"
            folder.mkdir(exist_ok=True)
            target = folder / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
            if not target.exists():
                os.link(compiled, target)


def _fill(kept: Path, names: list[str], site: Path, purelib: str) -> None:
    partial = kept.with_name(f"{kept.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    for name in names:
        try:
            # Unchecked: a layer never changes, and times of files are not kept everywhere.
            py_compile.compile(
                str(site / name),
                str(partial / name.replace("/", "|")),
                f"{purelib}/{name}",
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except (py_compile.PyCompileError, ValueError):
            continue
    try:
        partial.rename(kept)
    except OSError:  # somebody else was quicker
        shutil.rmtree(partial, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(cast("Order", json.loads(Path(sys.argv[1]).read_text()))))
