"""Volumes of a worker that is an ordinary user's, who cannot give files away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.findings import found_by
from tests.support.ordinary_user import an_ordinary_user

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS = 90
_PAYLOAD = Path(__file__).resolve().parents[1] / "support" / "volume_payload.py"


@pytest.fixture
def open_docker_socket(docker_socket: str) -> Iterator[str]:
    """Let every user have the engine, meanwhile."""
    mode = Path(docker_socket).stat().st_mode
    Path(docker_socket).chmod(0o666)
    yield docker_socket
    Path(docker_socket).chmod(mode)


@pytest.mark.parametrize("name", ["process", "bubblewrap", "gvisor", "docker"])
def test_an_ordinary_users_containers_share_files_through_volumes(
    request: pytest.FixtureRequest, name: str
) -> None:
    sockets = [request.getfixturevalue("open_docker_socket")] if name == "docker" else []

    with an_ordinary_user(f"offload-volume-{name[:6]}") as user:
        argv = [*user.become, user.python, str(_PAYLOAD), f"{user.home}/data", name, *sockets]
        found = found_by(argv, _SECONDS)

    ids, capabilities, is_owner = found["ids"]
    assert ids == [1000] * 3 or name in {"docker", "process"}
    assert set(capabilities) <= {""} or name == "process"
    assert is_owner
    assert found["read"] == "2"
    assert found["committed"] == {"closed": "mine", "folder/file": "2", "old": "new"}
    assert found["refusal"].endswith("/half")
    assert (found["reloaded"], found["written_again"]) == ("theirs", 4)
    assert found["left"] == []
