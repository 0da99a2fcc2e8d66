"""What `offload shell` runs in place of a function: it holds the function's container for a person, until it is cancelled."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from offload.sdk.current import current_function_call_id

if TYPE_CHECKING:
    from collections.abc import Generator


def hold_container() -> Generator[tuple[str, str], None, None]:
    """Say which container this is and for which call, and stay."""
    container_id = os.environ["OFFLOAD_CONTAINER_ID"]  # noqa: TID251  # the runtime's word
    yield container_id, str(current_function_call_id())
    threading.Event().wait()
