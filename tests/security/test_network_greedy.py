"""What a hostile template's fork reaches that stays where it has every right over its own end of its line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.findings import found_by
from tests.support.network_world import OFFICE
from tests.support.ordinary_user import an_ordinary_user

_ROOT = Path(__file__).resolve().parents[2]
_WORLD = str(_ROOT / "tests" / "support" / "network_world.py")
_PAYLOAD = str(_ROOT / "tests" / "support" / "network_greedy_payload.py")
_USER = "offload-greedy"
_SECONDS = 240
_NET_ADMIN, _NET_RAW = 12, 13

Findings = dict[str, object]


def _run(become: tuple[str, ...], python: str, data_dir: str) -> Findings:
    world = ("unshare", "--net", "--mount", "--propagation", "private", sys.executable, _WORLD)
    return found_by([*world, *become, python, _PAYLOAD, data_dir], _SECONDS)


@pytest.fixture(scope="module", params=["this user", "an ordinary user"])
def found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Findings]:
    """Attack once for each kind of user; every test reads what was found."""
    if shutil.which("ip") is None or os.getuid() != 0:
        pytest.skip("only root can make a world of network namespaces; needs iproute2")
    if request.param == "this user":
        yield _run((), sys.executable, str(tmp_path_factory.mktemp("data")))
        return
    with an_ordinary_user(_USER) as user:
        data_dir = f"{user.home}/data"
        subprocess.run([*user.become, "mkdir", data_dir], check=True)
        yield _run(user.become, user.python, data_dir)


def test_it_has_the_rights_that_the_attack_is_about(found: Findings) -> None:
    held = found["capabilities"]

    assert isinstance(held, int)
    assert held >> _NET_ADMIN & held >> _NET_RAW & 1
    assert (found["add_address"], found["send_as_the_neighbour"]) == ("added", "sent")


def test_with_a_neighbours_address_it_reaches_nothing_that_the_neighbour_may(
    found: Findings,
) -> None:
    assert found["neighbour_heard_its_own"] == "own"
    assert "rror: " in str(found["web_as_the_neighbour"])
    assert "rror: " in str(found["neighbour_heard"])


def test_it_reaches_what_its_line_may_and_nothing_else(found: Findings) -> None:
    assert (found["office_before"], found["office"]) == (OFFICE, OFFICE)
    others = {
        name: answer
        for name, answer in found.items()
        if name in ("web_before", "neighbour", "web", "other_web", "gateway", "server")
        or name.startswith(("machine", "metadata"))
    }
    assert len(others) == 13
    assert [name for name, answer in others.items() if "rror: " not in str(answer)] == []
