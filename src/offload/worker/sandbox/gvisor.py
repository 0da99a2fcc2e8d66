"""A container of gVisor as data: bubblewrap's arguments around `runsc`, and the bundle that runsc is given.

Two walls, one in the other. Outside bubblewrap shows what every sandbox shows, under an unprivileged uid, so that the
process that serves gVisor its files (the gofer) can give no more than that. Inside runsc gives user code a kernel of its
own. runsc makes namespaces and mounts itself, so it is the first process of a user namespace and has capabilities there; user
code has none, in either.

One uid exists between the two, and gVisor's file server can give what is written outside to no other. So where volumes are
written to user code is that uid, seen through a user namespace of gVisor's own kernel, which the guest's door makes.
"""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from offload.worker.sandbox.arguments import closed, hosts_root, volume_words
from offload.worker.sandbox.guest import CONTAINER_HOME, HOSTNAME, USER_ID
from offload.worker.sandbox.view import is_within

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from offload.worker.ports import VolumeBind
    from offload.worker.sandbox.arguments import Widened
    from offload.worker.sandbox.view import HostFacts, Shown

# Descriptors of bubblewrap itself: 0 is the guest's door, 1 and 2 tell what goes wrong before the guest.
ARGUMENTS_FD = 3
STATUS_FD = 4
GATE_FD = 5
BUNDLE_FD = 6

PLACE = (
    "/run/offload/gvisor"  # inside bubblewrap: runsc, its bundle and its state; empty for user code
)
_TMP = "/tmp"  # noqa: S108 - the container's own
_MIB = 1024 * 1024

_OUTSIDE = (
    *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup"),
    *("--uid", "0", "--gid", "0", "--cap-add", "ALL"),
    *("--die-with-parent", "--new-session"),
)
_KERNEL = ("--dev", "/dev", "--proc", "/proc")


@dataclass(frozen=True, slots=True)
class GvisorSandbox:
    """Everything about one container that bubblewrap and runsc are told."""

    facts: HostFacts
    runsc: str  # where bubblewrap finds it
    shown: tuple[Shown, ...]  # sources are where bubblewrap finds them, parents before children
    guest: tuple[Shown, ...]
    working_dir: str
    environment: Mapping[str, str]
    command: tuple[str, ...]
    scratch_mib: int
    block_network: bool
    names: tuple[Shown, ...] = ()  # files about names, of a container with a network of its own
    # Directories that are its root, the lowest first; none: the host's root. The uppermost has every mount point below.
    layers: tuple[str, ...] = ()
    volumes: tuple[VolumeBind, ...] = ()  # as `shown`, and some to be written to
    widened: tuple[Widened, ...] = ()  # see `sandbox.arguments`


def user_of(volumes: Iterable[VolumeBind]) -> int:
    """Return who user code is for gVisor; as 0 it makes files of the machine's, and takes its real uid itself."""
    return USER_ID if all(volume.is_read_only for volume in volumes) else 0


def outer_arguments(sandbox: GvisorSandbox) -> tuple[str, ...]:
    """Build bubblewrap's arguments in the order it obeys them: later mounts cover earlier ones."""
    facts = sandbox.facts
    arguments = [*_OUTSIDE, *_root(sandbox)]
    hidden = ["/run"]
    if not sandbox.layers:
        hidden = [entry.real for entry in facts.hidden if entry.real != _TMP]
    for path in hidden:
        arguments += ["--perms", "0755", "--tmpfs", path]
    arguments += ["--tmpfs", _TMP]
    always = () if sandbox.layers else facts.always_shown
    binds = (*always, *sandbox.shown, *sandbox.guest, *sandbox.names)
    targets = [bind.target for bind in binds] + [volume.target for volume in sandbox.volumes]
    for path in _ways(hidden, [*targets, f"{CONTAINER_HOME}/", f"{PLACE}/"]):
        # bubblewrap would close them to others, and for gVisor user code is not the uid that made them.
        arguments += ["--perms", "0755", "--dir", path]
    for bind in binds:
        arguments += ["--ro-bind", bind.source, bind.target]
    arguments += _volumes(sandbox)
    arguments += ["--tmpfs", PLACE]
    arguments += ["--ro-bind", sandbox.runsc, f"{PLACE}/runsc"]
    arguments += ["--file", str(BUNDLE_FD), f"{PLACE}/config.json"]
    for path in closed(hidden, sandbox.widened, sandbox.volumes):
        arguments += ["--remount-ro", path]
    return tuple(arguments)


