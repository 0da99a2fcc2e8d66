"""What user code asks of the platform, as messages.

Apart from the others because most containers never ask anything: neither the runner nor a frame needs this module before
that. Nothing of a request is the runner's to decide but which method it wants: who it is its worker knows.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from offload.wire.records import NamedTuple


# As a status: the worker has lost its server meanwhile, and nobody knows whether the request was done.
LOST = 255


# --- runner to worker ---


class Ask(NamedTuple):
    """A method of the schema ("offload.v1.Dicts/Get") and its encoded request.

    With `is_open` the request's messages come in `AskMore`, and `data` is empty. Numbers are the runner's; one is free again
    after the last `Answer` of it.
    """

    number: int
    method: str
    data: bytes
    is_open: bool = False


class AskMore(NamedTuple):
    """The next message of an open request; the last one is empty. Sent only within the worker's credit."""

    number: int
    data: bytes
    last: bool


class GiveUp(NamedTuple):
    """Nobody waits for the answer any more. One that is under way may still come."""

    number: int


# --- worker to runner ---


class Answer(NamedTuple):
    """With status 0 an encoded reply, else a message for a person, which is the last.

    A method that streams has many, each within the runner's credit, and then an empty last one.
    """

    number: int
    status: int  # see `offload.wire.status`, or `LOST`
    last: bool
    data: bytes


# --- both ways ---


class Credit(NamedTuple):
    """There is room for so many more messages of a request, or of its answer."""

    number: int
    messages: int
