"""Which GPUs a worker is said to have, and what a container with some of them is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.worker.core.values import Gpu

if TYPE_CHECKING:
    from collections.abc import Iterable

# What CUDA and NVIDIA's own tools obey. No function's `env` may say otherwise.
GPU_VARIABLES = ("CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")

_FORMS = "use none, COUNT:KIND as in 2:H100, or each device with its kind as in 0:H100,1:A100"


def parse_gpus(text: str) -> tuple[Gpu, ...]:
    """Return the devices that a person has written down.

    "none" or "0" is none, "2:H100" two of a kind numbered from 0, "0:H100,1:A100" each by its number. Raises `ValueError`
    with what would be right.
    """
    entries = [entry.strip() for entry in text.split(",")]
    if entries in (["none"], ["0"]):
        return ()
    numbered = [_numbered(entry, text) for entry in entries]
    if len(numbered) == 1:
        count, kind = numbered[0]
        if count == 0:
            raise ValueError(f"{text!r} is no device: use 1:{kind} for one, or none")
        return tuple(Gpu(index, kind) for index in range(count))
    if len({index for index, _ in numbered}) < len(numbered):
        raise ValueError(f"{text!r} names a device twice")
    return tuple(Gpu(index, kind) for index, kind in sorted(numbered))


def _numbered(entry: str, text: str) -> tuple[int, str]:
    number, _, kind = entry.partition(":")
    kind = " ".join(kind.split())
    if not (number.isascii() and number.isdigit() and len(number) <= 4 and kind):
        raise ValueError(f"{text!r} is no list of GPUs: {_FORMS}")
    return int(number), kind


def gpu_environment(gpus: Iterable[Gpu]) -> dict[str, str]:
    """Return the variables that let a container's programs see these devices and no others.

    By their UUIDs where those are known: CUDA numbers only the devices that it can open, from 0, so that a device's
    number on the machine means another one, or none, where the sandbox shows it alone.
    """
    visible = ",".join(gpu.uuid or str(gpu.index) for gpu in gpus)
    return {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        # No device: an empty list is taken for "not set" by some programs, an impossible one by none.
        "CUDA_VISIBLE_DEVICES": visible or "-1",
        "NVIDIA_VISIBLE_DEVICES": visible or "void",
    }
