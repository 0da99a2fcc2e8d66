"""A Docker Engine of the tests' own, that leaves nothing: its bridge and its mounts are in namespaces that end with it."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS = 120.0
_PROGRAMS = ("dockerd", "containerd", "runc", "unshare", "setpriv", "ip")


class NoDockerError(Exception):
    """No engine can be started here; the message says why."""


# Containers have the machine's own network then, and the machine no bridge and no rules.
_NO_NETWORK = (
    "--bridge=none",
    "--iptables=false",
    "--ip6tables=false",
    "--ip-forward=false",
    "--ip-masq=false",
)
_OWN_MOUNTS = ("--mount", "--propagation", "slave", "--")


@contextmanager
def docker_daemon(*, shares_network: bool = False, has_bridge: bool | None = None) -> Iterator[str]:
    """Give the path of the socket of an engine that runs meanwhile. Raises `NoDockerError`.

    One that shares this network has no bridge in it, and no firewall, unless that is said.
    """
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        raise NoDockerError(
            f"no Docker Engine: {', '.join(missing)} missing (apt install docker.io)"
        )
    if os.getuid() != 0:
        raise NoDockerError("only root can start a Docker Engine")
    # Where an ordinary user can come, whose containers are tested too.
    with tempfile.TemporaryDirectory(prefix="offload-docker-") as folder:
        Path(folder).chmod(0o755)
        group = f"offload-docker-{os.getpid()}"
        has_bridge = not shares_network if has_bridge is None else has_bridge
        process = _start(folder, group, shares_network=shares_network, has_bridge=has_bridge)
        try:
            yield f"{folder}/docker.sock"
        finally:
            process.terminate()
            process.wait(_SECONDS)
            _remove_groups(group)


def _start(
    folder: str, group: str, *, shares_network: bool, has_bridge: bool
) -> subprocess.Popen[bytes]:
    places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
    command = [
        *("setpriv", "--pdeathsig", "TERM", "--"),  # should the tests be killed
        *("unshare", *(() if shares_network else ("--net",)), *_OWN_MOUNTS),
        *("dockerd", "--host", f"unix://{folder}/docker.sock", "--group", "0"),
        *(f"--{option}={folder}/{name}" for option, name in places.items()),
        f"--cgroup-parent=/{group}",
        "--userland-proxy=false",
        *(() if has_bridge else _NO_NETWORK),
    ]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as readiness:
        readiness.bind(f"{folder}/ready")
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "NOTIFY_SOCKET": f"{folder}/ready"},
            )
        ended = os.pidfd_open(process.pid)
        try:
            ready, _, _ = select.select([readiness, ended], [], [], _SECONDS)
        finally:
            os.close(ended)
    if not ready or ended in ready:
        process.kill()
        process.wait()
        _remove_groups(group)
        lines = Path(folder, "log").read_text().strip().splitlines()
        raise NoDockerError(
            f"dockerd does not start here: {lines[-1] if lines else 'it says nothing'}"
        )
    return process


def _remove_groups(name: str) -> None:
    for top in Path("/sys/fs/cgroup").glob(f"**/{name}"):
        for directory, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                os.rmdir(directory)  # noqa: PTH106 - as os.walk names it
