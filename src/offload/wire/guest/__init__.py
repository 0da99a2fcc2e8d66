"""The conversation between a worker and the runner in its container, over one stream socket.

A frame is a 4-byte little-endian length, a 1-byte kind, and a body; the length counts kind and body. The other end of
the worker's socket is a user's process: nothing in a frame is trusted, nothing is unpickled, and a frame that does not
parse ends the container.

This package runs in the user's container, on CPython 3.9 or later with the standard library alone.
"""

from __future__ import annotations

from offload.wire.guest.codec import GuestProtocolError
from offload.wire.guest.frames import Decoder, encode
from offload.wire.guest.messages import (
    DATA,
    FLAG,
    GUEST_PROTOCOL,
    NUMBER,
    TEXT,
    UNFORKABLE,
    Begun,
    Body,
    Bulk,
    Cancel,
    Exiting,
    Fault,
    GiveBack,
    GivenBack,
    Hello,
    Item,
    Load,
    Loaded,
    Output,
    Outputs,
    Result,
    Results,
    Run,
    Stop,
    Task,
    TraceLine,
)

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import Callable, Protocol

    from offload.wire.guest import asks
    from offload.wire.guest.messages import Message as Message

    class Platform(Protocol):
        """What user code in a container reaches the platform through; see `offload.runner.asking.Platform`."""

        def ask(
            self,
            method: str,
            data: bytes,
            tell: Callable[[asks.Answer | asks.Credit], None],
            *,
            is_open: bool = False,
        ) -> int:
            """Send a request."""

        def send_more(self, number: int, data: bytes, *, last: bool) -> None:
            """Send the next message of an open request."""

        def grant(self, number: int, messages: int) -> None:
            """Make room for more answers."""

        def give_up(self, number: int) -> None:
            """Wait no more."""


# Set by the runner: what is there only inside a container. It raises RuntimeError where nothing can be asked yet.
find_platform: Callable[[], Platform] | None = None

__all__ = [
    "DATA",
    "FLAG",
    "GUEST_PROTOCOL",
    "NUMBER",
    "TEXT",
    "UNFORKABLE",
    "Begun",
    "Body",
    "Bulk",
    "Cancel",
    "Decoder",
    "Exiting",
    "Fault",
    "GiveBack",
    "GivenBack",
    "GuestProtocolError",
    "Hello",
    "Item",
    "Load",
    "Loaded",
    "Output",
    "Outputs",
    "Result",
    "Results",
    "Run",
    "Stop",
    "Task",
    "TraceLine",
    "encode",
]
