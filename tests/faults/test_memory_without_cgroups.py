"""A worker that finds no control group it may use: memory is held per process, and too much of it is still said clearly."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.ordinary_user import an_ordinary_user, plain_environment

Findings = dict[str, dict[str, object]]

_PAYLOAD = Path(__file__).resolve().parents[1] / "support" / "hoarders.py"
_USER = "offload-hoarder"
_SECONDS = 240

_WITHOUT_GROUPS = (
    *("unshare", "--mount", "sh", "-c"),
    'mount -t tmpfs none /sys/fs/cgroup && exec "$@"',
    "sh",
)


def _run(prefix: tuple[str, ...], python: str, directory: str) -> Findings:
    done = subprocess.run(
        [*prefix, python, str(_PAYLOAD), directory],
        env=plain_environment(directory),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module", params=["where none are mounted", "an ordinary user"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """Let functions take too much, once per reason why there is no control group."""
    if request.param == "an ordinary user":
        with an_ordinary_user(_USER) as user:
            return _run(user.become, user.python, user.home)
    if os.getuid() != 0:
        pytest.skip("only root may mount")
    return _run(_WITHOUT_GROUPS, sys.executable, str(tmp_path_factory.mktemp("home")))


@pytest.mark.parametrize("how", ["little by little", "at once"])
def test_too_much_memory_is_an_error_that_names_the_limit_and_the_peak(
    found: Findings, how: str
) -> None:
    guilty = found[how]

    assert guilty["is_memory_error"]
    assert re.search(r"limit of 256 MiB \(peak \d+ MiB\)", str(guilty["said"]))


@pytest.mark.parametrize("how", ["little by little", "at once", "in a child"])
def test_the_others_of_its_map_and_of_other_functions_go_on(found: Findings, how: str) -> None:
    assert found[how]["innocent"] == [0, 1, 2, 3, 4, 6, 7, 8]
    assert found[how]["bystander_lives"]


def test_a_child_that_takes_too_much_fails_alone(found: Findings) -> None:
    assert found["in a child"]["type"] == "CalledProcessError"
