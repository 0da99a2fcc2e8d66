"""Starts the stage on a machine of its own, for tests and benchmark."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.attacks.world import IN_A_WORLD

KINDS = ("bubblewrap", "forked", "gvisor", "docker")
_NEEDED = {"gvisor": "runsc", "docker": "dockerd"}
_ROOT = Path(__file__).resolve().parents[3]
_SECONDS = 540


class NoStageError(Exception):
    """The attempts cannot be made here; the message says why."""


def run_stage(kind: str, folder: Path, *names: str) -> dict[str, dict[str, Any]]:
    """Make the named attempts, all where none is named, on one runtime; return the findings. Raises `NoStageError`."""
    if os.getuid() != 0:
        raise NoStageError("only root can make a machine that is bait")
    for program in ("unshare", "ip", _NEEDED.get(kind, "unshare")):
        if shutil.which(program) is None:
            raise NoStageError(f"{program} is missing")
    folder.chmod(0o711)
    stage = subprocess.Popen(
        [
            *IN_A_WORLD,
            *(sys.executable, "-m", "tests.support.attacks.stage", kind, str(folder), *names),
        ],
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        said, complained = stage.communicate(timeout=_SECONDS)
    finally:
        # It ends what it has started, and takes its bait away.
        stage.terminate()
        stage.communicate()
    if stage.returncode != 0:
        raise RuntimeError(f"the stage of {kind} failed:\n{complained[-4000:]}")
    findings: dict[str, dict[str, Any]] = json.loads(said.splitlines()[-1])
    return findings
