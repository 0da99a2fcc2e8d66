"""What every process of offload shares: messages, their carriers, status codes and limits."""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from collections.abc import Callable

# Set by the runner of a container: which input's code asks. Here, because every container imports this file in any case.
find_input: Callable[[], str] | None = None
