"""What is in secrets, sealed: the values that the object store keeps, and the port to whoever can open them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from offload.control.core.objects import StoredObject


class KeyringError(Exception):
    """A key is missing or cannot be kept; `message` says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class Sealed:
    """The content of one secret. Only the names of its variables can be read without the key."""

    names: tuple[str, ...]
    key_id: str
    box: bytes
    updated_at: float


@dataclass(frozen=True, slots=True)
class PutSecret:
    """Make a secret, or replace what is in it. Answered with the object.

    Refused as taken where another object has the name or the id.
    """

    made: StoredObject
    sealed: Sealed


@dataclass(frozen=True, slots=True)
class Reseal:
    """Replace a box by one of another key. Answered with True, or False where `old_box` is not what is there."""

    object_id: str
    old_box: bytes
    sealed: Sealed


SecretOperation = PutSecret | Reseal


class Keyring(Protocol):
    """The keys, kept apart from the store. Blocking; every method raises `KeyringError`.

    A box opens only for the secret for which it was sealed. What returned from `add` survives power loss, so that a key is
    never needed that is not kept.
    """

    @property
    def current(self) -> str:
        """The id of the key that seals; empty while there is none."""

    @property
    def has_old(self) -> bool:
        """Whether there are keys that seal nothing any more."""

    def seal(self, object_id: str, data: bytes) -> tuple[str, bytes]:
        """Return the id of the key and the box. Makes the first key."""

    def open(self, object_id: str, key_id: str, box: bytes) -> bytes:
        """Return what was sealed. Raises also where the box was changed, or is another secret's."""

    def add(self) -> None:
        """Make a key that seals from now on; the others still open."""

    def drop_old(self) -> None:
        """Forget all keys but the one that seals."""
