"""The catalogue of attempts against each sandbox: every one is refused, and nobody beside it notices.

That they are attempts at all is shown without a sandbox, where they succeed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.attacks.catalogue import ATTEMPTS, BY_GROUP
from tests.support.attacks.run import KINDS, NoStageError, run_stage

_ROOT = Path(__file__).resolve().parents[2]

# Whichever test is first has its runtime's whole stage to wait for.
pytestmark = pytest.mark.timeout(600)

Findings = dict[str, dict[str, Any]]

SUCCEED = [name for name, attempt in ATTEMPTS.items() if not attempt.also_held]


def _play(kind: str, folder: Path, *names: str) -> Findings:
    try:
        return run_stage(kind, folder, *names)
    except NoStageError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", params=KINDS)
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """Make every attempt once per sandbox; every test reads what came of one."""
    return _play(request.param, tmp_path_factory.mktemp("stage"))


@pytest.fixture(scope="module")
def found_without_walls(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    return _play("process", tmp_path_factory.mktemp("stage"), *SUCCEED)


def test_there_are_enough_attempts_of_each_kind() -> None:
    assert len(ATTEMPTS) == sum(map(len, BY_GROUP.values())) >= 40
    assert min(map(len, BY_GROUP.values())) >= 8


def test_the_page_for_users_names_every_attempt() -> None:
    page = " ".join((_ROOT / "docs" / "explanation" / "sandbox.md").read_text().lower().split())

    assert [name for name in ATTEMPTS if name.lower() not in page] == []


@pytest.mark.parametrize("name", ATTEMPTS)
def test_the_attempt_is_refused_and_nobody_is_harmed(found: Findings, name: str) -> None:
    finding = found[name]

    assert finding["contained"], str(finding)
    assert not finding["harmed"], str(finding)


@pytest.mark.parametrize("name", SUCCEED)
def test_without_a_sandbox_the_attempt_succeeds(found_without_walls: Findings, name: str) -> None:
    assert found_without_walls[name]["got"], found_without_walls[name]
