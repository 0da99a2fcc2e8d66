"""An account without rights, for tests that root runs on its behalf."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class OrdinaryUser:
    """How to become the user: `become` goes before a command that starts with `python`."""

    become: tuple[str, ...]
    python: str
    home: str


@contextmanager
def an_ordinary_user(name: str) -> Iterator[OrdinaryUser]:
    """Make an account for as long as the block; skip where that is not possible."""
    if os.getuid() != 0 or shutil.which("useradd") is None:
        pytest.skip("only root can become another user, and needs useradd")
    python = _interpreter_for_everyone()
    if python is None or not _is_open_to_all(_ROOT):
        pytest.skip("needs a Python like this one and a checkout that every user may read")
    subprocess.run(["useradd", "--create-home", name], check=True, capture_output=True)
    try:
        account = pwd.getpwnam(name)
        ids = (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")
        yield OrdinaryUser((*_with_tunnels(), "setpriv", *ids), python, account.pw_dir)
    finally:
        subprocess.run(["userdel", "--remove", name], check=False, capture_output=True)


def _with_tunnels() -> tuple[str, ...]:
    """Return what goes before a command so that every user may make tunnels, as on most machines and not on every test's."""
    tunnel = Path("/dev/net/tun")
    if not tunnel.exists() or tunnel.stat().st_mode & 0o006 == 0o006:
        return ()
    lay = 'mount -t tmpfs -o mode=755 none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && exec "$@"'
    return ("unshare", "--mount", "--propagation", "private", "sh", "-c", lay, "sh")


def plain_environment(home: str) -> dict[str, str]:
    """Return an environment in which any such interpreter finds this checkout and what it needs."""
    packages = [path for path in sys.path if path.endswith("site-packages")]
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": ":".join([str(_ROOT), *packages, str(_ROOT / "src")]),
        "HOME": home,
    }


def _is_open_to_all(folder: Path) -> bool:
    return all(step.stat().st_mode & 0o001 for step in (folder, *folder.parents))


def _interpreter_for_everyone() -> str | None:
    """Find one like this that an ordinary user may start: this one may live below a closed home."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for candidate in (sys.executable, f"/usr/bin/python{version}"):
        real = Path(candidate).resolve()
        if real.exists() and _is_open_to_all(real.parent):
            return candidate
    return None
