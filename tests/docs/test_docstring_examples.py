"""The examples in docstrings come out as they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

_SOURCE = Path(__file__).parents[2] / "src"
_WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(_SOURCE).with_suffix("").parts)
    for path in _SOURCE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", _WITH_EXAMPLES)
def test_the_examples_of_a_module_come_out_as_they_say(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))

    assert found.attempted > 0
    assert found.failed == 0
