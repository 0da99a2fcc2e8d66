"""Messages for names that do not exist."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def unknown(kind: str, name: str, known: Sequence[str], otherwise: str = "") -> str:
    """Say that `name` is no `kind`, with the nearest of `known`, or else with all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"There is no {kind} {name!r}. Did you mean {near[0]!r}?"
    return f"There is no {kind} {name!r}. " + (otherwise or f"There are: {', '.join(known)}.")
