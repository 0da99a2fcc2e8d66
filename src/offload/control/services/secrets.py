"""Secrets: made and sealed, told to nobody but the worker that starts a container which needs them, and sealed anew."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
from dataclasses import dataclass, replace
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.objects import PREFIX_OF, ObjectKind, StoredObject
from offload.control.ports.sealed import KeyringError, PutSecret, Reseal, Sealed
from offload.control.services.objects import Wanted
from offload.control.telemetry import log_event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from offload.control.core.objects import Scope
    from offload.control.ports.clock import Clock
    from offload.control.ports.objects import Answer, Operation
    from offload.control.ports.sealed import Keyring
    from offload.control.services.grouping import Grouping
    from offload.control.services.objects import Objects
    from offload.control.services.reading import Reading

MAX_VALUES = 1_000
MAX_BYTES = 256 * 1024  # of one secret; more would be no environment of a process
MAX_PER_FUNCTION = 100
PAGE = 100

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kept:
    """A secret, for people: no value is in it."""

    stored: StoredObject
    keys: tuple[str, ...]
    updated_at: float


# What a version of a deployed app has for itself: keys by which its functions name them, each with its variables.
OwnSecrets: TypeAlias = tuple[tuple[str, dict[str, str]], ...]


class Secrets:
    """Only `reveal` opens what is sealed."""

    def __init__(
        self,
        reading: Reading,
        writing: Grouping[Operation, Answer],
        objects: Objects,
        keyring: Keyring,
        clock: Clock,
    ) -> None:
        self._reading = reading
        self._store = reading.store.objects
        self._writing = writing
        self._objects = objects
        self._keyring = keyring
        self._clock = clock
        # What was sealed with a key is written before that key is dropped.
        self._sealing = asyncio.Lock()

    async def put(self, wanted: Wanted, values: Mapping[str, str], *, may_replace: bool) -> Kept:
        """Make a secret, or replace all that is in it where it `may_replace`. A repeat under the same id is harmless."""
        _check_values(values)
        own_id = wanted.object_id or PREFIX_OF[ObjectKind.SECRET] + token_hex(13)
        async with self._sealing:
            made = await self._objects.prepare(replace(wanted, object_id=own_id))
            if made.object_id != own_id and not may_replace:
                raise DomainError(
                    ErrorCode.ALREADY_EXISTS,
                    f"{made} is there in environment {made.scope.environment!r} already: replace all that is in it with "
                    f"`offload secret create --force`, or choose another name.",
                )
            sealed = await self._seal(made, values)
            answer = await self._writing.answer(PutSecret(made, sealed))
        if not isinstance(answer, StoredObject):
            raise DomainError(
                ErrorCode.ALREADY_EXISTS,
                f"{made} was made by somebody else at the same time: try again.",
            )
        self._objects.take_in(answer)
        return Kept(answer, sealed.names, sealed.updated_at)

    async def put_own(self, app_id: str, scope: Scope, own: OwnSecrets) -> None:
        """Make the secrets that a version of a deployed app has for itself, for as long as it is kept."""
        for key, values in own:
            own_id = own_secret_id(app_id, key)
            wanted = Wanted(ObjectKind.SECRET, scope, "", own_id, app_id=app_id, is_of_version=True)
            await self.put(wanted, values, may_replace=False)

    async def has_own(self, app_id: str, own: OwnSecrets) -> bool:
        """Whether a version has these secrets already, with the same values."""
        for key, values in own:
            try:
                kept = await self._open(own_secret_id(app_id, key))
            except DomainError:
                return False
            if kept != values:
                return False
        return True

    async def listed(self, scope: Scope, after_name: str, limit: int) -> list[Kept]:
        """List secrets by their names, with the names of their variables."""
        found = await self._objects.list(ObjectKind.SECRET, scope, after_name, limit)
        return await self._reading.get(self._with_keys, found)

    async def find(self, scope: Scope, name: str, required_keys: Sequence[str]) -> Kept:
        """Find a secret by its name; refuse one without all of these variables."""
        stored = await self._objects.open(Wanted(ObjectKind.SECRET, scope, name))
        (kept,) = await self._reading.get(self._with_keys, [stored])
        missing = [key for key in required_keys if key not in kept.keys]
        if missing:
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION,
                f"{stored} lacks {', '.join(missing)}: it has {', '.join(kept.keys) or 'nothing'}. Set all of its variables with "
                f"`offload secret create {name} KEY=VALUE … --force`.",
            )
        return kept

    async def check_named(self, object_ids: Sequence[str], scope: Scope) -> None:
        """Refuse ids that are not of secrets of the workspace: a function is not to name others'."""
        if len(object_ids) > MAX_PER_FUNCTION:
            raise DomainError(
                ErrorCode.INVALID, f"A function has at most {MAX_PER_FUNCTION} secrets."
            )
        for object_id in object_ids:
            found = await self._objects.require(object_id, ObjectKind.SECRET, None)
            if found.scope.workspace != scope.workspace:
                await self._objects.require(object_id, ObjectKind.SECRET, scope)

    async def reveal(self, object_ids: Sequence[str]) -> dict[str, str]:
        """Return the variables of these secrets; of one name that of the last. For a worker that starts a container."""
        values: dict[str, str] = {}
        for object_id in object_ids:
            values |= await self._open(object_id)
        return values

    async def rotate(self) -> int:
        """Make a new key and seal everything with it; return how many secrets there were.

        Until the last one is sealed anew both keys are kept: whenever this ends, all can be read, and `finish_rotation` goes on.
        """
        async with self._sealing:
            await self._with_keyring(self._keyring.add)
            count = await self._reseal()
        log_event(_log, logging.INFO, "secret_key_rotated", secrets=count)
        return count

    async def finish_rotation(self) -> None:
        """Go on with a rotation that a server before this one began."""
        try:
            async with self._sealing:
                if await self._with_keyring(lambda: self._keyring.has_old):
                    await self._reseal()
        except DomainError as error:
            # What it says is said again to whoever needs a secret; calls without secrets are served all the same.
            log_event(_log, logging.ERROR, "secret_key_rotation_failed", reason=error.message)

    async def _reseal(self) -> int:
        current = await self._with_keyring(lambda: self._keyring.current)
        count = 0
        while page := await self._reading.get(self._store.sealed_otherwise, current, PAGE):
            for object_id, old in page:
                opened = await self._with_keyring(
                    partial(self._keyring.open, object_id, old.key_id, old.box)
                )
                key_id, box = await self._with_keyring(
                    partial(self._keyring.seal, object_id, opened)
                )
                new = Sealed(old.names, key_id, box, old.updated_at)
                count += bool(await self._writing.answer(Reseal(object_id, old.box, new)))
        await self._with_keyring(self._keyring.drop_old)
        return count

    async def _seal(self, made: StoredObject, values: Mapping[str, str]) -> Sealed:
        data = json.dumps(dict(values)).encode()
        key_id, box = await self._with_keyring(partial(self._keyring.seal, made.object_id, data))
        return Sealed(tuple(sorted(values)), key_id, box, self._clock.now())

    async def _open(self, object_id: str) -> dict[str, str]:
        stored = await self._objects.require(object_id, ObjectKind.SECRET, None)
        sealed = await self._reading.get(self._store.sealed, object_id)
        if sealed is None:
            raise DomainError(ErrorCode.NOT_FOUND, f"{stored} is gone.")
        opening = partial(self._keyring.open, object_id)
        try:
            data = await asyncio.to_thread(opening, sealed.key_id, sealed.box)
        except KeyringError:
            # It may have been sealed anew, and its key dropped, since it was read.
            again = await self._reading.get(self._store.sealed, object_id) or sealed
            try:
                data = await asyncio.to_thread(opening, again.key_id, again.box)
            except KeyringError as error:
                raise DomainError(
                    ErrorCode.FAILED_PRECONDITION, f"{stored} cannot be opened: {error.message}."
                ) from error
        opened: dict[str, str] = json.loads(data)
        return opened

    async def _with_keyring(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except KeyringError as error:
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION, f"Secrets cannot be kept: {error.message}."
            ) from error

    def _with_keys(self, found: Sequence[StoredObject]) -> list[Kept]:
        kept = []
        for stored in found:
            sealed = self._store.sealed(stored.object_id)
            if sealed is not None:  # else it was deleted meanwhile
                kept.append(Kept(stored, sealed.names, sealed.updated_at))
        return kept


def own_secret_id(app_id: str, key: str) -> str:
    """Return the id of a secret that a version has for itself, the same whenever it is asked for."""
    digest = hashlib.sha256(f"{app_id} {key}".encode()).hexdigest()
    return PREFIX_OF[ObjectKind.SECRET] + digest[:26]


def _check_values(values: Mapping[str, str]) -> None:
    wrong = ""
    if not values:
        wrong = "A secret has one variable at least: KEY=VALUE"
    elif len(values) > MAX_VALUES or sum(map(len, values.values())) > MAX_BYTES:
        wrong = f"A secret has at most {MAX_VALUES} variables of {MAX_BYTES >> 10} KiB together"
    for name, value in values.items():
        if not _VARIABLE.fullmatch(name):
            wrong = (
                f"{name[:80]!r} is no name of a variable: letters, digits and '_', no digit first"
            )
        elif "\0" in value:
            wrong = f"The value of {name} has a zero byte, which no variable can have"
    if wrong:
        raise DomainError(ErrorCode.INVALID, f"{wrong}.")
