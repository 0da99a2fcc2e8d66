"""Nothing of the network of containers outlives them, their gateway or their worker, however those end."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from tests.support.findings import found_by

_ROOT = Path(__file__).resolve().parents[2]
_PAYLOAD = str(_ROOT / "tests" / "support" / "network_leftovers_payload.py")
_SECONDS = 240


@pytest.fixture(scope="module", params=["bubblewrap", "docker"])
def found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, object]:
    """Run the payload as root of a machine of its own; every test reads what it found."""
    if os.getuid() != 0 or shutil.which("nft") is None or shutil.which("ip") is None:
        pytest.skip("only root has a network to leave behind; needs nftables and iproute2")
    command = [sys.executable, _PAYLOAD, str(tmp_path_factory.mktemp("data")), request.param]
    return found_by(["unshare", "--net", *command], _SECONDS)


def test_containers_in_a_row_leave_nothing_on_the_router(
    found: dict[str, object],
) -> None:
    assert found["after_many"] == found["before"] == found["ready"]


def test_containers_that_are_forked_leave_nothing_on_the_router(found: dict[str, object]) -> None:
    if "after_forks" not in found:
        pytest.skip("this runtime does not fork")
    assert found["after_forks"] == found["before"]


def test_a_gateway_that_was_killed_is_replaced_for_the_next_container(
    found: dict[str, object],
) -> None:
    assert found["after_kill_of_gateway"] == ["eth0", "lo"]


@pytest.mark.parametrize("end", ["closed", "worker_killed", "ground_killed"])
def test_a_worker_leaves_neither_links_nor_rules_on_its_machine(
    found: dict[str, object], end: str
) -> None:
    assert found[f"machine_while_{end}"] == [["lo", "offload-1"], ["inet offload_net_1"]]
    assert found[f"machine_after_{end}"] == [["lo"], []]
