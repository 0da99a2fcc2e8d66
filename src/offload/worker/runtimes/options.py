"""What the runtimes that start real processes are told when they are made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """Options of a runtime."""

    data_dir: str  # the platform's own state; no container sees it
    # For root: whether a function may name folders that are closed to other users, and so read them. Only where whoever
    # may call functions may read every file of this machine anyway.
    shows_private: bool = False
    # Arguments of the image's interpreter instead of the runner's boot, for tests of the runtime itself; the boot order
    # (see `sandbox.guest.boot_order`) follows them.
    guest_argv: tuple[str, ...] | None = None
    bwrap: str | None = None  # path of bubblewrap; None: the wheel's, else the system's
    runsc: str | None = None  # path of gVisor; None: the one on PATH
    docker_socket: str | None = None  # path of the Docker Engine's socket; None: the usual places
    platform: tuple[str, ...] = ()  # hosts of the platform's own, which no container reaches
    host_network: bool = (
        False  # containers share the machine's network, by somebody's explicit choice
    )
    network_stack: str | None = None  # path of pasta or slirp4netns; None: whichever is on PATH
    device_dir: str = "/dev"  # where the nodes of GPUs are
