"""A container of the Docker Engine as data: its empty image, its mounts and the body of its creation.

The engine cannot mount the host's root as a container's, so the image is empty but for the directories and links of the
host's root, and each directory that may be seen is a read-only mount of its own.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from offload.worker.ports import RootImage
from offload.worker.sandbox.guest import CONTAINER_HOME, HOSTNAME
from offload.worker.sandbox.network import NAMES_ADDRESS
from offload.worker.sandbox.view import is_within

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from offload.worker.ports import ContainerSpec
    from offload.worker.sandbox.arguments import Widened
    from offload.worker.sandbox.view import HostFacts, Shown

IMAGE_NAME = "offload-view"
BRIDGE, NO_NETWORK = "bridge", "none"  # the engine's words
OWN_NETWORK = "own"  # begins as none, and gets a link from outside
DOOR_DIR = "/run/offload/door"
DOOR = f"{DOOR_DIR}/socket"

_OWN = ("/proc", "/sys", "/dev", "/run", "/tmp")  # noqa: S108 - every container has its own
# The engine mounts these itself; on machines that are containers they are mounts of the machine's, too.
_ENGINES = ("/etc/resolv.conf", "/etc/hosts", "/etc/hostname")
_MIB = 1024 * 1024
_FULL_SHARES = 1024  # of one core


@dataclass(frozen=True, slots=True)
class RootEntry:
    """A directory or link directly below the host's root."""

    name: str
    link: str | None = None  # where it leads; None: it is a directory


@dataclass(frozen=True, slots=True)
class DockerSandbox:
    """Everything about one container that the engine is told."""

    spec: ContainerSpec
    facts: HostFacts
    root: tuple[RootEntry, ...]
    mounts_below: tuple[
        str, ...
    ]  # of the host, below what is shown: each must be made read-only itself
    shown: tuple[Shown, ...]  # parents before children
    guest: tuple[Shown, ...]
    door_dir: str  # on the host; the socket in it is the container's own
    uid: int
    working_dir: str
    environment: Mapping[str, str]
    command: tuple[str, ...]
    network: str  # the engine's word for it, or `OWN_NETWORK`
    owner: str  # who may remove it when it is left behind
    devices: tuple[Shown, ...] = ()
    widened: tuple[Widened, ...] = ()  # see `sandbox.arguments`
    skeletons: tuple[Shown, ...] = ()  # what is shown in place of those, empty but for mount points


