"""The port to the objects with a name and to what is in them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from offload.control.core.objects import StoredObject
from offload.control.ports.contents import ContentAnswer, ContentOperation
from offload.control.ports.sealed import SecretOperation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offload.control.core.objects import ObjectKind, Scope
    from offload.control.ports.contents import Entry, Item, Value
    from offload.control.ports.sealed import Sealed


class Refusal(enum.Enum):
    """Why an operation changed nothing."""

    GONE = "gone"  # there is no such object
    TAKEN = "taken"  # another object has the name or the id


@dataclass(frozen=True, slots=True)
class CreateObject:
    """Make an object unless there is one of its name, or for an anonymous one of its id. Answered with the one there is.

    Refused as taken where another object has the id.
    """

    made: StoredObject


@dataclass(frozen=True, slots=True)
class RenameObject:
    """Give an object another name. Refused as gone or taken; answered with the renamed object."""

    object_id: str
    name: str


@dataclass(frozen=True, slots=True)
class DeleteObjects:
    """Remove these objects, known or not, and all that is in them: nobody finds them any more. Answered with None.

    What was in a secret goes at once, what was in the others in passes of `collect`.
    """

    object_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoteUse:
    """These objects were used at that time, known or not. Answered with None."""

    object_ids: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Times:
    """What is too old, in Unix seconds."""

    now: float  # items that expired before
    unused_since: float  # entries that were last used before
    answered_before: float  # answers that were given before, and items that were taken


Operation = (
    CreateObject | RenameObject | DeleteObjects | NoteUse | SecretOperation | ContentOperation
)
Answer = StoredObject | Refusal | ContentAnswer


class ObjectStore(Protocol):
    """Keeps objects. Blocking, and raises `StoreError` as `Store` does; it lives and is closed with its store.

    Operations on what is in an object, whose doc strings say their answers, are refused as gone where it is not there.
    `apply` carries out operations one after the other, each seeing those before it, all in one transaction: when it
    returns they survive power loss, and when it raises none of them happened. Reads see every `apply` that returned
    before they began.
    """

    def apply(self, operations: Sequence[Operation]) -> Sequence[Answer]:
        """Carry out operations, durably; return the answer of each."""

    def find(self, kind: ObjectKind, scope: Scope, name: str) -> StoredObject | None:
        """Find an object by its name."""

    def get(self, object_id: str) -> StoredObject | None:
        """Read one object."""

    def list(
        self, kind: ObjectKind, scope: Scope, after_name: str, limit: int
    ) -> Sequence[StoredObject]:
        """List objects that have a name, by name, those behind `after_name`."""

    def anonymous(self) -> Sequence[StoredObject]:
        """List the objects without a name, oldest first."""

    def collect(self, times: Times, limit: int) -> int:
        """Remove up to about `limit` rows that nobody needs any more; return how many. Again until there are none.

        That is what was in deleted objects, and what `times` says.
        """

    def sealed(self, object_id: str) -> Sealed | None:
        """Read what is in a secret."""

    def sealed_otherwise(self, key_id: str, limit: int) -> Sequence[tuple[str, Sealed]]:
        """List secrets by their ids with what is in them, those that were sealed with another key."""

    def entry(self, object_id: str, key: bytes) -> Value | None:
        """Read an entry of a dict."""

    def entries(
        self, object_id: str, after_key: bytes, limit: int, *, without_values: bool
    ) -> Sequence[Entry]:
        """Read entries in the order of their keys' bytes."""

    def entry_count(self, object_id: str) -> int:
        """Count the entries of a dict."""

    def items(
        self, object_id: str, partition: str, after: int, now: float, limit: int
    ) -> Sequence[Item]:
        """Read items in order, without those that have expired or are taken."""

    def item_count(self, object_id: str, partition: str | None, now: float) -> int:
        """Count such items of a partition, or with None of all."""

    def blobs_in_use(self, sha256: Sequence[str]) -> set[str]:
        """Return which of these blobs an entry, an item or a kept answer names."""
