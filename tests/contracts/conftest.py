"""Every adapter of a port, for the tests of that port."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from offload.control.stores.memory import MemoryStore
from offload.control.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from offload.control.ports.store import Store


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    kept = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "offload.db")
    yield kept
    kept.close()
