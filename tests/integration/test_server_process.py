"""How a server process starts, fails and ends: always one clear line, never a traceback."""

from __future__ import annotations

import asyncio
import socket
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from tests.support.control_server import Server, running, spawn, start

from offload.wire.link import connect
from offload.wire.status import Status, WireError

if TYPE_CHECKING:
    from pathlib import Path


def _get(server: Server, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}{path}", timeout=60) as reply:
        return reply.status, reply.read().decode()


def _failure(data_dir: Path, **options: object) -> tuple[int, list[str]]:
    process = spawn(data_dir, **options)
    _, err = process.communicate(timeout=60)
    return process.returncode, err.splitlines()


def test_it_answers_over_http(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert _get(server, "/live") == (200, "live\n")
        assert _get(server, "/ready") == (200, "ready\n")
        status, metrics = _get(server, "/metrics")
        with pytest.raises(urllib.error.HTTPError) as missing:
            _get(server, "/nothing")
        missing.value.close()

    assert status == 200
    assert "offload_inputs_pending 0.0" in metrics
    assert "offload_journal_commit_seconds_count" in metrics
    assert missing.value.code == 404


def test_a_signal_ends_it_in_good_order_without_a_trace(tmp_path: Path) -> None:
    server = start(tmp_path)

    code, err = server.end()

    assert code == 0
    assert "Traceback" not in err
    assert not (tmp_path / "server.json").exists()
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["http", "grpc"])
def test_an_occupied_port_is_one_line_that_says_what_to_do(tmp_path: Path, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        code, lines = _failure(tmp_path, **{f"{name}_port": port})

    assert code == 3
    assert lines == [
        f"Port {port} is in use by another program: stop it, or choose another with --{name}-port."
    ]


def test_an_address_of_another_machine_is_named(tmp_path: Path) -> None:
    code, lines = _failure(tmp_path, host="203.0.113.1", insecure_no_tls="yes")

    assert code == 3
    assert lines == ["This machine has no address 203.0.113.1: choose another with --host."]


def test_another_address_without_tls_is_refused(tmp_path: Path) -> None:
    code, lines = _failure(tmp_path, host="0.0.0.0")  # noqa: S104 - it is refused

    assert code == 2
    assert len(lines) == 1
    assert "--tls-cert" in lines[0]


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        code, lines = _failure(tmp_path)

        assert code == 4
        assert len(lines) == 1
        assert str(server.process.pid) in lines[0]
        assert (tmp_path / "server.json").exists()


def test_a_damaged_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "offload.db").write_bytes(b"this is no database at all" * 200)

    code, lines = _failure(tmp_path)

    assert code == 4
    assert len(lines) == 1
    assert "offload.db" in lines[0]


def test_a_data_directory_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    code, lines = _failure(file)

    assert code == 2
    assert len(lines) == 1
    assert str(file) in lines[0]


def test_a_wrong_token_is_refused_and_told_where_the_right_one_is(tmp_path: Path) -> None:
    async def scenario(server: Server) -> WireError:
        with pytest.raises(WireError) as refusal:
            await connect(f"ws://127.0.0.1:{server.http_port}/link", "wrong")
        return refusal.value

    with running(tmp_path) as server:
        error = asyncio.run(scenario(server))

    assert error.status is Status.UNAUTHENTICATED
    assert "token" in error.message


def test_it_ends_by_itself_when_idle(tmp_path: Path) -> None:
    server = start(tmp_path, idle_exit_seconds=0.2)

    _, err = server.process.communicate(timeout=60)

    assert server.process.returncode == 0
    assert "idle" in err
