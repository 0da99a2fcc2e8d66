"""What a person learns of their machine before they start a worker on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.ordinary_user import an_ordinary_user, plain_environment

_DOCTOR = ("-m", "offload", "worker", "doctor")
_SECONDS = 240

# Where this mount covers them there are no control groups for whoever looks.
_WITHOUT_GROUPS = (
    *("unshare", "--mount", "sh", "-c"),
    'mount -t tmpfs none /sys/fs/cgroup && exec "$@"',
    "sh",
)
# The setting is the namespace's own, and holds below it.
_WITHOUT_NAMESPACES = (
    *("unshare", "--user", "--map-root-user", "sh", "-c"),
    'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"',
    "sh",
)


def run(home: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = plain_environment(home)
    return subprocess.run(
        words,
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )


def found(document: dict[str, object], name: str) -> dict[str, str]:
    findings = document["findings"]
    assert isinstance(findings, list)
    return next(each for each in findings if each["name"] == name)


def test_the_doctor_looks_and_changes_nothing(tmp_path: Path) -> None:
    looking = subprocess.Popen(
        [sys.executable, *_DOCTOR, "--json"],
        env=plain_environment(str(tmp_path)),
        stdout=subprocess.PIPE,
    )

    out, _ = looking.communicate(timeout=_SECONDS)

    assert looking.returncode == (0 if json.loads(out)["can_run_sandboxed"] else 5)
    # A worker names its control groups by its number.
    assert list(Path("/sys/fs/cgroup").glob(f"**/offload-{looking.pid}-*")) == []
    assert list(tmp_path.iterdir()) == []


def test_for_people_each_part_is_a_line_and_the_last_one_is_the_verdict(tmp_path: Path) -> None:
    done = run(str(tmp_path), sys.executable, *_DOCTOR)

    first, *_, last = done.stdout.splitlines()
    assert first.startswith("Linux ")
    assert last.startswith("Functions can")
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_an_ordinary_user_is_told_what_is_theirs(tmp_path: Path) -> None:
    with an_ordinary_user("offload-doctor") as user:
        done = run(user.home, *user.become, user.python, *_DOCTOR, "--json")

    document = json.loads(done.stdout)
    assert document["user"] == "offload-doctor"
    assert found(document, "subordinate ids")["state"] in {"ok", "limited"}
    assert done.returncode == (0 if document["can_run_sandboxed"] else 5)


def test_without_control_groups_it_says_what_is_limited_by_other_means(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root may mount")

    done = run(str(tmp_path), *_WITHOUT_GROUPS, sys.executable, *_DOCTOR, "--json")

    groups = found(json.loads(done.stdout), "cgroups")
    assert (groups["state"], groups["detail"]) == (
        "limited",
        "none: nothing limited per container; no hierarchies are mounted",
    )
    assert "cpu=(request, limit) is not run here" in groups["matters"]


def test_where_user_namespaces_are_forbidden_it_ends_with_5_and_names_the_setting(
    tmp_path: Path,
) -> None:
    with an_ordinary_user("offload-doctor") as user:
        possible = run(user.home, *user.become, *_WITHOUT_NAMESPACES, "true")
        if possible.returncode:
            pytest.skip(f"an ordinary user can forbid nothing here: {possible.stderr.strip()}")
        done = run(user.home, *user.become, *_WITHOUT_NAMESPACES, user.python, *_DOCTOR, "--json")

    sandbox = found(json.loads(done.stdout), "sandbox")
    assert done.returncode == 5
    assert sandbox["detail"] == "user namespaces are forbidden by user.max_user_namespaces=0"
    assert "sysctl -w user.max_user_namespaces=65536" in sandbox["get"]
