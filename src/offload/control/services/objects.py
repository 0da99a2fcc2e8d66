"""Objects with a name: opened, listed, renamed, deleted, and anonymous ones for as long as somebody is there for them."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.objects import (
    PREFIX_OF,
    ObjectKind,
    Scope,
    StoredObject,
    check_environment,
    check_id,
    check_name,
)
from offload.control.ports.objects import (
    CreateObject,
    DeleteObjects,
    NoteUse,
    Refusal,
    RenameObject,
)
from offload.control.telemetry import log_event

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence

    from offload.control.ports.clock import Clock
    from offload.control.ports.objects import Answer, Operation
    from offload.control.services.apps import Apps
    from offload.control.services.grouping import Grouping
    from offload.control.services.reading import Reading

LEASE_SECONDS = 30.0
MAX_LISTED = 1_000
MAX_KNOWN = 10_000  # objects in memory
USE_SECONDS = 3_600.0  # how exactly the last use of an object is known
STALE_READ_SECONDS = 60.0  # longer than any read of the store takes

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller wants to open."""

    kind: ObjectKind
    scope: Scope
    name: str  # empty: an anonymous object
    object_id: str = ""  # of what is made, or of the anonymous one; empty: chosen here
    create_if_missing: bool = False
    app_id: str = ""  # whose end is the anonymous object's
    is_of_version: bool = False  # the app is a version of a deployed one, or is about to be


@dataclass(slots=True)
class _Held:
    """An anonymous object without an app."""

    holders: int = 0
    lease: asyncio.TimerHandle | None = None


