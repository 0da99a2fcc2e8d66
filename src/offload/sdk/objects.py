"""What all objects with a name have in common: how they are found, made, held and removed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

from offload.errors import InvalidError, NotFoundError
from offload.sdk.blocking import Blocking, Work, blocking_class, run, run_aio
from offload.sdk.config import read_config
from offload.sdk.object_reference import Reference
from offload.sdk.session import current_client
from offload.sdk.values import ObjectOrder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from offload.sdk.app import App
    from offload.sdk.values import ObjectInfo

N = TypeVar("N", bound="NamedObject")


class NamedObject:
    """A handle of an object on the server. It is looked up when it is first used, and pickles as a reference."""

    kind: ClassVar[str]
    ways_to_make: ClassVar[str] = (
        'offload.{name}.from_name("my-{kind}", create_if_missing=True), or '
        "`with offload.{name}.ephemeral() as d:`"
    )

    def __init__(self) -> None:
        name = type(self).__name__
        ways = self.ways_to_make.format(name=name, kind=self.kind)
        raise InvalidError(f"write {ways}, not offload.{name}()")

    @classmethod
    def from_name(
        cls, name: str, *, environment_name: str | None = None, create_if_missing: bool = False
    ) -> Self:
        """Return the object of that name in the workspace and environment; None: the environment of the settings.

        Nothing is asked of the server before it is used. Where there is none by then, it is made if that is wanted.
        """
        if not isinstance(name, str) or not name:
            raise InvalidError(f"a {cls.kind} has a name: a text of letters, digits, '_', '.', '-'")
        return cls._of(
            Reference(cls.kind, name, environment_name, create_if_missing=create_if_missing)
        )

    @classmethod
    def ephemeral(cls, *, app: App | None = None, environment_name: str | None = None) -> Self:
        """Return a new object without a name, for a `with` (or `async with`) block, or for each run of `app`."""
        return cls._of(Reference(cls.kind, "", environment_name, create_if_missing=True, app=app))

    @blocking_class
    def delete(
        cls: type[NamedObject],
        name: str,
        *,
        environment_name: str | None = None,
        allow_missing: bool = False,
    ) -> Work[None, None]:
        """Remove the object of that name with all that is in it."""
        deleting = _delete(_order(cls, name, environment_name), allow_missing=allow_missing)
        return Work(deleting, lambda _: None)

    @blocking_class
    def rename(
        cls: type[NamedObject],
        old_name: str,
        new_name: str,
        *,
        environment_name: str | None = None,
    ) -> Work[None, None]:
        """Give the object of that name another name. Handles that have found it keep it."""
        renaming = _rename(_order(cls, old_name, environment_name), new_name)
        return Work(renaming, lambda _: None)

    @blocking_class
    def list(
        cls: type[NamedObject],
        *,
        environment_name: str | None = None,
    ) -> Work[Sequence[ObjectInfo], Sequence[ObjectInfo]]:
        """List the objects of this kind, by name."""
        order = _order(cls, "", environment_name)
        listing = current_client().objects.list(order.kind, order.workspace, order.environment)
        return Work(listing, lambda found: found)

    @property
    def hydrate(self) -> Blocking[[], Self]:
        """Look the object up now, and make it where that is wanted; return the handle."""
        return Blocking(lambda: Work(self._reference.object_id(), lambda _: self))

    @property
    def name(self) -> str:
        """Its name; empty of an ephemeral object."""
        return self._reference.name

    @property
    def object_id(self) -> str:
        """Its id on the server. Looks it up where that has not happened."""
        return self._reference.known_id or run(self._reference.object_id())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._reference.label}>"

    def __getstate__(self) -> dict[str, object]:
        # Whoever holds it is the caller; the reference is all that travels.
        return {"reference": self._reference}

    def __setstate__(self, state: dict[str, Reference]) -> None:
        self._take(state["reference"])

    def __enter__(self) -> Self:
        run(self._hold())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        run(self._let_go())

    async def __aenter__(self) -> Self:
        await run_aio(self._hold())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await run_aio(self._let_go())

    @classmethod
    def _of(cls, reference: Reference) -> Self:
        made = object.__new__(cls)
        made._take(reference)
        return made

    def _take(self, reference: Reference) -> None:
        self._reference = reference
        self._holding: asyncio.Task[None] | None = None

    async def _hold(self) -> None:
        reference = self._reference
        if reference.name or reference.app is not None or self._holding is not None:
            raise InvalidError(
                f"`with` is for {type(self).__name__}.ephemeral() without an app, and once; use {self!r} as it is"
            )
        reference.own_id("")
        object_id = await reference.object_id()
        holding = current_client().objects.hold(object_id)
        self._holding = asyncio.get_running_loop().create_task(holding)
        # Requests meet the same trouble and tell the user; this task's exception is not a second report.
        self._holding.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _let_go(self) -> None:
        if self._holding is not None:
            self._holding.cancel()
        await current_client().objects.delete(self._reference.known_id)


def _order(cls: type[NamedObject], name: str, environment_name: str | None) -> ObjectOrder:
    config = read_config()
    environment = environment_name or config.environment
    return ObjectOrder(cls.kind, config.workspace, environment, name)


async def _delete(order: ObjectOrder, *, allow_missing: bool) -> None:
    requests = current_client().objects
    try:
        found = await requests.open(order)
    except NotFoundError:
        if allow_missing:
            return
        raise
    await requests.delete(found.object_id)


async def _rename(order: ObjectOrder, new_name: str) -> None:
    requests = current_client().objects
    found = await requests.open(order)
    await requests.rename(found.object_id, new_name)
