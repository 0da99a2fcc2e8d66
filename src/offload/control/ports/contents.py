"""The values of the object store that are about what is in dicts and queues. Values are encoded Payloads, never decoded."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a dict with its value."""

    key: bytes
    value: bytes
    blob: str = ""  # SHA-256 of the blob that the value names


@dataclass(frozen=True, slots=True)
class Value:
    """The value of an entry or an item."""

    value: bytes
    blob: str = ""
    used_at: float = field(
        default=0.0, compare=False
    )  # of an entry that was read: when it was last, as noted


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a queue. Positions rise within a queue."""

    position: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """The caller's name for what it asks. What was done under the same id is answered as then and not done again.

    Whether it was is looked up only for a repeat. The answer is kept until `collect` is told that it is too old.
    """

    request_id: str
    at: float
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class PutEntries:
    """Set entries of a dict. Answered with how many were set."""

    object_id: str
    entries: tuple[Entry, ...]
    only_new: bool  # what is there stays as it is
    request: Request


@dataclass(frozen=True, slots=True)
class PopEntry:
    """Remove an entry. Answered with its `Value`, or None where there was none."""

    object_id: str
    key: bytes
    request: Request


@dataclass(frozen=True, slots=True)
class TouchEntries:
    """These entries were used at that time, known or not. Answered with None."""

    object_id: str
    keys: tuple[bytes, ...]
    at: float


@dataclass(frozen=True, slots=True)
class ClearDict:
    """Remove all entries. Answered with None."""

    object_id: str


@dataclass(frozen=True, slots=True)
class PutItems:
    """Append items to a partition. Answered with True, or False where there would be more than `max_items` in it."""

    object_id: str
    partition: str
    items: tuple[Value, ...]
    expires_at: float
    max_items: int
    request: Request


@dataclass(frozen=True, slots=True)
class TakeItems:
    """Take the first items of a partition that have not expired, as many as `count` and `size_bytes` allow, but one at least.

    Answered with their values, in order. They are kept under the request's id until that is received or too old.
    """

    object_id: str
    partition: str
    count: int
    size_bytes: int
    request: Request
    received: tuple[str, ...] = ()  # requests whose items need not be kept any more


@dataclass(frozen=True, slots=True)
class ClearItems:
    """Remove the items of a partition, or with None of all. Answered with None."""

    object_id: str
    partition: str | None


ContentOperation = (
    PutEntries | PopEntry | TouchEntries | ClearDict | PutItems | TakeItems | ClearItems
)
ContentAnswer = int | bool | Value | tuple[bytes, ...] | None