class Objects:
    """Keeps the registry; the store keeps the objects.

    `scope` in a method is that of a caller who may see no other; None: of one who may see all.
    """

    def __init__(
        self,
        reading: Reading,
        writing: Grouping[Operation, Answer],
        apps: Apps,
        clock: Clock,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._reading = reading
        self._store = reading.store.objects
        self._writing = writing
        self._apps = apps
        self._clock = clock
        self.lease_seconds = lease_seconds
        self._known: OrderedDict[str, StoredObject] = OrderedDict()  # those used last
        self._held: dict[str, _Held] = {}
        self._of_apps: dict[str, list[str]] = {}
        self._waits: dict[str, asyncio.TimerHandle] = {}  # for the last work of apps that ended
        self._deleted: set[str] = set()  # a moment ago
        self._on_delete: list[Callable[[Sequence[str]], None]] = []
        self._background: set[asyncio.Task[None]] = set()
        apps.on_end(self._end_app)

    def restore(self, anonymous: Sequence[StoredObject]) -> None:
        """Take in the anonymous objects that there are: those of an app that has ended go, the others wait for a holder."""
        for each in anonymous:
            if each.app_id:
                self._of_apps.setdefault(each.app_id, []).append(each.object_id)
            else:
                self._expect_holder(each.object_id)
        for app_id in [known for known in self._of_apps if not self._apps.has_caller(known)]:
            self._end_app(app_id)

    async def open(self, wanted: Wanted) -> StoredObject:
        """Return the object of a name, or an anonymous one; make it where that is wanted."""
        check_environment(wanted.scope.environment)
        if wanted.name:
            check_name(wanted.kind, wanted.name)
            found = await self._reading.get(
                self._store.find, wanted.kind, wanted.scope, wanted.name
            )
        else:
            found = await self._reading.get(self._store.get, wanted.object_id)
            if found is not None and (found.kind, found.scope) != (wanted.kind, wanted.scope):
                found = None
        if found is not None:
            return found
        if not wanted.create_if_missing:
            raise _missing(wanted)
        return await self._create(wanted)

    async def require(
        self, object_id: str, kind: ObjectKind | None, scope: Scope | None
    ) -> StoredObject:
        """Return an object by its id, or raise `DomainError` that says that there is none of this kind and scope."""
        found = self.known(object_id)
        if found is None:
            found = await self._reading.get(self._store.get, object_id)
            if found is not None and found.object_id not in self._deleted:
                self._know(found)
        is_right = found is not None and (kind is None or found.kind is kind)
        if found is None or not is_right or (scope is not None and found.scope != scope):
            raise gone(object_id, kind)
        self._note_use(found)
        return found

    def known(self, object_id: str) -> StoredObject | None:
        """Return an object where that takes no look into the store."""
        found = self._known.get(object_id)
        if found is not None:
            self._known.move_to_end(object_id)
        return found

    def _know(self, found: StoredObject) -> None:
        self._known[found.object_id] = found
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def _note_use(self, found: StoredObject) -> None:
        now = self._clock.now()
        if now - found.last_used_at > USE_SECONDS:
            self._know(replace(found, last_used_at=now))
            self._in_background(self._writing.answer(NoteUse((found.object_id,), now)))

    async def list(
        self, kind: ObjectKind, scope: Scope, after_name: str, limit: int
    ) -> Sequence[StoredObject]:
        """List the objects of a kind and scope by their names."""
        limit = min(limit or MAX_LISTED, MAX_LISTED)
        return await self._reading.get(self._store.list, kind, scope, after_name, limit)

    async def rename(self, object_id: str, name: str, scope: Scope | None) -> None:
        """Give an object another name, in its own scope."""
        known = await self.require(object_id, None, scope)
        check_name(known.kind, name)
        if not known.name:
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION,
                f"{known} has no name and gets none: make one with from_name({name!r}, create_if_missing=True).",
            )
        answer = await self._writing.answer(RenameObject(object_id, name))
        self._known.pop(object_id, None)
        if answer is Refusal.GONE:
            raise gone(object_id, known.kind)
        if answer is Refusal.TAKEN:
            raise DomainError(
                ErrorCode.ALREADY_EXISTS,
                f"{known} cannot be renamed: there is another {known.kind} {name!r} in environment "
                f"{known.scope.environment!r}. Choose another name, or delete that one first.",
            )

    async def delete(self, object_id: str, scope: Scope | None) -> None:
        """Remove an object; harmless where there is none of this id and scope."""
        known = await self._reading.get(self._store.get, object_id)
        if known is not None and scope in (None, known.scope):
            self._forget(known)
            await self._delete((object_id,))

    async def hold(self, object_id: str, scope: Scope | None) -> AsyncGenerator[None, None]:
        """Keep an anonymous object alive while iterated; yields once, when it is held."""
        await self.require(object_id, None, scope)
        held = self._held.get(object_id)
        if held is None:
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION,
                f"{object_id} needs no holder: only anonymous objects without an app do.",
            )
        held.holders += 1
        if held.lease is not None:
            held.lease.cancel()
            held.lease = None
        try:
            yield
            await asyncio.get_running_loop().create_future()  # until the caller goes away
        finally:
            held.holders -= 1
            if not held.holders and self._held.get(object_id) is held:
                self._start_lease(object_id, held)

    async def close(self) -> None:
        """Stop all lease timers, and finish what is being removed. Idempotent."""
        for held in self._held.values():
            if held.lease is not None:
                held.lease.cancel()
        for wait in self._waits.values():
            wait.cancel()
        if self._background:
            await asyncio.wait(self._background)

    async def prepare(self, wanted: Wanted) -> StoredObject:
        """Return the object of a name or id, or the one that is to be made: what is in it is written together with it."""
        check_environment(wanted.scope.environment)
        if wanted.name:
            check_name(wanted.kind, wanted.name)
            found = await self._reading.get(
                self._store.find, wanted.kind, wanted.scope, wanted.name
            )
            if found is not None:
                return found
        return await self._new(wanted)

    async def _create(self, wanted: Wanted) -> StoredObject:
        made = await self._new(wanted)
        answer = await self._writing.answer(CreateObject(made))
        if not isinstance(answer, StoredObject):
            raise DomainError(
                ErrorCode.ALREADY_EXISTS, f"The id {made.object_id} is taken: choose a new one."
            )
        self.take_in(answer)
        return answer

    async def _new(self, wanted: Wanted) -> StoredObject:
        object_id = wanted.object_id or PREFIX_OF[wanted.kind] + secrets.token_hex(13)
        check_id(wanted.kind, object_id)
        if wanted.app_id and not wanted.is_of_version:
            app = await self._apps.require_running(wanted.app_id)
            if app.scope != wanted.scope:
                raise DomainError(
                    ErrorCode.INVALID,
                    f"App {wanted.app_id} is of another workspace or environment.",
                )
        now = self._clock.now()
        return StoredObject(
            object_id, wanted.kind, wanted.scope, wanted.name, now, now, wanted.app_id
        )

    def take_in(self, made: StoredObject) -> None:
        """Watch for the end of an anonymous object that was made, or was there."""
        if made.name:
            return
        if not made.app_id:
            self._expect_holder(made.object_id)
            return
        of_app = self._of_apps.setdefault(made.app_id, [])
        if made.object_id not in of_app:
            of_app.append(made.object_id)
        # It ended while this was being written, or will without a word: versions go one by one.
        if not self._apps.has_caller(made.app_id):
            self._end_app(made.app_id)

    def _expect_holder(self, object_id: str) -> None:
        if object_id not in self._held:
            held = self._held[object_id] = _Held()
            self._start_lease(object_id, held)

    def _start_lease(self, object_id: str, held: _Held) -> None:
        loop = asyncio.get_running_loop()
        held.lease = loop.call_later(self.lease_seconds, self._expire, object_id)

    def _expire(self, object_id: str) -> None:
        held = self._held.get(object_id)
        if held is not None and not held.holders:
            del self._held[object_id]
            log_event(_log, logging.INFO, "object_lease_expired", object_id=object_id)
            self._delete_soon([object_id])

    def _end_app(self, app_id: str) -> None:
        of_app = self._of_apps.pop(app_id, [])
        # What was spawned from the app goes on, in containers that may still have to start.
        needed = [each for each in of_app if each.startswith(PREFIX_OF[ObjectKind.SECRET])]
        if needed and self._apps.has_work(app_id):
            self._of_apps[app_id] = needed
            loop = asyncio.get_running_loop()
            self._waits[app_id] = loop.call_later(self.lease_seconds, self._end_app, app_id)
        else:
            self._waits.pop(app_id, None)
            needed = []
        self._delete_soon([each for each in of_app if each not in needed])

    def _forget(self, known: StoredObject) -> None:
        held = self._held.pop(known.object_id, None)
        if held is not None and held.lease is not None:
            held.lease.cancel()
        of_app = self._of_apps.get(known.app_id, [])
        if known.object_id in of_app:
            of_app.remove(known.object_id)

    def _delete_soon(self, object_ids: Sequence[str]) -> None:
        if object_ids:
            self._in_background(self._delete(tuple(object_ids)))

    async def _delete(self, object_ids: tuple[str, ...]) -> None:
        # A read that began before must not make them known again.
        self._deleted.update(object_ids)
        try:
            await self._writing.answer(DeleteObjects(object_ids))
            for object_id in object_ids:
                self._known.pop(object_id, None)
            for tell in self._on_delete:
                tell(object_ids)
        finally:
            loop = asyncio.get_running_loop()
            loop.call_later(STALE_READ_SECONDS, self._deleted.difference_update, object_ids)

    def on_delete(self, tell: Callable[[Sequence[str]], None]) -> None:
        """Have `tell` called with the ids of objects that have been removed."""
        self._on_delete.append(tell)

    def _in_background(self, coroutine: Coroutine[object, object, object]) -> None:
        task = asyncio.get_running_loop().create_task(self._quietly(coroutine))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _quietly(self, coroutine: Coroutine[object, object, object]) -> None:
        try:
            await coroutine
        except DomainError as error:
            # The next start finds what was to be removed; when something was used last is worth no more than a try.
            log_event(_log, logging.WARNING, "objects_not_written", reason=error.message)


def gone(object_id: str, kind: ObjectKind | None) -> DomainError:
    """Say that there is no such object."""
    return DomainError(
        ErrorCode.NOT_FOUND,
        f"There is no {kind or 'object'} {object_id[:80]!r} here: it was deleted, or belongs to another workspace or "
        "environment.",
    )


def _missing(wanted: Wanted) -> DomainError:
    if not wanted.name:
        return gone(wanted.object_id, wanted.kind)
    making = f"from_name({wanted.name!r}, create_if_missing=True)"
    if wanted.kind is ObjectKind.SECRET:
        making = f"`offload secret create {wanted.name} KEY=VALUE`"
    return DomainError(
        ErrorCode.NOT_FOUND,
        f"There is no {wanted.kind} {wanted.name!r} in environment {wanted.scope.environment!r}: "
        f"`offload {wanted.kind} ls` lists them, and {making} makes it.",
    )
