"""The port to the objects with a name and to what is in them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from offload.control.core.objects import StoredObject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offload.control.core.objects import ObjectKind, Scope


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

    What was in them goes in passes of `collect`.
    """

    object_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoteUse:
    """These objects were used at that time, known or not. Answered with None."""

    object_ids: tuple[str, ...]
    at: float


Operation = CreateObject | RenameObject | DeleteObjects | NoteUse
Answer = StoredObject | Refusal | None


class ObjectStore(Protocol):
    """Keeps objects. Blocking, and raises `StoreError` as `Store` does; it lives and is closed with its store.

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

    def collect(self, limit: int) -> int:
        """Remove up to about `limit` rows of what was in deleted objects; return how many. Again until there are none."""
