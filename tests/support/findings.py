"""Programs that look at a sandbox from inside and print what they found as JSON."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from tests.support.ordinary_user import plain_environment

PRIVILEGED = "Operation not permitted"


def found_by(argv: list[str], timeout_seconds: float) -> dict[str, Any]:  # type: ignore[explicit-any]  # JSON
    """Run such a program in a plain environment; skip where it says that this machine cannot have what it looks at."""
    done = subprocess.run(
        argv,
        env=plain_environment("/"),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    if PRIVILEGED in done.stderr and not done.stdout:
        pytest.skip("only root can make the namespaces in which this is looked at")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)  # type: ignore[explicit-any]  # JSON
    if "unavailable" in found:
        pytest.skip(str(found["unavailable"]))
    return found
