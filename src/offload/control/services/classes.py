"""Containers of a class for the parameters that callers name, made when they are first asked for.

To everything that runs them they are a function of the same app: they end with it, are replaced with it, and calls of them are
restored as any others. What is their own is that they come on demand and go when nothing is left to run and no container is
left; a call that comes after that brings them back.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar

from offload.control.core.classes import NO_CHANGES
from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import FunctionRegistered
from offload.control.ports.records import DropFunctions, SaveFunction
from offload.control.services.apps import check_function

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offload.control.core.classes import Changes, ClassShape, Value
    from offload.control.core.model import Function
    from offload.control.ports.definitions import Definitions
    from offload.control.services.apps import Apps
    from offload.control.services.archive import Archive
    from offload.control.services.kernel import Kernel
    from offload.control.services.versions import Versions

# Sets of parameters of one app, with whatever options, that have something to run or a container, all at the same time.
MAX_POOLS = 1_000

# Those that have neither stay on disk for a while, so that who has looked them up finds them again.
KEPT_ON_DISK = 1_000
MAX_FORGOTTEN = 1_000  # at a time

MAX_KNOWN = 10_000  # classes, and sets of parameters, that need not be looked at again

K = TypeVar("K")
V = TypeVar("V")


class Classes:
    """Finds the containers of a class by the parameters of its instances."""

    def __init__(
        self,
        kernel: Kernel,
        archive: Archive,
        apps: Apps,
        versions: Versions,
        definitions: Definitions,
    ) -> None:
        self._kernel = kernel
        self._archive = archive
        self._apps = apps
        self._versions = versions
        self._definitions = definitions
        self.max_pools = MAX_POOLS
        self.kept_on_disk = KEPT_ON_DISK
        self._shapes: OrderedDict[str, ClassShape | None] = OrderedDict()
        # Ids alone: the code is in each of them, so a query string could have this keep it any number of times.
        self._made: OrderedDict[tuple[object, ...], str] = OrderedDict()

    async def shape(self, function_id: str) -> ClassShape | None:
        """Return the class whose containers a function stands for; None where it is no class's."""
        if function_id in self._shapes:
            return self._shapes[function_id]
        return self.shape_of(await self._archive.require_function(function_id))

    def shape_of(self, function: Function) -> ClassShape | None:
        """Do the same for a function that may not be registered yet."""
        found = self._definitions.shape(function)
        _keep(self._shapes, function.function_id, found)
        return found

    def is_version(self, app_id: str) -> bool:
        """Whether containers of an app's classes are made here: others have a caller who registers them."""
        return self._versions.of_app(app_id) is not None

    async def require_function(self, function_id: str) -> None:
        """Refuse what stands for a class: it is not called itself."""
        if await self.shape(function_id) is not None:
            name = (await self._archive.require_function(function_id)).name
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION,
                f"{name!r} is a class: write Cls.from_name(…, {name!r}), and call a method of an instance of it.",
            )

    async def pool_for(
        self, class_id: str, given: Mapping[str, Value], changes: Changes = NO_CHANGES
    ) -> Function:
        """Return the function that stands for the containers with these parameters, ready for calls.

        `class_id` is the id that the class has as a function of its app, deployed or running. Where its version serves no more,
        what is returned takes the calls of those alone who want just that version. Raises `DomainError` for parameters that
        cannot be, and where there are too many sets of them.
        """
        base = await self._archive.require_function(class_id)
        shape = await self._require_shape(base)
        values = shape.complete(base.name, given)
        if not changes.fields and not shape.needs_parameters and values == shape.complete("", {}):
            return base
        # 1 and True are equal, and are not the same parameter.
        typed = tuple((name, type(value), value) for name, value in values.items())
        key = (class_id, typed, changes)
        known = self._kernel.dispatcher.function
        made = known(self._made.get(key, ""))
        if made is not None:
            return made
        name = shape.pool_name(base.name, values)
        wanted = self._definitions.with_parameters(base, name, values, changes)
        check_function(wanted)
        _keep(self._made, key, wanted.function_id)
        if known(wanted.function_id) is None:
            await self._make(wanted)
        return wanted

    async def pool_for_texts(self, class_id: str, texts: Mapping[str, str]) -> Function:
        """Do the same for parameters as they stand in a query string; what is none of the class's is left alone."""
        base = await self._archive.require_function(class_id)
        shape = await self._require_shape(base)
        return await self.pool_for(class_id, shape.read(base.name, texts))

    async def forget_unused(self) -> None:
        """Take sets of parameters off the disk that nobody asked for lately: a query string may name any number of them."""
        try:
            unused = await self._archive.unused_functions(self.kept_on_disk, MAX_FORGOTTEN)
            if not unused:
                return
            await self._kernel.journal.flush()
        except DomainError:
            return  # of a disk in trouble the journal tells; there is another round
        # From here on nothing else happens in between. What is known may be called, and what is not comes with a
        # `SaveFunction` of its own, behind this.
        known = self._kernel.dispatcher.function
        forgotten = tuple(each for each in unused if known(each) is None)
        if forgotten:
            self._kernel.journal.write((DropFunctions(forgotten),))

    async def _require_shape(self, base: Function) -> ClassShape:
        shape = await self.shape(base.function_id)
        if shape is None:
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION,
                f"{base.name!r} of app {base.app_name!r} is not a class, or was deployed before classes could be found by name: "
                "write Function.from_name(…) for a function, and deploy a class again.",
            )
        return shape

    async def _make(self, wanted: Function) -> None:
        app_id = wanted.app_id
        is_serving = self._apps.is_running(app_id)
        if not is_serving and self._versions.of_app(app_id) is None:
            await self._apps.require_running(app_id)
        journal = self._kernel.journal
        journal.require_working()
        self._require_room(wanted)
        self._kernel.apply(FunctionRegistered(wanted, is_stopped=not is_serving))
        await journal.durable((SaveFunction(wanted),))

    def _require_room(self, wanted: Function) -> None:
        count = len(self._kernel.dispatcher.on_demand(wanted.app_id))
        if count >= self.max_pools:
            raise DomainError(
                ErrorCode.RESOURCE_EXHAUSTED,
                f"App {wanted.app_name!r} has containers for {count} sets of parameters, as many as one can have: those that are "
                "idle go after their scaledown_window. Try again then, or pass to its methods what differs so much.",
            )


def _keep(known: OrderedDict[K, V], key: K, value: V) -> None:
    known[key] = value
    if len(known) > MAX_KNOWN:
        known.popitem(last=False)
