"""Commands, and a server for them."""

from __future__ import annotations

import pytest
from tests.support.objects import TOKEN, object_server

from offload.cli.main import run_command


@pytest.fixture
def server(monkeypatch):
    """Have commands go to a whole server in memory."""
    with object_server() as running:
        monkeypatch.setenv("OFFLOAD_SERVER_URL", f"http://127.0.0.1:{running.link.port}")
        monkeypatch.setenv("OFFLOAD_TOKEN", TOKEN)
        yield running


@pytest.fixture
def offload(server, capsys):
    """Return a function that runs a command and returns its exit code and its output."""

    def run(*words):
        code = run_command(words)
        said = capsys.readouterr()
        return code, said.out if code == 0 else said.err

    return run
