"""What the runtimes that start real processes are told when they are made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """Options of a runtime."""

    data_dir: str  # the platform's own state; no container sees it
    # Arguments of the image's interpreter instead of the runner's boot, for tests of the runtime itself; the boot order
    # (see `sandbox.guest.boot_order`) follows them.
    guest_argv: tuple[str, ...] | None = None
    bwrap: str | None = None  # path of bubblewrap; None: the wheel's, else the system's
    device_dir: str = "/dev"  # where the nodes of GPUs are