def _volumes(sandbox: GvisorSandbox) -> list[str]:
    words = []
    targets = [volume.target for volume in sandbox.volumes]
    for path in _ways([wide.path for wide in sandbox.widened], targets):
        words += ["--perms", "0755", "--dir", path]
    return words + volume_words(sandbox.volumes)


def _root(sandbox: GvisorSandbox) -> list[str]:
    if not sandbox.layers:
        return [*hosts_root(sandbox.widened), *_KERNEL]
    sources = [word for layer in sandbox.layers for word in ("--overlay-src", layer)]
    return [*sources, "--ro-overlay", "/", *_KERNEL, "--ro-bind", "/sys", "/sys"]


def _ways(hidden: Sequence[str], targets: Iterable[str]) -> list[str]:
    """List the directories between those hidden and what is shown below them, parents before children."""
    ways: dict[str, None] = {}
    for target in targets:
        for root in (*hidden, _TMP):
            below = f"{root.rstrip('/')}/"
            parts = target.removeprefix(below).split("/")[:-1] if is_within(target, root) else []
            ways.update(
                dict.fromkeys(posixpath.join(root, *parts[: n + 1]) for n in range(len(parts)))
            )
    return [way for way in ways if way not in targets]


def runsc_command(sandbox: GvisorSandbox, name: str) -> tuple[str, ...]:
    """Build the command that runs the bundle; the choice of a platform is runsc's own, which knows its best.

    The name is the machine's: runsc has an abstract socket of that name in the network it shares.
    """
    return (
        f"{PLACE}/runsc",
        *("--root", f"{PLACE}/state"),
        "--rootless",
        "--ignore-cgroups",  # bubblewrap and all of runsc are in the container's group already
        "--overlay2=none",
        # It would keep files of volumes open that user code has closed, and nobody could tell what is written to.
        *(("--dcache=0",) if sandbox.volumes else ()),
        f"--network={'none' if sandbox.block_network else 'host'}",
        *("run", "--bundle", PLACE, name),
    )


def runsc_exec(
    name: str, command: Sequence[str], env: Mapping[str, str], user: int
) -> tuple[str, ...]:
    """Build the command that starts a further process in a container that runs, without capabilities, as all in it."""
    variables = (word for pair in env.items() for word in ("--env", "=".join(pair)))
    return (
        f"{PLACE}/runsc",
        *("--root", f"{PLACE}/state"),
        "--rootless",
        *("exec", "--user", f"{user}:{user}", "--cwd", "/"),
        *variables,
        *(name, *command),
    )


def bundle(sandbox: GvisorSandbox) -> bytes:
    """Write the OCI configuration: bubblewrap's view as a read-only root, and scratch in gVisor's own memory."""
    size = f"size={sandbox.scratch_mib * _MIB}"
    user = user_of(sandbox.volumes)
    mounts = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        _tmpfs("/dev", "ro", "mode=0755"),
        _tmpfs("/sys", "ro", "mode=0755"),
        _tmpfs(PLACE, "ro", "mode=0755"),
        _tmpfs(_TMP, size, "mode=1777"),
        _tmpfs("/dev/shm", size, "mode=1777"),  # noqa: S108 - inside
        _tmpfs(CONTAINER_HOME, size, "mode=0700", f"uid={user}", f"gid={user}"),
    ]
    # What is shown below the container's own /tmp is covered by it, so it is shown once more, from bubblewrap's view.
    mounts += [_bind(b.target, "ro") for b in sandbox.shown if is_within(b.target, _TMP)]
    mounts += [_bind(v.target, "ro" if v.is_read_only else "rw") for v in sandbox.volumes]
    process = {
        "user": {"uid": user, "gid": user},
        "args": sandbox.command,
        "env": [f"{name}={value}" for name, value in sandbox.environment.items()],
        "cwd": sandbox.working_dir,
        "capabilities": {},
        "noNewPrivileges": True,
    }
    # With its own network namespace in the bundle, runsc would make the host's network one that is empty.
    names = ("pid", "ipc", "uts", "mount", *(("network",) if sandbox.block_network else ()))
    namespaces = [{"type": name} for name in names]
    configuration = {
        "ociVersion": "1.0.0",
        "process": process,
        "root": {"path": "/", "readonly": True},
        "hostname": HOSTNAME,
        "mounts": mounts,
        "linux": {"namespaces": namespaces},
    }
    return json.dumps(configuration).encode()


def _bind(path: str, how: str) -> dict[str, object]:
    options = ["bind", how, "nosuid", "nodev"]
    return {"destination": path, "type": "bind", "source": path, "options": options}


def _tmpfs(destination: str, *options: str) -> dict[str, object]:
    return {
        "destination": destination,
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", "nodev", *options],
    }
