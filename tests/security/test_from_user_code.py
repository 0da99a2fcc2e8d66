"""What a user's function can and cannot do, tried through the SDK and a whole stack, for root and an ordinary user."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.ordinary_user import an_ordinary_user, plain_environment

_ROOT = Path(__file__).resolve().parents[2]
_PAYLOAD = str(_ROOT / "tests" / "support" / "user_code_payload.py")
_USER = "offload-caller"
_SECONDS = 240

Findings = dict[str, object]


def _run(prefix: tuple[str, ...], python: str, directory: str) -> Findings:
    done = subprocess.run(
        [*prefix, python, _PAYLOAD, directory],
        env={**plain_environment(directory), "SECRET_OF_THE_CALLER": "hidden"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module", params=["this user", "an ordinary user"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """Run the attacks once per kind of user; every test reads what came of them."""
    if request.param == "this user":
        return _run((), sys.executable, str(tmp_path_factory.mktemp("home")))
    with an_ordinary_user(_USER) as user:
        return _run(user.become, user.python, user.home)


def _answers(found: Findings, name: str) -> dict[str, object]:
    answers = found[name]
    assert isinstance(answers, dict)
    return answers


def test_nothing_of_the_host_can_be_written(found: Findings) -> None:
    assert [path for path, answer in _answers(found, "writes").items() if answer is None] == []


def test_the_kernel_cannot_be_configured(found: Findings) -> None:
    assert [path for path, answer in _answers(found, "kernel").items() if answer is None] == []


@pytest.mark.parametrize("what", ["secret", "shadow", "token"])
def test_other_peoples_files_cannot_be_read(found: Findings, what: str) -> None:
    assert str(found[what]).startswith(("FileNotFoundError", "PermissionError"))


def test_the_platforms_data_is_not_there(found: Findings) -> None:
    assert found["data_dir"] == [] or "FileNotFoundError" in str(found["data_dir"])


def test_no_environment_of_the_platform_or_the_caller_is_there(found: Findings) -> None:
    assert found["first_environ"] == ""
    names = found["own_environ"]
    assert isinstance(names, list)
    assert "SECRET_OF_THE_CALLER" not in names
    assert not [name for name in names if "TOKEN" in name]


def test_only_its_own_processes_are_there(found: Findings) -> None:
    processes = found["processes"]
    assert isinstance(processes, list)
    assert max(processes) < 100


def test_user_code_is_an_unprivileged_user_for_good(found: Findings) -> None:
    status = _answers(found, "status")

    assert found["uid"] == 1000
    assert "Error" in str(found["become_root"])
    assert status["NoNewPrivs"] == "1"
    assert {str(status[name]).strip("0") for name in ("CapEff", "CapPrm", "CapBnd")} == {""}


@pytest.mark.parametrize("what", ["user_namespace", "mount", "node", "sudo"])
def test_no_privilege_can_be_had(found: Findings, what: str) -> None:
    assert found[what] not in (0, None)


def test_one_function_finds_nothing_of_another(found: Findings) -> None:
    assert found["trace"] == [False, False]


def test_a_blocked_network_is_only_loopback_while_the_default_has_a_link_of_its_own(
    found: Findings,
) -> None:
    assert found["blocked"] == ["lo"]
    assert found["open"] == ["lo", "eth0"]
