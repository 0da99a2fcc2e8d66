"""Objects with a name: what they are called, and whose they are."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.model import DEFAULT_ENVIRONMENT, DEFAULT_WORKSPACE

MAX_NAME_CHARACTERS = 64
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_ID = re.compile(r"[a-z]{2}-[0-9a-z]{26}")


class ObjectKind(enum.StrEnum):
    """What an object is."""

    DICT = "dict"
    QUEUE = "queue"
    VOLUME = "volume"
    SECRET = "secret"  # noqa: S105  # the kind


PREFIX_OF = {
    ObjectKind.DICT: "di-",
    ObjectKind.QUEUE: "qu-",
    ObjectKind.VOLUME: "vo-",
    ObjectKind.SECRET: "se-",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose an object is: a name means one thing within a scope."""

    workspace: str = DEFAULT_WORKSPACE
    environment: str = DEFAULT_ENVIRONMENT


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object. An anonymous one has no name; it belongs to an app, or to whoever holds it."""

    object_id: str
    kind: ObjectKind
    scope: Scope
    name: str
    created_at: float
    last_used_at: float
    app_id: str = ""

    def __str__(self) -> str:
        called = repr(self.name) if self.name else self.object_id
        return f"{self.kind.capitalize()} {called}"


def check_name(kind: ObjectKind, name: str) -> None:
    """Refuse what cannot be the name of an object."""
    _check(name, f"name of a {kind}")


def check_environment(name: str) -> None:
    """Refuse what cannot be the name of an environment."""
    _check(name, "name of an environment")


def check_id(kind: ObjectKind, object_id: str) -> None:
    """Refuse what cannot be the id of an object of this kind."""
    if not object_id.startswith(PREFIX_OF[kind]) or not _ID.fullmatch(object_id):
        raise DomainError(
            ErrorCode.INVALID,
            f"{object_id[:80]!r} is not the id of a {kind}: {PREFIX_OF[kind]} and 26 lower-case letters and digits.",
        )


def _check(name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        raise DomainError(
            ErrorCode.INVALID,
            f"{name[:80]!r} is no {what}: at most {MAX_NAME_CHARACTERS} letters, digits, '_', '.' and '-', "
            "and neither of the last two first.",
        )
