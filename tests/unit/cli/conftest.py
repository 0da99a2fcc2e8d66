"""A server for commands."""

from __future__ import annotations

import pytest
from tests.support.objects import TOKEN, object_server


@pytest.fixture
def server(monkeypatch):
    """Have commands go to a whole server in memory."""
    with object_server() as running:
        monkeypatch.setenv("OFFLOAD_SERVER_URL", f"http://127.0.0.1:{running.link.port}")
        monkeypatch.setenv("OFFLOAD_TOKEN", TOKEN)
        yield running
