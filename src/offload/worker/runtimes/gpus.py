"""Which GPUs this machine has, found without CUDA: a library that must not be in the worker's process."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from offload.worker.core.values import Gpu

_DRIVER = Path("/proc/driver/nvidia")
_QUERY = ("--query-gpu=index,name,uuid", "--format=csv,noheader")

# Without its persistence daemon the driver wakes every device up to answer.
_QUERY_SECONDS = 30.0


def find_gpus(driver: Path = _DRIVER, nvidia_smi: str = "nvidia-smi") -> tuple[Gpu, ...]:
    """Return this machine's GPUs in the order of their numbers, as the driver tells or else `nvidia-smi`."""
    found = [_read_information(file) for file in driver.glob("gpus/*/information")]
    return tuple(sorted(gpu for gpu in found if gpu is not None)) or _ask(nvidia_smi)


def _read_information(file: Path) -> Gpu | None:
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return None
    facts = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    return _gpu(facts.get("Device Minor", ""), facts.get("Model", ""), facts.get("GPU UUID", ""))


def _ask(nvidia_smi: str) -> tuple[Gpu, ...]:
    program = shutil.which(nvidia_smi)
    if program is None:
        return ()
    try:
        answer = subprocess.run(  # noqa: S603 - the driver's own program, with our own arguments
            (program, *_QUERY), capture_output=True, check=True, timeout=_QUERY_SECONDS, text=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    rows = [[field.strip() for field in line.split(",")] for line in answer.splitlines()]
    found = [_gpu(*row) for row in rows if len(row) == 3]
    return tuple(sorted(gpu for gpu in found if gpu is not None))


def _gpu(number: str, kind: str, uuid: str) -> Gpu | None:
    if not (number.isdigit() and kind):
        return None
    # Of a device that nobody has used yet the driver may say "GPU-????????-…".
    is_known = uuid.startswith("GPU-") and "?" not in uuid
    return Gpu(int(number), kind, uuid if is_known else "")
