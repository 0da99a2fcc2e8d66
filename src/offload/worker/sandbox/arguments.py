"""The sandbox as data: from what a container may see and use to bubblewrap's arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from offload.worker.sandbox.guest import CONTAINER_HOME, HOSTNAME, USER_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from offload.worker.ports import VolumeBind
    from offload.worker.sandbox.view import HostFacts, Shown

# Descriptors of bubblewrap itself; it closes them before the guest starts.
ARGUMENTS_FD = 3
STATUS_FD = 4
GATE_FD = 7  # when all else is ready it waits here for a byte, and then starts the guest
FILTER_FD = 8  # of system calls
CONTROL_FD = 8  # of a keeper instead, for which it stays open, as the next does
LINE_FD = 9  # to the network's gateway

_TMP = "/tmp"  # noqa: S108 - the container's own

_NAMESPACES = (
    "--unshare-user",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup",
)
_PRIVILEGES = (
    *("--uid", str(USER_ID), "--gid", str(USER_ID)),
    *("--cap-drop", "ALL"),
    *("--hostname", HOSTNAME),
    "--die-with-parent",
    "--new-session",
)

# No setuid program and no new user namespace may give back what was dropped.
_FINAL = ("--disable-userns",)

TRIAL = (
    *_NAMESPACES,
    *_FINAL,
    *_PRIVILEGES,
    *("--ro-bind", "/", "/"),
    *("--dev", "/dev"),
    *("--proc", "/proc"),
)


@dataclass(frozen=True, slots=True)
class Widened:
    """A directory of the host, and what is directly in it: names that are links with where they lead, else None."""

    path: str
    names: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Everything about one container that bubblewrap is told before its command."""

    facts: HostFacts
    shown: tuple[Shown, ...]  # sources are where bubblewrap finds them, parents before children
    guest: tuple[Shown, ...]
    scratch: str  # a directory with `tmp`, `home` and `shm` in it, already bounded
    working_dir: str
    environment: Mapping[str, str]
    block_network: bool
    names: tuple[Shown, ...] = ()  # files about names, of a container with a network of its own
    devices: tuple[Shown, ...] = ()  # nodes that may be used; one that does not exist is left out
    # Directories that are its root, the lowest first; none: the host's root. The uppermost has every mount point below.
    layers: tuple[str, ...] = ()
    volumes: tuple[VolumeBind, ...] = ()  # as `shown`, and some to be written to
    # Directories of the host's root that are made anew with what is in them, to have room for mount points.
    widened: tuple[Widened, ...] = ()
    makes_sandboxes: bool = False  # its first process makes further ones


def bubblewrap_arguments(sandbox: Sandbox) -> tuple[str, ...]:
    """Build the arguments in the order bubblewrap obeys them: later mounts cover earlier ones."""
    facts = sandbox.facts
    arguments = [*_NAMESPACES]
    if sandbox.block_network:
        arguments.append("--unshare-net")
    # As the first process of its namespace nothing inside can end it.
    arguments += ["--as-pid-1"] if sandbox.makes_sandboxes else _FINAL
    arguments += _PRIVILEGES
    arguments += _root(sandbox)
    for device in sandbox.devices:
        arguments += ["--dev-bind-try", device.source, device.target]
    for path in facts.masked_files:
        arguments += ["--ro-bind", "/dev/null", path]
    for path in facts.masked_dirs:
        arguments += ["--tmpfs", path, "--remount-ro", path]
    hidden = _hidden(sandbox)
    for path in hidden:
        arguments += ["--perms", "0755", "--tmpfs", path]
    for name, target in (("tmp", _TMP), ("home", CONTAINER_HOME), ("shm", "/dev/shm")):  # noqa: S108 - inside
        arguments += ["--bind", f"{sandbox.scratch}/{name}", target]
    arguments += _binds(sandbox)
    # Only now, when every mount point below them exists.
    for path in ("/dev", *closed(hidden, sandbox.widened, sandbox.volumes)):
        arguments += ["--remount-ro", path]
    for name, value in sandbox.environment.items():
        arguments += ["--setenv", name, value]
    return (*arguments, "--chdir", sandbox.working_dir)


def _root(sandbox: Sandbox) -> list[str]:
    if not sandbox.layers:
        kernel = ["--dev", "/dev", "--proc", "/proc"]
        return [*hosts_root(sandbox.widened), *kernel]
    sources = [word for layer in sandbox.layers for word in ("--overlay-src", layer)]
    kernel = ["--dev", "/dev", "--proc", "/proc", "--ro-bind", "/sys", "/sys"]
    return [*sources, "--ro-overlay", "/", *kernel]


def _binds(sandbox: Sandbox) -> list[str]:
    words = []
    always = () if sandbox.layers else sandbox.facts.always_shown
    for bind in (*always, *sandbox.shown, *sandbox.guest, *sandbox.names):
        words += ["--ro-bind", bind.source, bind.target]
    return words + volume_words(sandbox.volumes)


def volume_words(volumes: Iterable[VolumeBind]) -> list[str]:
    """Build the arguments that show volumes at their places."""
    words = []
    for volume in volumes:
        how = "--ro-bind" if volume.is_read_only else "--bind"
        words += [how, volume.source, volume.target]
    return words


def closed(
    hidden: Iterable[str], widened: Iterable[Widened], volumes: Iterable[VolumeBind]
) -> list[str]:
    """List the directories made for mount points, to be read-only when all of those are there."""
    # A volume in the very place of one is what would be found there.
    covered = {volume.target for volume in volumes}
    made = [*hidden, *(wide.path for wide in widened)]
    return [path for path in made if path not in covered]


def hosts_root(widened: Sequence[Widened]) -> list[str]:
    """Build the arguments that make the host's root a container's, with room for mount points."""
    wide = [word for each in widened for word in _widen(each)]
    if any(each.path == "/" for each in widened):
        return wide
    return ["--ro-bind", "/", "/", *wide]


def _widen(widened: Widened) -> list[str]:
    above = widened.path.rstrip("/")
    # The root is an empty file system of its own before anything is mounted.
    words = ["--perms", "0755", "--tmpfs", widened.path] if above else []
    for name, target in widened.names:
        path = f"{above}/{name}"
        words += ["--ro-bind", path, path] if target is None else ["--symlink", target, path]
    return words


def _hidden(sandbox: Sandbox) -> list[str]:
    if sandbox.layers:
        return ["/run"]
    return [entry.real for entry in sandbox.facts.hidden if entry.real != _TMP]