def root_image(root: Iterable[RootEntry]) -> tuple[str, bytes]:
    """Return the name and the tar of the empty image; the same root gives the same name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for entry in root:
            info = tarfile.TarInfo(entry.name)
            # Older runtimes give a tmpfs the mode of the directory below it.
            info.mode = 0o1777 if entry.name == "tmp" else 0o755
            info.type = tarfile.DIRTYPE if entry.link is None else tarfile.SYMTYPE
            info.linkname = entry.link or ""
            tar.addfile(info)
    content = buffer.getvalue()
    return f"{IMAGE_NAME}:{hashlib.sha256(content).hexdigest()[:16]}", content


def creation(sandbox: DockerSandbox, image: str) -> dict[str, object]:
    """Build the body of `POST /containers/create`."""
    spec = sandbox.spec
    return {
        "Image": image,
        "Hostname": HOSTNAME,
        "User": f"{sandbox.uid}:{sandbox.uid}",
        "Env": [f"{name}={value}" for name, value in sandbox.environment.items()],
        "Entrypoint": [],
        "Cmd": list(sandbox.command),
        "WorkingDir": sandbox.working_dir,
        "Labels": {"offload.owner": sandbox.owner},
        "HostConfig": {
            **_network(sandbox.network),
            "ExtraHosts": [f"{HOSTNAME}:127.0.0.1"],
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
            "IpcMode": "none",  # a namespace of its own, and no /dev/shm but ours: the engine's is not bounded in files
            "LogConfig": {"Type": "none"},
            "Memory": spec.bound_mib * _MIB,
            "MemorySwap": spec.bound_mib * _MIB,
            "PidsLimit": spec.pids,
            "CpuShares": max(2, spec.cpu_milli * _FULL_SHARES // 1000),
            "NanoCpus": spec.cpu_limit_milli * 1_000_000,
            "MaskedPaths": [*sandbox.facts.masked_files, *sandbox.facts.masked_dirs],
            "Tmpfs": _tmpfs(sandbox),
            "Mounts": _binds(sandbox),
            "Devices": [
                {
                    "PathOnHost": device.source,
                    "PathInContainer": device.target,
                    "CgroupPermissions": "rwm",
                }
                for device in sandbox.devices
            ],
        },
    }


def _network(network: str) -> dict[str, object]:
    if network != OWN_NETWORK:
        return {"NetworkMode": network}
    # What else the machine says about names the engine takes over by itself.
    return {"NetworkMode": NO_NETWORK, "Dns": [NAMES_ADDRESS]}


def _tmpfs(sandbox: DockerSandbox) -> dict[str, str]:
    spec = sandbox.spec
    size = f"size={spec.scratch_mib}m,nr_inodes={spec.scratch_inodes}"
    mounts = {
        "/tmp": f"rw,exec,nosuid,nodev,mode=1777,{size}",  # noqa: S108 - the container's own
        "/dev/shm": f"rw,exec,nosuid,nodev,mode=1777,{size}",  # noqa: S108 - the container's own
        CONTAINER_HOME: f"rw,exec,nosuid,nodev,mode=0700,uid={sandbox.uid},gid={sandbox.uid},{size}",
    }
    if isinstance(spec.image, RootImage):
        # Whatever the image has there.
        mounts["/run"] = "rw,nosuid,nodev,noexec,mode=0755,size=64k"
    for path in _hidden_below(sandbox):
        mounts[path] = "ro,nosuid,nodev,noexec,mode=0755,size=64k"
    covered = {volume.target for volume in spec.volumes}
    return {path: how for path, how in mounts.items() if path not in covered}


def _hidden_below(sandbox: DockerSandbox) -> list[str]:
    """List what is to be covered: a hidden directory directly below the root is simply not mounted."""
    return [
        entry.real
        for entry in sandbox.facts.hidden
        if posixpath.dirname(entry.real) != "/"
        and any(is_within(entry.real, path) for path in _shown_roots(sandbox))
    ]


def _shown_roots(sandbox: DockerSandbox) -> list[str]:
    hidden = {entry.real for entry in sandbox.facts.hidden}
    paths = [f"/{entry.name}" for entry in sandbox.root if entry.link is None]
    return [path for path in paths if path not in hidden and path not in _OWN]


def _binds(sandbox: DockerSandbox) -> list[dict[str, object]]:
    roots = _shown_roots(sandbox)
    shown = (*sandbox.shown, *sandbox.guest)
    sources = {path: path for path in roots}
    sources.update((path, path) for path in sandbox.mounts_below if _is_shown(sandbox, path, roots))
    sources.update((bind.target, bind.source) for bind in shown)
    for bind in sandbox.shown:
        for path in sandbox.mounts_below:
            if path != bind.source and is_within(path, bind.source):
                sources[bind.target + path[len(bind.source) :]] = path
    sources[DOOR_DIR] = sandbox.door_dir
    _widen(sandbox, sources)
    binds = [_bind(source, target) for target, source in sorted(sources.items())]
    return binds + [
        _bind(volume.source, volume.target, is_read_only=volume.is_read_only)
        for volume in sandbox.spec.volumes
    ]


def _widen(sandbox: DockerSandbox, sources: dict[str, str]) -> None:
    hidden = {entry.real for entry in sandbox.facts.hidden}
    for wide in sandbox.widened:
        # What is directly below the root is the container's own anyway.
        for name, link in wide.names if wide.path != "/" else ():
            path = f"{wide.path}/{name}"
            if link is None and path not in hidden and path not in _ENGINES:
                sources.setdefault(path, path)
    sources.update((bind.target, bind.source) for bind in sandbox.skeletons)
    for volume in sandbox.spec.volumes:
        sources.pop(volume.target, None)


def _bind(source: str, target: str, *, is_read_only: bool = True) -> dict[str, object]:
    return {
        "Type": "bind",
        "Source": source,
        "Target": target,
        "ReadOnly": is_read_only,
        "BindOptions": {"Propagation": "rprivate"},
    }


def _is_shown(sandbox: DockerSandbox, path: str, roots: Sequence[str]) -> bool:
    return (
        path not in _ENGINES
        and any(is_within(path, root) for root in roots)
        and not any(is_within(path, entry.real) for entry in sandbox.facts.hidden)
    )
