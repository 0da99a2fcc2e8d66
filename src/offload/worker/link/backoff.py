"""How long to wait before the server is dialled again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_SECONDS = 0.05

# Callers wait for a server that was restarted until its workers are back, and the server itself waits two seconds for
# them before it takes them for lost, so it is short. Workers draw, so that a thousand of them never dial all at once.
MAX_SECONDS = 1.0


class Backoff:
    """Delays that double from `FIRST_SECONDS` to `MAX_SECONDS`, each drawn from its upper half."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._seconds = FIRST_SECONDS

    def next_seconds(self) -> float:
        """Return the next delay."""
        seconds = self._seconds
        self._seconds = min(MAX_SECONDS, seconds * 2)
        return seconds * (1 + self._draw()) / 2
