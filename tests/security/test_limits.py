"""What containers are held to, measured from inside: with control groups, without any, for root and for an ordinary user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.findings import found_by
from tests.support.limits_payload import (
    OWN_SCRATCH_MIB,
    SMALL_MIB,
    THROTTLED_PERIODS,
    is_shared_by_requests,
)
from tests.support.ordinary_user import an_ordinary_user

from offload.worker.supervisor.starting import usual_scratch_mib

_SECONDS = 240
_USER = "offload-limits"
_ROOT = Path(__file__).resolve().parents[2]
_PAYLOAD = str(_ROOT / "tests" / "support" / "limits_payload.py")

# Where this mount covers them there are no control groups for whoever looks.
_WITHOUT_GROUPS = (
    *("unshare", "--mount", "sh", "-c"),
    'mount -t tmpfs none /sys/fs/cgroup && exec "$@"',
    "sh",
)

Findings = dict[str, object]


def _run(argv: list[str]) -> Findings:
    return found_by(argv, _SECONDS)


@pytest.fixture(
    scope="module",
    params=[
        ("bubblewrap", "this user"),
        ("bubblewrap", "without control groups"),
        ("bubblewrap", "an ordinary user"),
        ("forked", "this user"),
        ("forked", "without control groups"),
        ("gvisor", "this user"),
        ("gvisor", "without control groups"),
        ("docker", "this user"),
    ],
    ids=", ".join,
)
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """Run the payload once per sandbox and machine; every test reads what it found."""
    runtime, who = request.param
    if who == "an ordinary user":
        with an_ordinary_user(_USER) as user:
            data_dir = f"{user.home}/data"
            subprocess.run([*user.become, "mkdir", data_dir], check=True)
            return _run([*user.become, user.python, _PAYLOAD, data_dir, runtime])
    data_dir = str(tmp_path_factory.mktemp("data"))
    options = [request.getfixturevalue("docker_socket")] if runtime == "docker" else []
    prefix: tuple[str, ...] = ()
    if who == "without control groups":
        if os.getuid() != 0:
            pytest.skip("only root may mount")
        prefix = _WITHOUT_GROUPS
    return _run([*prefix, sys.executable, _PAYLOAD, data_dir, runtime, *options])


def _capabilities(found: Findings) -> dict[str, object]:
    capabilities = found["capabilities"]
    assert isinstance(capabilities, dict)
    return capabilities


def _number(found: Findings, name: str) -> int:
    value = found[name]
    assert isinstance(value, int), value
    return value


def test_a_container_gets_no_more_of_the_cores_than_its_limit(found: Findings) -> None:
    if not _capabilities(found)["limits_cpu"]:
        pytest.skip("no cpu controller here, and the runtime says so")

    if _capabilities(found)["name"] == "gvisor":  # its clocks tell user code nothing of waiting
        assert _number(found, "throttled") >= THROTTLED_PERIODS
    else:
        assert _number(found, "quota") <= 400


def test_containers_that_want_the_same_core_get_it_by_their_requests(found: Findings) -> None:
    if not _capabilities(found)["limits_cpu"]:
        pytest.skip("no cpu controller here, and the runtime says so")
    if _capabilities(found)["name"] == "gvisor":
        pytest.skip("gVisor's clocks and cores are its own: user code cannot see what it gets")

    light, heavy = found["shares"]  # type: ignore[misc]  # two numbers

    assert is_shared_by_requests(light, heavy)


def test_a_full_tmp_is_an_error_inside_and_not_out_of_memory(found: Findings) -> None:
    assert "No space left on device" in str(found["disk part of memory"])
    assert _number(found, "disk part of memory, MiB") == usual_scratch_mib(SMALL_MIB)


def test_scratch_that_was_asked_for_does_not_take_from_the_memory(found: Findings) -> None:
    assert "No space left on device" in str(found["disk beside memory"])
    assert _number(found, "disk beside memory, MiB") == OWN_SCRATCH_MIB


def test_open_files_end_with_an_error_inside(found: Findings) -> None:
    assert "Too many open files" in str(found["files"])


def test_a_container_beside_them_is_as_well_as_before(found: Findings) -> None:
    assert found["bystander"] == 42


def test_what_is_not_held_without_control_groups_is_said(found: Findings) -> None:
    capabilities = _capabilities(found)
    notes = " ".join(map(str, capabilities["notes"]))  # type: ignore[call-overload]  # a list

    assert bool(capabilities["limits_cpu"]) != ("the cpu controller" in notes)
