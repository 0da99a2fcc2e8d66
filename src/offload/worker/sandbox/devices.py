"""Which device nodes a container with GPUs sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.worker.sandbox.view import Shown

if TYPE_CHECKING:
    from collections.abc import Sequence

# What every program that uses a GPU opens besides the device's own node; which of them exist depends on the driver.
_CONTROL = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "nvidia-caps")


def gpu_devices(indices: Sequence[int], device_dir: str = "/dev") -> tuple[Shown, ...]:
    """Choose the nodes for the devices with these numbers, whether they exist or not; none for none."""
    names = [f"nvidia{index}" for index in indices]
    if names:
        names += _CONTROL
    return tuple(Shown(f"{device_dir}/{name}", f"/dev/{name}") for name in names)
